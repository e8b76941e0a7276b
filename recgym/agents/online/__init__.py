"""Agents that learn on simulated users from a replay buffer: one loop, one kind of checkpoint, many algorithms."""

from recgym.agents.online.base import Choice, OnlineAgent, OnlineConfig, OnlineLearner, ReplayConfig
from recgym.agents.online.hac import HAC, HACConfig
from recgym.agents.online.replay import Experience, Replay
from recgym.agents.online.rlur import RLUR, RLURConfig

__all__ = [
    "OnlineAgent", "OnlineConfig", "OnlineLearner", "ONLINE_CONFIGS", "ReplayConfig",
    "Replay", "Experience", "Choice",
    "HAC", "HACConfig", "RLUR", "RLURConfig",
]  # fmt: skip

ONLINE_CONFIGS: dict[str, type[OnlineConfig]] = {config.name: config for config in (HACConfig, RLURConfig)}
"""The agents with a replay buffer of recgym's own, by the names that the command line and checkpoints call them."""
