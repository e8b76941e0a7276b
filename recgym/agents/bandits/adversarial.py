"""Bandits that assume nothing of rewards but their bounds, [0, 1].

EXP3 keeps a weight for each arm, plays ``p = (1 - gamma) w / sum(w) + gamma / A`` and multiplies the weight of the arm
it played by ``exp(gamma r / (p A))``. EXP4 keeps weights of experts, each of whom advises a distribution of arms, and
multiplies them by ``exp(gamma y / A)``, where ``y`` is the expert's probability of the arm times ``r / p``. Source:
Auer, Cesa-Bianchi, Freund and Schapire, SIAM J. Comput. 32 (2002). With U users in a round, their terms are added up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recgym.agents.bandits.base import BanditSpec, Context, draw, mask_of, sums_by_arm

__all__ = ["EXP3", "EXP4", "Advice", "Weights"]

Advice = Callable[[Context], Float64[np.ndarray, "R U E A"]]
"""From a context to the distribution of arms that each of E experts advises."""


class Weights(NamedTuple):
    """Logarithms of the weights of arms or experts.

    Attributes:
        log_weight: ``[R, A]`` or ``[R, E]``; the largest of each row is 0.
    """

    log_weight: Float64[np.ndarray, "R E"]


def _moved(log_weight: np.ndarray, step: np.ndarray) -> Weights:
    """After a step, kept in range: only differences matter."""
    log_weight = log_weight + step
    return Weights(log_weight - log_weight.max(1, keepdims=True))


def _mixed(chance: np.ndarray, allowed: Bool[np.ndarray, "R U A"] | None, gamma: float) -> np.ndarray:
    """Only allowed arms, each with at least its share of gamma."""
    open_arms = np.ones(chance.shape, bool) if allowed is None else allowed
    chance = np.where(open_arms, chance, 0.0)
    chance = chance / np.maximum(chance.sum(-1, keepdims=True), 1e-300)
    mixed: np.ndarray = (1 - gamma) * chance + gamma * open_arms / open_arms.sum(-1, keepdims=True)
    return mixed


@dataclass(frozen=True)
class EXP3:
    """See the module.

    Attributes:
        gamma: share of uniform exploration, and the learning rate.
    """

    gamma: float = 0.1
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma must lie in (0, 1], found {self.gamma}")

    def init_state(self, spec: BanditSpec) -> Weights:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return Weights(np.zeros((spec.replications, spec.arms)))

    def probabilities(
        self, state: Weights, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        weight = np.exp(state.log_weight)[:, None]
        shape = (weight.shape[0], context.user.shape[1], weight.shape[2])
        return _mixed(np.broadcast_to(weight, shape), context.allowed, self.gamma)

    def choose(self, state: Weights, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return draw(self.probabilities(state, context, generator), generator)

    def update(
        self,
        state: Weights,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Weights:
        """See :class:`recgym.agents.bandits.Bandit`. Propensities are those of the state that goes in."""
        arms = state.log_weight.shape[1]
        chance = self.probabilities(state, context, np.random.default_rng(0))  # exact, so it draws nothing
        taken = np.take_along_axis(chance, action[..., None], 2)[..., 0]
        gain = mask_of(mask, action) * reward / taken
        return _moved(state.log_weight, self.gamma / arms * sums_by_arm(action, gain, arms))


@dataclass(frozen=True)
class EXP4:
    """See the module.

    Attributes:
        advice: of the experts.
        experts: E, how many there are.
        gamma: share of uniform exploration, and the learning rate.
    """

    advice: Advice
    experts: int
    gamma: float = 0.1
    exact: ClassVar[bool] = True

    def init_state(self, spec: BanditSpec) -> Weights:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return Weights(np.zeros((spec.replications, self.experts)))

    def probabilities(
        self, state: Weights, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        weight = np.exp(state.log_weight)
        chance = np.einsum("re,ruea->rua", weight / weight.sum(1, keepdims=True), self.advice(context))
        return _mixed(chance, context.allowed, self.gamma)

    def choose(self, state: Weights, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return draw(self.probabilities(state, context, generator), generator)

    def update(
        self,
        state: Weights,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Weights:
        """See :class:`recgym.agents.bandits.Bandit`."""
        advice = self.advice(context)
        chance = self.probabilities(state, context, np.random.default_rng(0))
        taken = np.take_along_axis(chance, action[..., None], 2)[..., 0]
        gain = mask_of(mask, action) * reward / taken
        meant = np.take_along_axis(advice, action[:, :, None, None], 3)[..., 0]
        return _moved(state.log_weight, self.gamma / chance.shape[-1] * (meant * gain[..., None]).sum(1))
