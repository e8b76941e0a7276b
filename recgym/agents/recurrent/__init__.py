"""Recurrent policies that learn on batches of simulated users, with or without a context of their users' world."""

from recgym.agents.recurrent.agent import RecurrentPPO
from recgym.agents.recurrent.collect import ActorState
from recgym.agents.recurrent.config import RecurrentPPOConfig
from recgym.agents.recurrent.context import Context
from recgym.agents.recurrent.policy import RecurrentPolicy
from recgym.agents.recurrent.world import WorldConfig, WorldContext

__all__ = ["RecurrentPPO", "RecurrentPPOConfig", "RecurrentPolicy", "ActorState", "Context", "WorldConfig",
           "WorldContext"]  # fmt: skip
