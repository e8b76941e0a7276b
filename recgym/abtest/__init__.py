"""Comparing policies on users, real or simulated: designs, inference that may be peeked at, and what it costs."""

from recgym.abtest.adaptive import ArmEstimates, Weights, adaptive_estimates, plain_estimates
from recgym.abtest.adjusting import cuped, regression_adjusted
from recgym.abtest.allocation import Allocation, Assignment, Clustered, Split, Switchback, unit_means
from recgym.abtest.always_valid import MSPRT, ConfidenceSequence, StitchedSequence, mixture_scale
from recgym.abtest.bandit import AdaptiveData, EpsilonGreedy, Rule, Thompson, allocate_adaptively, regret_curve
from recgym.abtest.choosing import Method, analysis_for, detectable_effect
from recgym.abtest.decisions import Analysis, Decisions, benjamini_hochberg, decide, sample_ratio_p_value
from recgym.abtest.experiment import Arm, Experiment, Handover, simulate_arms
from recgym.abtest.fixed import FixedHorizon
from recgym.abtest.group_sequential import GroupSequential, Spending, boundaries, crossing
from recgym.abtest.interleaving import Interleaved, credit, interleave, preference
from recgym.abtest.looks import Looks, looks_of
from recgym.abtest.metrics import Metric, metrics_of, pick_metrics
from recgym.abtest.novelty import EffectTrend, Novelty, effect_trend, exposure_panel
from recgym.abtest.outcomes import CarryOver, ClusterEffect, Outcome, Spillover
from recgym.abtest.planning import Plan, duration_days, group_sequential_users, power, required_users
from recgym.abtest.pools import Pools, pools_of
from recgym.abtest.results import Comparison, Found, Path, Replicated, binomial_interval
from recgym.abtest.sequential_planning import SequentialPlan, plan_by_simulation
from recgym.abtest.simulate import replicate
from recgym.abtest.verdicts import Guardrail, Verdicts, verdicts

__all__ = [
    "Experiment", "Arm", "Handover", "simulate_arms", "Metric", "metrics_of", "pick_metrics", "Pools", "pools_of",
    "Allocation", "Assignment", "Split", "Switchback", "Clustered", "unit_means",
    "Outcome", "Spillover", "CarryOver", "ClusterEffect",
    "replicate", "Replicated", "Found", "Comparison", "Path", "binomial_interval",
    "Looks", "looks_of", "Analysis", "Decisions", "decide", "Method", "analysis_for", "detectable_effect",
    "FixedHorizon", "GroupSequential", "Spending", "boundaries", "crossing",
    "MSPRT", "ConfidenceSequence", "StitchedSequence", "mixture_scale",
    "benjamini_hochberg", "sample_ratio_p_value", "Guardrail", "Verdicts", "verdicts",
    "cuped", "regression_adjusted", "Novelty", "EffectTrend", "effect_trend", "exposure_panel",
    "Plan", "power", "required_users", "group_sequential_users", "duration_days",
    "SequentialPlan", "plan_by_simulation",
    "allocate_adaptively", "AdaptiveData", "Rule", "Thompson", "EpsilonGreedy", "regret_curve",
    "adaptive_estimates", "plain_estimates", "ArmEstimates", "Weights",
    "interleave", "Interleaved", "credit", "preference",
]  # fmt: skip
