"""What policies are worth on simulated users, and how far the users themselves can be trusted."""

from recgym.evaluation.baselines import action_spec, greedy_by_model, item_popularity
from recgym.evaluation.constraints import Constraint, ConstraintReport, constraint_report, pareto_front
from recgym.evaluation.embedded import EmbeddedLog, embedded_log
from recgym.evaluation.encoders import EncoderSplit, encoder_split, fit_encoder, with_items_of
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.ranking import (
    NegativeLaw,
    RankingProtocol,
    RankingQueries,
    RankingReport,
    Recommender,
    Retriever,
    SampledNegatives,
    SeenItems,
    Targets,
    TimeTargets,
    Together,
    challenge_metrics,
    evaluate_ranking,
    leave_one_out_queries,
    make_queries,
    paired_difference,
    time_split_queries,
)
from recgym.evaluation.recording import record
from recgym.evaluation.rollout import Episodes, Rollout, Steps, rollout
from recgym.evaluation.sessions import SessionReport, SessionSplit, evaluate_sessions, session_split
from recgym.evaluation.story import stories

__all__ = [
    "rollout", "Rollout", "Episodes", "Steps", "record", "stories",
    "OneStepOracle", "action_spec", "greedy_by_model", "item_popularity",
    "EmbeddedLog", "embedded_log",
    "Constraint", "ConstraintReport", "constraint_report", "pareto_front",
    "EncoderSplit", "encoder_split", "fit_encoder", "with_items_of",
    "Recommender", "Retriever", "evaluate_ranking", "RankingReport", "Targets", "challenge_metrics",
    "paired_difference",
    "SessionReport", "SessionSplit", "evaluate_sessions", "session_split",
    "RankingProtocol", "NegativeLaw", "SampledNegatives", "SeenItems",
    "RankingQueries", "TimeTargets", "Together", "leave_one_out_queries", "make_queries", "time_split_queries",
]  # fmt: skip
