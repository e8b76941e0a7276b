"""What policies are worth on simulated users, and how far the users themselves can be trusted."""

from recgym.evaluation.baselines import action_spec, greedy_by_model, item_popularity
from recgym.evaluation.embedded import EmbeddedLog, embedded_log
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.rollout import Episodes, Rollout, Steps, rollout

__all__ = [
    "rollout", "Rollout", "Episodes", "Steps",
    "OneStepOracle", "action_spec", "greedy_by_model", "item_popularity",
    "EmbeddedLog", "embedded_log",
]  # fmt: skip
