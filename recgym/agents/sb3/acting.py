"""A trained policy, apart from the learner that it came from."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recgym.agents.base import NoState, as_tensors
from recgym.agents.sb3.config import AgentConfig
from recgym.agents.sb3.distributions import ActionDistribution, decide, likelihood
from recgym.agents.sb3.normalizer import Normalizer
from recgym.types import Array, Decision, Generator

__all__ = ["SB3Policy"]


@dataclass(frozen=True)
class SB3Policy:
    """A policy as it was when it was taken from its agent; see :class:`recgym.agents.Policy`.

    Attributes:
        config: of the agent.
        network: what acts, a copy.
        normalizer: scales of observations; None if they are not scaled.
        device: torch device of the network.
    """

    config: AgentConfig
    network: nn.Module
    normalizer: Normalizer | None
    device: str

    def init_state(self, users: int, device: str) -> NoState:
        """See :class:`recgym.agents.Policy`."""
        return NoState()

    @torch.no_grad()
    def distribution(self, observation: Any) -> ActionDistribution:
        """The distribution of each user's action.

        Args:
            observation: batched, as the environment gives it: numpy arrays or tensors.
        """
        tensors = as_tensors(observation, self.device)
        return self.config.distribution(self.network, self.normalizer(tensors) if self.normalizer else tensors)

    @torch.no_grad()
    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`recgym.agents.Policy`. A greedy preference vector has the propensity NaN: it has no density."""
        return decide(self.distribution(observation), generator, greedy), state

    @torch.no_grad()
    def log_prob(self, observation: Any, action: Array, state: NoState, greedy: bool = False) -> tuple[Array, NoState]:
        """See :class:`recgym.agents.LikelihoodPolicy`."""
        return likelihood(self.distribution(observation), action, greedy), state
