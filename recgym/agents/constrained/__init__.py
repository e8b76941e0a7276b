"""Agents that learn from logs to raise one response and not to let others suffer: TSCAC and its rivals."""

from recgym.agents.constrained.a2c import OfflineA2CConfig
from recgym.agents.constrained.actor_critic import ActorCritic
from recgym.agents.constrained.basis import Basis, BasisConfig, Critics
from recgym.agents.constrained.multipliers import MultiplierConfig
from recgym.agents.constrained.pareto import ParetoConfig, min_norm
from recgym.agents.constrained.ppo_lagrangian import PPOLagrangianConfig
from recgym.agents.constrained.rcpo import RCPOConfig
from recgym.agents.constrained.responses import Responses
from recgym.agents.constrained.tscac import TSCAC, TSCACConfig

__all__ = [
    "CONSTRAINED_CONFIGS",
    "Responses", "BasisConfig", "Basis", "Critics", "ActorCritic",
    "TSCAC", "TSCACConfig",
    "OfflineA2CConfig", "RCPOConfig", "MultiplierConfig", "PPOLagrangianConfig", "ParetoConfig", "min_norm",
]  # fmt: skip

CONSTRAINED_CONFIGS = (TSCACConfig, OfflineA2CConfig, RCPOConfig, PPOLagrangianConfig, ParetoConfig)
"""Their settings."""
