"""Policies, and the agents that learn them."""

from recgym.agents.base import (
    ActionSpec,
    GreedyPolicy,
    LikelihoodPolicy,
    MappedPolicy,
    NoState,
    Policy,
    RandomPolicy,
    ScoredPolicy,
    popularity_scores,
)
from recgym.agents.loading import CONFIGS, Agent, load_agent, load_policy, make_agent
from recgym.agents.mixture import MixturePolicy
from recgym.agents.offline import DT4IERConfig, DTConfig, OfflineAgent
from recgym.agents.online import HACConfig, OnlineAgent, RLURConfig
from recgym.agents.recurrent import RecurrentPolicy, RecurrentPPO, RecurrentPPOConfig
from recgym.agents.sb3 import (
    A2CConfig,
    DQNConfig,
    EncoderExtractor,
    LearningCurve,
    NetworkConfig,
    PPOConfig,
    SACConfig,
    SB3Agent,
    StateExtractor,
    TD3Config,
)
from recgym.agents.sim2rec import Sim2RecConfig
from recgym.agents.slateq import SlateQConfig, SlateQPolicy

__all__ = [
    "Policy", "LikelihoodPolicy", "NoState", "ActionSpec",
    "RandomPolicy", "ScoredPolicy", "GreedyPolicy", "MappedPolicy", "MixturePolicy", "popularity_scores",
    "SB3Agent", "PPOConfig", "A2CConfig", "DQNConfig", "SACConfig", "TD3Config", "NetworkConfig", "LearningCurve",
    "EncoderExtractor", "StateExtractor",
    "RecurrentPPO", "RecurrentPPOConfig", "RecurrentPolicy", "Sim2RecConfig",
    "SlateQConfig", "SlateQPolicy",
    "OnlineAgent", "HACConfig", "RLURConfig",
    "OfflineAgent", "DTConfig", "DT4IERConfig",
    "Agent", "CONFIGS", "make_agent", "load_agent", "load_policy",
]  # fmt: skip
