"""Agents that learn on simulated users from a replay buffer: one loop, one kind of checkpoint, many algorithms."""

from recgym.agents.online.base import Choice, OnlineAgent, OnlineConfig, OnlineLearner, ReplayConfig
from recgym.agents.online.hac import HAC, HACConfig
from recgym.agents.online.replay import Experience, Replay
from recgym.agents.online.rlur import RLUR, RLURConfig

__all__ = [
    "OnlineAgent", "OnlineConfig", "OnlineLearner", "ReplayConfig",
    "Replay", "Experience", "Choice",
    "HAC", "HACConfig", "RLUR", "RLURConfig",
]  # fmt: skip
