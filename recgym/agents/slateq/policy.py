"""A trained SlateQ policy, and how it explores."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.agents.base import NoState, as_tensors, onto
from recgym.agents.sb3.distributions import FORBIDDEN, Slates
from recgym.agents.slateq.network import SlateQNetwork
from recgym.agents.slateq.slates import Optimiser
from recgym.arrays import device_of, full, uniform
from recgym.types import Array, Decision, Generator

__all__ = ["EpsilonSlates", "SlateQPolicy", "slates"]


@dataclass(frozen=True)
class EpsilonSlates:
    """The best slate, or with probability epsilon K different candidates in random order, of those that are allowed.

    Attributes:
        best: the best slate, columns of the candidates.
        allowed: which candidates may be chosen; where fewer than K may, others fill the slate.
        epsilon: probability of a random slate.
    """

    best: Int64[Tensor, "B K"]
    allowed: Bool[Tensor, "B M"]
    epsilon: float

    def _random(self) -> Slates:
        logits = torch.where(self.allowed, 0.0, FORBIDDEN)
        return Slates(logits[:, None].expand(-1, self.best.shape[1], -1))

    def sample(self, generator: Generator) -> Int64[Tensor, "B K"]:
        """Draw a slate for each user."""
        if self.epsilon == 0:
            return self.best
        explores = torch.as_tensor(uniform(generator, (self.best.shape[0], 1))) < self.epsilon
        return torch.where(explores, self._random().sample(generator).reshape(self.best.shape), self.best)

    def log_prob(self, slate: Int64[Tensor, "B K"]) -> Float32[Tensor, "B"]:
        """Logarithm of the probability of each user's slate, in its order."""
        certain = (slate == self.best).all(1).float()
        if self.epsilon == 0:
            return certain.log()
        return ((1 - self.epsilon) * certain + self.epsilon * self._random().log_prob(slate).exp()).log()


def slates(
    network: SlateQNetwork, observation: dict[str, Tensor], serving: Optimiser, size: int, epsilon: float
) -> EpsilonSlates:
    """The slates that a network chooses from.

    Args:
        network: what is known.
        observation: of a batch of users.
        serving: finds the best slate.
        size: K.
        epsilon: probability of a random slate.
    """
    pickings = network(observation).pickings
    return EpsilonSlates(serving.solve(pickings, size), pickings.allowed, epsilon)


@dataclass(frozen=True)
class SlateQPolicy:
    """A policy as it was when it was taken from its agent.

    Attributes:
        network: a copy.
        serving: finds the slates.
        slate_size: K.
        epsilon: share of random slates where it is not greedy.
    """

    network: SlateQNetwork
    serving: Optimiser
    slate_size: int
    epsilon: float

    def init_state(self, users: int, device: str) -> NoState:
        """See :class:`recgym.agents.Policy`."""
        return NoState()

    @torch.no_grad()
    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`recgym.agents.Policy`."""
        chosen = slates(self.network, as_tensors(observation, "cpu"), self.serving, self.slate_size, self.epsilon)
        device = device_of(generator)
        if greedy:
            slate, log_propensity = chosen.best, full((chosen.best.shape[0],), 0.0, "float32", device)
        else:
            slate = chosen.sample(generator)
            log_propensity = onto(chosen.log_prob(slate).clamp(max=0.0), device)
        action: Array = onto(slate[:, 0] if self.slate_size == 1 else slate, device)
        return Decision(action, log_propensity), state

    @torch.no_grad()
    def log_prob(self, observation: Any, action: Array, state: NoState, greedy: bool = False) -> tuple[Array, NoState]:
        """See :class:`recgym.agents.LikelihoodPolicy`."""
        epsilon = 0.0 if greedy else self.epsilon
        chosen = slates(self.network, as_tensors(observation, "cpu"), self.serving, self.slate_size, epsilon)
        slate = torch.as_tensor(action).reshape(chosen.best.shape)
        return onto(chosen.log_prob(slate).clamp(max=0.0), device_of(action)), state
