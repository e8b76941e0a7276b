"""Stable-Baselines3 on simulated users."""

from recgym.agents.sb3.acting import SB3Policy
from recgym.agents.sb3.agent import SB3Agent
from recgym.agents.sb3.config import AgentConfig, NetworkConfig
from recgym.agents.sb3.configs import CONFIGS
from recgym.agents.sb3.curve import CurvePoint, LearningCurve
from recgym.agents.sb3.encoders import EncoderExtractor, StateExtractor
from recgym.agents.sb3.off_policy import DQNConfig, SACConfig, TD3Config
from recgym.agents.sb3.on_policy import A2CConfig, PPOConfig

__all__ = [
    "SB3Agent", "SB3Policy",
    "AgentConfig", "CONFIGS", "PPOConfig", "A2CConfig", "DQNConfig", "SACConfig", "TD3Config", "NetworkConfig",
    "EncoderExtractor", "StateExtractor",
    "CurvePoint", "LearningCurve",
]  # fmt: skip
