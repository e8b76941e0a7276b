"""Comparing policies on users, real or simulated: designs, inference that may be peeked at, and what it costs."""

from recgym.abtest.adjusting import cuped, regression_adjusted
from recgym.abtest.always_valid import MSPRT, ConfidenceSequence, StitchedSequence, mixture_scale
from recgym.abtest.decisions import Analysis, Decisions, benjamini_hochberg, decide, sample_ratio_p_value
from recgym.abtest.fixed import FixedHorizon
from recgym.abtest.group_sequential import GroupSequential, Spending, boundaries, crossing
from recgym.abtest.looks import Looks, looks_of
from recgym.abtest.planning import Plan, duration_days, group_sequential_users, power, required_users

__all__ = [
    "Looks", "looks_of", "Analysis", "Decisions", "decide",
    "FixedHorizon", "GroupSequential", "Spending", "boundaries", "crossing",
    "MSPRT", "ConfidenceSequence", "StitchedSequence", "mixture_scale",
    "benjamini_hochberg", "sample_ratio_p_value",
    "cuped", "regression_adjusted",
    "Plan", "power", "required_users", "group_sequential_users", "duration_days",
]  # fmt: skip
