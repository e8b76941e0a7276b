"""Distributions over actions: each draw takes its randomness from a generator, each action has its probability."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional

from recgym.agents.base import onto
from recgym.arrays import device_of, full, normal, uniform
from recgym.types import Array, Decision, Generator

__all__ = [
    "FORBIDDEN", "ActionDistribution", "Certain", "EpsilonGreedy", "Slates", "SquashedGaussian", "decide", "likelihood",
]  # fmt: skip

FORBIDDEN = -1e9
"""The logit of what must not be chosen: finite, so that a user to whom all is forbidden still gets something."""

_TAKEN = 2 * FORBIDDEN  # below what is forbidden: where too few are allowed, a slate still does not repeat an item

_EDGE = 1 - 1e-6  # float32 actions closer to the bounds of the box than this have no pre-image


@runtime_checkable
class ActionDistribution(Protocol):
    """The actions of a batch of users.

    A generator of None stands for torch's global one, which Stable-Baselines3 trains with.
    """

    def sample(self, generator: Generator | None) -> Tensor:
        """Draw an action for each user."""
        ...

    def mode(self) -> Tensor:
        """The likeliest action of each user."""
        ...

    def log_prob(self, action: Tensor) -> Float32[Tensor, "B"]:
        """Logarithm of the (joint) probability of each user's action, or of its density."""
        ...

    @property
    def mode_log_prob(self) -> float:
        """Log-propensity of a policy that always takes the mode: 0, or NaN where actions have a density."""
        ...


def _uniforms(generator: Generator | None, shape: tuple[int, ...], device: torch.device) -> Tensor:
    if generator is None:
        return torch.rand(shape, device=device)
    return torch.as_tensor(uniform(generator, shape), device=device)


def _pick(probability: Float32[Tensor, "B M"], threshold: Float32[Tensor, "B"]) -> Int64[Tensor, "B"]:
    """The column at which the cumulative probability passes the threshold in [0, 1)."""
    cumulative = probability.cumsum(1)
    passed = cumulative[:, :-1] <= threshold[:, None] * cumulative[:, -1:]
    return passed.sum(1)


@dataclass(frozen=True)
class Slates:
    """K different candidates in order, one position after the other: each draws from what its logits leave.

    The probability of a slate is ``prod_k softmax(logits[k], without earlier picks)[pick k]``. For K = 1 it is the
    plain categorical distribution, and actions have the shape ``[B]``.

    Attributes:
        logits: one row a position of the slate.
    """

    logits: Float32[Tensor, "B K M"]

    mode_log_prob = 0.0

    def _columns(self, action: Tensor) -> Int64[Tensor, "B K"]:
        return action.long().reshape(-1, self.logits.shape[1])

    def _conditional(self, picks: Int64[Tensor, "B K"]) -> Float32[Tensor, "B K M"]:
        """Log-probabilities of each position, given the picks of the earlier ones."""
        if picks.shape[1] == 1:
            return functional.log_softmax(self.logits, -1)
        one_hot = functional.one_hot(picks, self.logits.shape[2])
        taken = (one_hot.cumsum(1) - one_hot) > 0
        return functional.log_softmax(self.logits.masked_fill(taken, _TAKEN), -1)

    def _build(self, choose: "_Choice") -> Tensor:
        """Fill the positions in order; the loop is over the K positions, never over users."""
        logits, picks = self.logits, []
        for position in range(logits.shape[1]):
            pick = choose(logits[:, position], position)
            picks.append(pick)
            logits = logits.scatter(2, pick[:, None, None].expand(-1, logits.shape[1], 1), _TAKEN)
        return picks[0] if len(picks) == 1 else torch.stack(picks, 1)

    def sample(self, generator: Generator | None) -> Tensor:
        """See :class:`ActionDistribution`."""
        threshold = _uniforms(generator, tuple(self.logits.shape[:2]), self.logits.device)
        return self._build(lambda row, position: _pick(functional.softmax(row, -1), threshold[:, position]))

    def mode(self) -> Tensor:
        """The likeliest item at each position, given those before it."""
        return self._build(lambda row, position: row.argmax(-1))

    def log_prob(self, action: Tensor) -> Float32[Tensor, "B"]:
        """See :class:`ActionDistribution`. A slate with a repeated item has a probability of 0."""
        picks = self._columns(action)
        return self._conditional(picks).gather(2, picks[:, :, None])[:, :, 0].sum(1)

    def entropy(self, action: Tensor) -> Float32[Tensor, "B"]:
        """Sum of the positions' entropies given the earlier picks of ``action``: over draws, the entropy of slates."""
        log_probability = self._conditional(self._columns(action))
        return -(log_probability.exp() * log_probability).sum((1, 2))


@runtime_checkable
class _Choice(Protocol):
    def __call__(self, row: Float32[Tensor, "B M"], position: int) -> Int64[Tensor, "B"]: ...


