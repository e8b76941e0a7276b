"""Policies, and the agents that learn them."""

from recgym.agents.base import (
    ActionSpec,
    MappedPolicy,
    NoState,
    Policy,
    RandomPolicy,
    ScoredPolicy,
    popularity_scores,
)
from recgym.agents.sb3 import (
    A2CConfig,
    DQNConfig,
    LearningCurve,
    NetworkConfig,
    PPOConfig,
    SACConfig,
    SB3Agent,
    TD3Config,
)

__all__ = [
    "Policy", "NoState", "ActionSpec",
    "RandomPolicy", "ScoredPolicy", "MappedPolicy", "popularity_scores",
    "SB3Agent", "PPOConfig", "A2CConfig", "DQNConfig", "SACConfig", "TD3Config", "NetworkConfig", "LearningCurve",
]  # fmt: skip
