"""Policies of networks that look at one observation at a time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recgym.agents.base import NoState, as_tensors
from recgym.agents.sb3.distributions import decide, likelihood
from recgym.types import Array, Decision, Generator

__all__ = ["NetworkPolicy"]


@dataclass(frozen=True)
class NetworkPolicy:
    """A policy without memory.

    Attributes:
        network: from batched observations to distributions of actions, a copy of what learns.
        device: torch device of the network.
    """

    network: nn.Module
    device: str = "cpu"

    def init_state(self, users: int, device: str) -> NoState:
        """See :class:`recgym.agents.Policy`."""
        return NoState()

    @torch.no_grad()
    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`recgym.agents.Policy`."""
        return decide(self.network(as_tensors(observation, self.device)), generator, greedy), state

    @torch.no_grad()
    def log_prob(self, observation: Any, action: Array, state: NoState, greedy: bool = False) -> tuple[Array, NoState]:
        """See :class:`recgym.agents.LikelihoodPolicy`."""
        return likelihood(self.network(as_tensors(observation, self.device)), action, greedy), state