@dataclass(frozen=True)
class EpsilonGreedy:
    """The candidate of the highest value, or with probability epsilon any that is allowed.

    Attributes:
        values: of each candidate.
        allowed: which candidates may be chosen.
        epsilon: probability of a uniform draw.
    """

    values: Float32[Tensor, "B M"]
    allowed: Bool[Tensor, "B M"]
    epsilon: float

    mode_log_prob = 0.0

    def _probability(self) -> Float32[Tensor, "B M"]:
        allowed = self.allowed.float()
        best = functional.one_hot(self.mode(), self.values.shape[1])
        return (1 - self.epsilon) * best + self.epsilon * allowed / allowed.sum(1, keepdim=True)

    def sample(self, generator: Generator | None) -> Tensor:
        """See :class:`ActionDistribution`."""
        return _pick(self._probability(), _uniforms(generator, (self.values.shape[0],), self.values.device))

    def mode(self) -> Int64[Tensor, "B"]:
        """See :class:`ActionDistribution`."""
        return self.values.masked_fill(~self.allowed, FORBIDDEN).argmax(1)

    def log_prob(self, action: Tensor) -> Float32[Tensor, "B"]:
        """See :class:`ActionDistribution`."""
        return self._probability().gather(1, action.long().reshape(-1, 1))[:, 0].log()


@dataclass(frozen=True)
class SquashedGaussian:
    """``tanh`` of independent normal variables: a density on the box (-1, 1)^D.

    Attributes:
        mean: of the normal variables.
        log_std: logarithm of their standard deviations.
    """

    mean: Float32[Tensor, "B D"]
    log_std: Float32[Tensor, "B D"]

    mode_log_prob = math.nan

    def sample(self, generator: Generator | None) -> Float32[Tensor, "B D"]:
        """See :class:`ActionDistribution`."""
        shape = tuple(self.mean.shape)
        if generator is None:
            noise = torch.randn(shape, device=self.mean.device)
        else:
            noise = torch.as_tensor(normal(generator, shape), device=self.mean.device)
        return torch.tanh(self.mean + self.log_std.exp() * noise).clamp(-_EDGE, _EDGE)

    def mode(self) -> Float32[Tensor, "B D"]:
        """The image of the mean."""
        return torch.tanh(self.mean)

    def log_prob(self, action: Tensor) -> Float32[Tensor, "B"]:
        """See :class:`ActionDistribution`; actions on the very bounds count as just inside."""
        action = action.clamp(-_EDGE, _EDGE)
        z = (torch.atanh(action) - self.mean) / self.log_std.exp()
        density = -0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return (density - torch.log1p(-action.square())).sum(1)

    def entropy(self, action: Tensor) -> Float32[Tensor, "B"]:
        """Entropy of the normal variables, and an estimate from one draw of what squashing takes from it."""
        gaussian = self.log_std + 0.5 * math.log(2 * math.pi * math.e)
        return (gaussian + torch.log1p(-action.clamp(-_EDGE, _EDGE).square())).sum(1)


@dataclass(frozen=True)
class Certain:
    """One preference vector for certain: it has no density.

    Attributes:
        action: of each user.
    """

    action: Float32[Tensor, "B D"]

    mode_log_prob = math.nan

    def sample(self, generator: Generator | None) -> Float32[Tensor, "B D"]:
        """See :class:`ActionDistribution`; there is nothing to draw."""
        return self.action

    def mode(self) -> Float32[Tensor, "B D"]:
        """See :class:`ActionDistribution`."""
        return self.action

    def log_prob(self, action: Tensor) -> Float32[Tensor, "B"]:
        """NaN: a deterministic continuous action has no density."""
        return torch.full((action.shape[0],), math.nan, device=action.device)


def decide(distribution: ActionDistribution, generator: Generator, greedy: bool) -> Decision:
    """An action of each user and how likely it was, where the generator lives."""
    device = device_of(generator)
    action = distribution.mode() if greedy else distribution.sample(generator)
    if greedy:
        log_propensity: Array = full((action.shape[0],), distribution.mode_log_prob, "float32", device)
    else:
        log_propensity = onto(distribution.log_prob(action), device)
    return Decision(onto(action, device), log_propensity)


def likelihood(distribution: ActionDistribution, action: Array, greedy: bool) -> Array:
    """Log-probability of given actions, where they live; greedy, of the policy that always takes the mode."""
    chosen = torch.as_tensor(action)
    if not greedy:
        return onto(distribution.log_prob(chosen), device_of(action))
    same = chosen == distribution.mode()
    same = same if same.ndim == 1 else same.all(1)
    certain = torch.where(same, 0.0, -math.inf) + distribution.mode_log_prob
    return onto(certain.float(), device_of(action))
