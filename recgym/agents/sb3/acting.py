"""A trained policy, apart from the learner that it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recgym.agents.base import NoState
from recgym.agents.sb3.config import AgentConfig
from recgym.agents.sb3.distributions import ActionDistribution
from recgym.agents.sb3.normalizer import Normalizer
from recgym.arrays import device_of, full
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
        if isinstance(observation, Mapping):
            tensors: Any = {key: self._tensor(value) for key, value in observation.items()}
        else:
            tensors = self._tensor(observation)
        return self.config.distribution(self.network, self.normalizer(tensors) if self.normalizer else tensors)

    def _tensor(self, array: Array) -> Tensor:
        return torch.as_tensor(array, device=self.device)

    @torch.no_grad()
    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`recgym.agents.Policy`. A greedy preference vector has the propensity NaN: it has no density."""
        distribution, device = self.distribution(observation), device_of(generator)
        action = distribution.mode() if greedy else distribution.sample(generator)
        if greedy:
            log_propensity: Array = full((action.shape[0],), distribution.mode_log_prob, "float32", device)
        else:
            log_propensity = _onto(distribution.log_prob(action), device)
        return Decision(_onto(action, device), log_propensity), state


def _onto(tensor: Tensor, device: str) -> Array:
    return tensor.cpu().numpy() if device == "numpy" else tensor.to(device)
