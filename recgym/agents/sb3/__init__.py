"""Stable-Baselines3 on simulated users."""

from recgym.agents.sb3.agent import SB3Agent, SB3Policy
from recgym.agents.sb3.configs import (
    CONFIGS,
    A2CConfig,
    AgentConfig,
    DQNConfig,
    NetworkConfig,
    PPOConfig,
    SACConfig,
    TD3Config,
)
from recgym.agents.sb3.curve import CurvePoint, LearningCurve

__all__ = [
    "SB3Agent", "SB3Policy",
    "AgentConfig", "CONFIGS", "PPOConfig", "A2CConfig", "DQNConfig", "SACConfig", "TD3Config", "NetworkConfig",
    "CurvePoint", "LearningCurve",
]  # fmt: skip
