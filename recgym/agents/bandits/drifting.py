"""Bandits that forget, for rewards that change.

=================  ===================================================================================================
DiscountedUCB      counts and sums shrink by gamma each round; mean + 2 sqrt(xi ln(sum n) / n)
SlidingWindowUCB   counts and sums of the last W rounds; mean + sqrt(xi ln(min(t, W)) / n)
DiscountedLinUCB   ``V = sum gamma^(t-s) x x^T + lambda I``, ``W`` the same with gamma^2;
                   ``x^T V^-1 b + alpha sqrt(x^T V^-1 W V^-1 x)``
SlidingLinUCB      ``V = lambda I + sum of x x^T`` over the last W rounds; LinUCB's index
=================  ===================================================================================================

Sources: Garivier and Moulines, ALT 2011 (the first two, whose bonus is scaled by ``alpha`` here); Russac, Vernade and
Cappé, NeurIPS 2019; Cheung, Simchi-Levi and Zhu, AISTATS 2019. The linear ones have weights for each arm over the
user's features. Nothing of rank one undoes what is forgotten of ``lambda I``, so they invert small matrices each round.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from recgym.agents.bandits.base import BanditSpec, Certain, Context, mask_of, one_hot, sums_by_arm

__all__ = ["DiscountedLinUCB", "DiscountedUCB", "SlidingLinUCB", "SlidingWindowUCB", "Window"]


def _check_gamma(gamma: float) -> None:
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie in (0, 1), found {gamma}")


def _check_window(window: int) -> None:
    if window < 1:
        raise ValueError(f"a window must hold at least 1 round, found {window}")


class Faded(NamedTuple):
    """What :class:`DiscountedUCB` knows: discounted counts and sums of rewards, ``[R, A]``."""

    number: Float64[np.ndarray, "R A"]
    total: Float64[np.ndarray, "R A"]


class Window(NamedTuple):
    """The last W rounds, a ring.

    Attributes:
        arm: shown in each round.
        x: features of its user; width 0 where they do not count.
        reward: what it brought.
        weight: 0 where there was nothing to learn, or no round yet.
        next: where the next round goes.
    """

    arm: Int64[np.ndarray, "R W U"]
    x: Float64[np.ndarray, "R W U d"]
    reward: Float64[np.ndarray, "R W U"]
    weight: Float64[np.ndarray, "R W U"]
    next: int


def _window(window: int, action: np.ndarray, width: int) -> Window:
    replications, users = action.shape
    shape = (replications, window, users)
    return Window(np.zeros(shape, np.int64), np.zeros((*shape, width)), np.zeros(shape), np.zeros(shape), 0)


def _put(ring: Window, action: np.ndarray, x: np.ndarray, reward: np.ndarray, weight: np.ndarray) -> Window:
    at = ring.next
    ring.arm[:, at], ring.x[:, at], ring.reward[:, at], ring.weight[:, at] = action, x, reward, weight
    return ring._replace(next=(at + 1) % ring.arm.shape[1])


class Recent(NamedTuple):
    """What :class:`SlidingWindowUCB` knows.

    Attributes:
        number: how often each arm was shown within the window.
        total: what it brought there.
        ring: the window; None before the first round.
    """

    number: Float64[np.ndarray, "R A"]
    total: Float64[np.ndarray, "R A"]
    ring: Window | None


def _shown(state: Faded | Recent, context: Context, bonus: np.ndarray) -> np.ndarray:
    """The index for each user, infinite where nothing is known."""
    mean = state.total / np.maximum(state.number, 1e-12)
    index = np.where(state.number > 1e-9, mean + bonus, np.inf)
    return np.broadcast_to(index[:, None], (index.shape[0], context.user.shape[1], index.shape[1]))


@dataclass(frozen=True)
class DiscountedUCB(Certain[Faded]):
    """See the module.

    Attributes:
        gamma: what a round later counts.
        xi: of the bonus.
        alpha: scale of the bonus; 1 as published.
    """

    gamma: float = 0.99
    xi: float = 0.6
    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check_gamma(self.gamma)

    def init_state(self, spec: BanditSpec) -> Faded:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return Faded(np.zeros((spec.replications, spec.arms)), np.zeros((spec.replications, spec.arms)))

    def scores(self, state: Faded, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        rounds = np.log(np.maximum(state.number.sum(1, keepdims=True), 1.0))
        bonus = 2 * self.alpha * np.sqrt(self.xi * rounds / np.maximum(state.number, 1e-12))
        scores: np.ndarray = _shown(state, context, bonus)
        return scores

    def update(
        self,
        state: Faded,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Faded:
        """See :class:`recgym.agents.bandits.Bandit`. Time passes where nothing is learned, too."""
        arms, weight = state.number.shape[1], mask_of(mask, action)
        number, total = self.gamma * state.number, self.gamma * state.total
        return Faded(number + sums_by_arm(action, weight, arms), total + sums_by_arm(action, weight * reward, arms))


@dataclass(frozen=True)
class SlidingWindowUCB(Certain[Recent]):
    """See the module.

    Attributes:
        window: W, rounds.
        xi: of the bonus.
        alpha: scale of the bonus; 1 as published.
    """

    window: int = 500
    xi: float = 0.6
    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check_window(self.window)

    def init_state(self, spec: BanditSpec) -> Recent:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return Recent(np.zeros((spec.replications, spec.arms)), np.zeros((spec.replications, spec.arms)), None)

    def scores(self, state: Recent, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        rounds = np.log(np.maximum(state.number.sum(1, keepdims=True), 1.0))
        bonus = self.alpha * np.sqrt(self.xi * rounds / np.maximum(state.number, 1e-12))
        scores: np.ndarray = _shown(state, context, bonus)
        return scores

    def update(
        self,
        state: Recent,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Recent:
        """See :class:`recgym.agents.bandits.Bandit`. Every round has the same number of users."""
        arms, weight = state.number.shape[1], mask_of(mask, action)
        ring = _window(self.window, action, 0) if state.ring is None else state.ring
        old, gone = ring.arm[:, ring.next], ring.weight[:, ring.next]
        number = state.number + sums_by_arm(action, weight, arms) - sums_by_arm(old, gone, arms)
        left = sums_by_arm(old, gone * ring.reward[:, ring.next], arms)
        total = state.total + sums_by_arm(action, weight * reward, arms) - left
        nothing = np.zeros((*action.shape, 0))
        return Recent(np.round(number), total, _put(ring, action, nothing, reward, weight))


class LinearSums(NamedTuple):
    """What the linear bandits know, of each arm.

    Attributes:
        gram: sum of ``x x^T``, forgotten as the bandit forgets.
        square: the same, forgotten with the square of gamma; equal to ``gram`` for a window.
        pull: sum of ``reward x``.
        ring: the window; None where there is none, or before the first round.
    """

    gram: Float64[np.ndarray, "R A d d"]
    square: Float64[np.ndarray, "R A d d"]
    pull: Float64[np.ndarray, "R A d"]
    ring: Window | None


def _linear_start(spec: BanditSpec) -> LinearSums:
    if spec.width < 1:
        raise ValueError("a linear bandit needs features of users, found none")
    gram = np.zeros((spec.replications, spec.arms, spec.width, spec.width))
    return LinearSums(gram, gram.copy(), np.zeros(gram.shape[:3]), None)


def _terms(action: np.ndarray, x: np.ndarray, reward: np.ndarray, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """What a round adds to ``gram`` and ``pull``."""
    member = one_hot(action, arms).swapaxes(1, 2)
    gram = member @ (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:2], -1)
    return gram.reshape(*gram.shape[:2], x.shape[-1], x.shape[-1]), member @ (x * reward[..., None])


def _linear_index(state: LinearSums, x: np.ndarray, alpha: float, precision: float) -> np.ndarray:
    one = precision * np.eye(x.shape[-1])
    inverse = np.linalg.inv(state.gram + one)
    mean = x @ (inverse @ state.pull[..., None])[..., 0].swapaxes(1, 2)
    cover = (inverse @ (state.square + one) @ inverse).reshape(*inverse.shape[:2], -1)
    variance = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:2], -1) @ cover.swapaxes(1, 2)
    bound: np.ndarray = mean + alpha * np.sqrt(np.maximum(variance, 0))
    return bound


@dataclass(frozen=True)
class DiscountedLinUCB(Certain[LinearSums]):
    """See the module.

    Attributes:
        gamma: what a round later counts.
        alpha: width of the error bar.
        precision: lambda.
    """

    gamma: float = 0.995
    alpha: float = 1.0
    precision: float = 1.0

    def __post_init__(self) -> None:
        _check_gamma(self.gamma)

    def init_state(self, spec: BanditSpec) -> LinearSums:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return _linear_start(spec)

    def scores(self, state: LinearSums, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        scores: np.ndarray = _linear_index(state, context.user, self.alpha, self.precision)
        return scores

    def update(
        self,
        state: LinearSums,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> LinearSums:
        """See :class:`recgym.agents.bandits.Bandit`. Time passes where nothing is learned, too."""
        x = context.user * mask_of(mask, action)[..., None]
        gram, pull = _terms(action, x, reward, state.pull.shape[1])
        g = self.gamma
        return LinearSums(g * state.gram + gram, g * g * state.square + gram, g * state.pull + pull, None)


@dataclass(frozen=True)
class SlidingLinUCB(Certain[LinearSums]):
    """See the module.

    Attributes:
        window: W, rounds.
        alpha: width of the error bar.
        precision: lambda.
    """

    window: int = 1000
    alpha: float = 1.0
    precision: float = 1.0

    def __post_init__(self) -> None:
        _check_window(self.window)

    def init_state(self, spec: BanditSpec) -> LinearSums:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return _linear_start(spec)

    def scores(self, state: LinearSums, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        scores: np.ndarray = _linear_index(state, context.user, self.alpha, self.precision)
        return scores

    def update(
        self,
        state: LinearSums,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> LinearSums:
        """See :class:`recgym.agents.bandits.Bandit`. Every round has the same number of users."""
        arms, weight = state.pull.shape[1], mask_of(mask, action)
        ring = _window(self.window, action, context.user.shape[-1]) if state.ring is None else state.ring
        at, x = ring.next, context.user * weight[..., None]
        gram, pull = _terms(action, x, reward, arms)
        old_gram, old_pull = _terms(ring.arm[:, at], ring.x[:, at], ring.reward[:, at], arms)
        gram = state.gram + gram - old_gram
        return LinearSums(gram, gram, state.pull + pull - old_pull, _put(ring, action, x, reward, weight))
