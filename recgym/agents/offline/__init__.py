"""Agents that learn from logs: one loop, one kind of checkpoint, many algorithms."""

from pathlib import Path

from recgym.agents.constrained import CONSTRAINED_CONFIGS
from recgym.agents.decision_transformer import DT4IERConfig, DTConfig
from recgym.agents.offline.base import Learner, OfflineAgent, OfflineConfig
from recgym.agents.offline.bc import BC, BCConfig
from recgym.agents.offline.networks import ActorNetwork, Parts, StateNetwork, ValueNetwork
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.offline.problem import check_served, observation_space, problem_of
from recgym.agents.offline.reinforce import Reinforce, ReinforceConfig

__all__ = [
    "OfflineAgent", "OfflineConfig", "Learner", "OFFLINE_CONFIGS", "load_offline",
    "BC", "BCConfig", "DTConfig", "DT4IERConfig", "Reinforce", "ReinforceConfig",
    "Parts", "ActorNetwork", "StateNetwork", "ValueNetwork", "NetworkPolicy",
    "problem_of", "check_served", "observation_space",
]  # fmt: skip

OFFLINE_CONFIGS: dict[str, type[OfflineConfig]] = {
    config.name: config for config in (BCConfig, DTConfig, DT4IERConfig, ReinforceConfig, *CONSTRAINED_CONFIGS)
}
"""The agents that learn from logs, by the names that the command line and checkpoints call them."""


def load_offline(folder: Path | str) -> OfflineAgent:
    """Read an agent that learned from a log; see :meth:`OfflineAgent.load`."""
    return OfflineAgent.load(folder, OFFLINE_CONFIGS)
