"""Bandits that look at how often each arm was shown and what it brought, and at nothing else.

=============  =======================================================================================================
EpsilonGreedy  the best mean, or with probability epsilon any arm
UCB1           mean + alpha sqrt(2 ln t / n): Auer, Cesa-Bianchi and Fischer, Machine Learning 47 (2002)
KLUCB          the largest q with n kl(mean, q) <= ln t + c ln ln t: Garivier and Cappé, COLT 2011
MOSS           mean + sqrt(max(ln(T / (A n)), 0) / n), horizon T known: Audibert and Bubeck, COLT 2009
BernoulliTS    a draw from Beta(a + successes, b + failures): Chapelle and Li, NIPS 2011
GaussianTS     a draw from the normal posterior of the mean: Agrawal and Goyal, AISTATS 2013
=============  =======================================================================================================

Arms that were never shown come first, in order. Rewards of UCB1, KLUCB, MOSS and BernoulliTS lie in [0, 1].
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.special import betainc, betaincinv

from recgym.agents.bandits.base import (
    BanditSpec,
    Certain,
    Context,
    best,
    draw,
    gaussian_best,
    mask_of,
    one_hot,
    sums_by_arm,
)

__all__ = ["KLUCB", "MOSS", "UCB1", "BernoulliTS", "Counts", "EpsilonGreedy", "GaussianTS", "kl_index", "means"]

_LEVELS = 128
_HALVINGS = 40


class Counts(NamedTuple):
    """What counting bandits know.

    Attributes:
        number: how often each arm was shown.
        total: the sum of what it brought.
    """

    number: Float64[np.ndarray, "R A"]
    total: Float64[np.ndarray, "R A"]


def means(state: Counts) -> Float64[np.ndarray, "R A"]:
    """Mean reward of each arm; 0 for arms that were never shown."""
    average: np.ndarray = state.total / np.maximum(state.number, 1)
    return average


class _Counting:
    """A counting bandit lacks only its way to choose."""

    def init_state(self, spec: BanditSpec) -> Counts:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return Counts(np.zeros((spec.replications, spec.arms)), np.zeros((spec.replications, spec.arms)))

    def update(
        self,
        state: Counts,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Counts:
        """See :class:`recgym.agents.bandits.Bandit`."""
        arms, weight = state.number.shape[1], mask_of(mask, action)
        return Counts(
            state.number + sums_by_arm(action, weight, arms), state.total + sums_by_arm(action, weight * reward, arms)
        )


def _rows(table: Float64[np.ndarray, "R A"], context: Context) -> Float64[np.ndarray, "R U A"]:
    """The same row for every user of a replication."""
    return np.broadcast_to(table[:, None], (table.shape[0], context.user.shape[1], table.shape[1]))


class _Index(_Counting, Certain[Counts]):
    """A counting bandit that takes the arm with the largest index: its choices are certain."""

    @abstractmethod
    def index(self, state: Counts) -> Float64[np.ndarray, "R A"]:
        """The index of each arm; infinite for arms that were never shown."""

    def scores(self, state: Counts, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        scores: np.ndarray = _rows(self.index(state), context)
        return scores


@dataclass(frozen=True)
class UCB1(_Index):
    """See the module.

    Attributes:
        alpha: 1 for the published bonus; less explores less.
    """

    alpha: float = 1.0

    def index(self, state: Counts) -> Float64[np.ndarray, "R A"]:
        """See :class:`_Index`."""
        shown = np.maximum(state.number, 1)
        bonus = np.sqrt(2 * np.log(np.maximum(state.number.sum(1, keepdims=True), 1)) / shown)
        return np.where(state.number > 0, means(state) + self.alpha * bonus, np.inf)


@dataclass(frozen=True)
class KLUCB(_Index):
    """See the module.

    Attributes:
        c: weight of ``ln ln t``; 3 in the proof, 0 recommended in practice.
    """

    c: float = 0.0

    def index(self, state: Counts) -> Float64[np.ndarray, "R A"]:
        """See :class:`_Index`."""
        rounds = np.log(np.maximum(state.number.sum(1, keepdims=True), np.e))
        room = (rounds + self.c * np.log(np.maximum(rounds, 1.0))) / np.maximum(state.number, 1)
        index: np.ndarray = np.where(state.number > 0, kl_index(means(state), room), np.inf)
        return index


def kl_index(mean: Float64[np.ndarray, "R A"], room: Float64[np.ndarray, "R A"]) -> Float64[np.ndarray, "R A"]:
    """The largest q in [mean, 1] with ``kl(mean, q) <= room``, by bisection to 1e-12."""
    low, high = mean, np.ones_like(mean)
    p = np.clip(mean, 1e-15, 1 - 1e-15)
    entropy = p * np.log(p) + (1 - p) * np.log1p(-p)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        q = np.clip(middle, 1e-15, 1 - 1e-15)
        fits = entropy - p * np.log(q) - (1 - p) * np.log1p(-q) <= room
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    solution: np.ndarray = (low + high) / 2
    return solution


@dataclass(frozen=True)
class MOSS(_Index):
    """See the module.

    Attributes:
        horizon: T, rounds in all.
    """

    horizon: int

    def index(self, state: Counts) -> Float64[np.ndarray, "R A"]:
        """See :class:`_Index`."""
        shown = np.maximum(state.number, 1)
        bonus = np.sqrt(np.maximum(np.log(self.horizon / (shown.shape[1] * shown)), 0.0) / shown)
        return np.where(state.number > 0, means(state) + bonus, np.inf)


@dataclass(frozen=True)
class EpsilonGreedy(_Counting):
    """See the module.

    Attributes:
        epsilon: probability of any allowed arm.
    """

    epsilon: float = 0.1
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon must lie in [0, 1], found {self.epsilon}")

    def probabilities(
        self, state: Counts, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        score = _rows(np.where(state.number > 0, means(state), np.inf), context)
        allowed = np.ones(score.shape, bool) if context.allowed is None else context.allowed
        anything = allowed / allowed.sum(-1, keepdims=True)
        chance: np.ndarray = (1 - self.epsilon) * one_hot(best(score, allowed), score.shape[-1])
        mixed: np.ndarray = chance + self.epsilon * anything
        return mixed

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return draw(self.probabilities(state, context, generator), generator)


@dataclass(frozen=True)
class BernoulliTS(_Counting):
    """See the module.

    Attributes:
        successes: ``a`` of the prior.
        failures: ``b`` of the prior.
    """

    successes: float = 1.0
    failures: float = 1.0
    exact: ClassVar[bool] = True

    def _beta(self, state: Counts) -> tuple[np.ndarray, np.ndarray]:
        return self.successes + state.total, self.failures + state.number - state.total

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        a, b = self._beta(state)
        return best(generator.beta(_rows(a, context), _rows(b, context)), context.allowed)

    def probabilities(
        self, state: Counts, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`. The midpoint rule on each arm's quantiles."""
        a, b = self._beta(state)
        value = betaincinv(a[..., None], b[..., None], (np.arange(_LEVELS) + 0.5) / _LEVELS)
        below = betainc(a[:, None, :, None], b[:, None, :, None], value[:, :, None])
        arms = np.arange(a.shape[1])
        below[:, arms, arms] = 1.0
        if context.allowed is None:
            chance = _rows(below.prod(2).mean(-1), context)
        else:
            counted = np.where(context.allowed[:, :, None, :, None], below[:, None], 1.0)
            chance = np.where(context.allowed, counted.prod(3).mean(-1), 0.0)
        normalised: np.ndarray = chance / chance.sum(-1, keepdims=True)
        return normalised


@dataclass(frozen=True)
class GaussianTS(_Counting):
    """See the module.

    Attributes:
        prior_sd: standard deviation of an arm's mean reward around 0, before anything is known.
        noise_sd: standard deviation of a reward around its arm's mean.
    """

    prior_sd: float = 1.0
    noise_sd: float = 1.0
    exact: ClassVar[bool] = True

    def posterior(self, state: Counts) -> tuple[Float64[np.ndarray, "R A"], Float64[np.ndarray, "R A"]]:
        """Mean and standard deviation of each arm's mean reward."""
        precision = self.prior_sd**-2 + state.number / self.noise_sd**2
        return state.total / self.noise_sd**2 / precision, precision**-0.5

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, sd = self.posterior(state)
        noise = generator.standard_normal((mean.shape[0], context.user.shape[1], mean.shape[1]))
        return best(mean[:, None] + sd[:, None] * noise, context.allowed)

    def probabilities(
        self, state: Counts, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, sd = self.posterior(state)
        if context.allowed is None:
            return _rows(gaussian_best(mean[:, None], sd[:, None], None)[:, 0], context)
        return gaussian_best(_rows(mean, context), _rows(sd, context), context.allowed)
