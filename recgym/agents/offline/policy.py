"""Policies of networks that look at one observation at a time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recgym.agents.base import NoState, as_tensors, onto
from recgym.agents.sb3.distributions import ActionDistribution
from recgym.arrays import device_of, full
from recgym.types import Array, Decision, Generator

__all__ = ["NetworkPolicy", "decide"]


def decide(distribution: ActionDistribution, generator: Generator, greedy: bool) -> Decision:
    """An action of each user and how likely it was, where the generator lives."""
    device = device_of(generator)
    action = distribution.mode() if greedy else distribution.sample(generator)
    if greedy:
        log_propensity: Array = full((action.shape[0],), distribution.mode_log_prob, "float32", device)
    else:
        log_propensity = onto(distribution.log_prob(action), device)
    return Decision(onto(action, device), log_propensity)


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
