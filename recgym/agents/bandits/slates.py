"""Bandits that choose slates of K different arms.

RankedBandit     a bandit of its own for each position; a position whose arm stands above already shows the first arm
                 that is free, and learns nothing good from it: Radlinski, Kleinberg and Joachims, ICML 2008
CascadeUCB       users look from the top and stop at the first click; UCB1's or KL-UCB's index of each arm's
                 attraction, learned from the positions that were looked at: Kveton et al., ICML 2015
CascadeTS        the same with draws from Beta posteriors: Cheung, Tan and Zhong, AISTATS 2019
TopKLinUCB       the K largest indices of LinUCB with shared weights; cascading or every position: Zong et al., UAI 2016

Rewards come per position, 1 for a click. Which positions a cascading user looked at follows from the first click.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recgym.agents.bandits.base import Bandit, BanditSpec, Context, best_k, mask_of, sums_by_arm
from recgym.agents.bandits.counting import UCB1, Counts, kl_index, means
from recgym.agents.bandits.linear import items_of
from recgym.agents.bandits.ridge import Ridge, learn, predict_shared, start

__all__ = ["CascadeTS", "CascadeUCB", "RankedBandit", "TopKLinUCB", "looked_at"]


def looked_at(reward: Float64[np.ndarray, "R U K"]) -> Bool[np.ndarray, "R U K"]:
    """The positions down to the first click; all where there is none."""
    clicks_above = (reward > 0).cumsum(-1) - (reward > 0)
    seen: np.ndarray = clicks_above == 0
    return seen


def _same(slate: np.ndarray, other: np.ndarray) -> np.ndarray:
    """1 where two slates are equal, else 0."""
    equal: np.ndarray = (slate == other).all(-1).astype(np.float64)
    return equal


def _check_size(slate_size: int, arms: int) -> None:
    if not 1 <= slate_size <= arms:
        raise ValueError(f"a slate of {slate_size} different arms cannot be made of {arms}")


class RankedState(NamedTuple):
    """What :class:`RankedBandit` knows.

    Attributes:
        positions: the state of the bandit, with K replications in place of each.
        arms: A.
    """

    positions: Any
    arms: int


@dataclass(frozen=True)
class RankedBandit:
    """See the module.

    Difference from the paper: a position that shows a replacement learns from the replacement, which the paper's counts
    as no click on the arm that was wanted.

    Attributes:
        bandit: of each position, with exact propensities; they are K times R replications of it.
        slate_size: K.
    """

    bandit: Bandit[Any]
    slate_size: int
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.bandit.exact:
            raise ValueError(f"ranked bandits need exact propensities, which {type(self.bandit).__name__} has not")

    def init_state(self, spec: BanditSpec) -> RankedState:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        _check_size(self.slate_size, spec.arms)
        positions = spec._replace(replications=spec.replications * self.slate_size)
        return RankedState(self.bandit.init_state(positions), spec.arms)

    def _by_position(self, array: np.ndarray) -> np.ndarray:
        """From ``[R K, U, ...]`` to ``[R, U, K, ...]``."""
        return np.moveaxis(array.reshape(-1, self.slate_size, *array.shape[1:]), 1, 2)

    def choose(
        self, state: RankedState, context: Context, generator: np.random.Generator
    ) -> Int64[np.ndarray, "R U K"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        wanted = self._by_position(self.bandit.choose(state.positions, context.repeated(self.slate_size, 0), generator))
        return _without_repeats(wanted, state.arms, context.allowed)

    def probability(
        self, state: RankedState, context: Context, slate: Int64[np.ndarray, "R U K"], generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.SlateBandit`. A position's arm, or an arm that it could not show."""
        chance = self._by_position(
            self.bandit.probabilities(state.positions, context.repeated(self.slate_size, 0), generator)
        )
        total, taken = np.ones(slate.shape[:2]), np.zeros((*slate.shape[:2], state.arms), bool)
        for position in range(self.slate_size):
            arm = slate[..., position, None]
            own = np.take_along_axis(chance[:, :, position], arm, 2)[..., 0]
            is_free = _first_free(taken, context.allowed) == arm[..., 0]
            repeated = (chance[:, :, position] * taken).sum(-1)
            total = total * (own + is_free * repeated)
            np.put_along_axis(taken, arm, True, 2)
        return total

    def update(
        self,
        state: RankedState,
        context: Context,
        slate: Int64[np.ndarray, "R U K"],
        reward: Float64[np.ndarray, "R U K"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> RankedState:
        """See :class:`recgym.agents.bandits.SlateBandit`.

        A position learns from the arm that it shows. Only the first click of a slate counts, so that lower positions
        learn what the higher ones leave.
        """
        action, gain = np.moveaxis(slate, 2, 1), np.moveaxis(reward * looked_at(reward), 2, 1)
        flat = (-1, slate.shape[1])
        many = None if mask is None else np.repeat(mask, self.slate_size, 0)
        learned = self.bandit.update(
            state.positions, context.repeated(self.slate_size, 0), action.reshape(flat), gain.reshape(flat), many
        )
        return state._replace(positions=learned)


def _first_free(taken: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """The first arm that may still be shown."""
    free: np.ndarray = (~taken if allowed is None else ~taken & allowed).argmax(-1)
    return free


def _without_repeats(wanted: np.ndarray, arms: int, allowed: np.ndarray | None) -> np.ndarray:
    """Slates in which a repeated arm is replaced by the first free one; a loop over positions."""
    slate, taken = wanted.copy(), np.zeros((*wanted.shape[:2], arms), bool)
    for position in range(wanted.shape[2]):
        arm = slate[..., position, None]
        repeated = np.take_along_axis(taken, arm, 2)
        arm = np.where(repeated, _first_free(taken, allowed)[..., None], arm)
        slate[..., position] = arm[..., 0]
        np.put_along_axis(taken, arm, True, 2)
    return slate


class _Cascade:
    """Counts of how often each arm was looked at and clicked."""

    slate_size: int

    def init_state(self, spec: BanditSpec) -> Counts:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        _check_size(self.slate_size, spec.arms)
        return Counts(np.zeros((spec.replications, spec.arms)), np.zeros((spec.replications, spec.arms)))

    def update(
        self,
        state: Counts,
        context: Context,
        slate: Int64[np.ndarray, "R U K"],
        reward: Float64[np.ndarray, "R U K"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Counts:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        arms, shape = state.number.shape[1], (len(slate), -1)
        weight = (looked_at(reward) * mask_of(mask, slate[..., 0])[..., None]).reshape(shape)
        shown = slate.reshape(shape)
        return Counts(
            state.number + sums_by_arm(shown, weight, arms),
            state.total + sums_by_arm(shown, weight * (reward > 0).reshape(shape), arms),
        )


@dataclass(frozen=True)
class CascadeUCB(_Cascade):
    """See the module.

    Attributes:
        slate_size: K.
        kl: KL-UCB's index, ``n kl <= ln t + 3 ln ln t``, in place of UCB1's.
        alpha: scale of UCB1's bonus; ``sqrt(3/4)`` gives the paper's ``sqrt(1.5 ln t / n)``.
    """

    slate_size: int
    kl: bool = False
    alpha: float = 0.75**0.5
    exact: ClassVar[bool] = True

    def index(self, state: Counts) -> Float64[np.ndarray, "R A"]:
        """The index of each arm's attraction; infinite for arms that nobody looked at."""
        if not self.kl:
            return UCB1(self.alpha).index(state)
        rounds = np.log(np.maximum(state.number.sum(1, keepdims=True), np.e))
        room = (rounds + 3 * np.log(np.maximum(rounds, 1.0))) / np.maximum(state.number, 1)
        return np.where(state.number > 0, kl_index(means(state), room), np.inf)

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U K"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        index = self.index(state)[:, None]
        index = np.broadcast_to(index, (len(index), context.user.shape[1], index.shape[2]))
        return best_k(index, context.allowed, self.slate_size)

    def probability(
        self, state: Counts, context: Context, slate: Int64[np.ndarray, "R U K"], generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        return _same(slate, self.choose(state, context, generator))


@dataclass(frozen=True)
class CascadeTS(_Cascade):
    """See the module.

    Attributes:
        slate_size: K.
        draws: for propensities: the share of draws that give the slate, the slate itself among them.
    """

    slate_size: int
    draws: int = 1000
    exact: ClassVar[bool] = False

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U K"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        a, b = (1 + state.total)[:, None], (1 + state.number - state.total)[:, None]
        shape = (len(a), context.user.shape[1], a.shape[2])
        return best_k(generator.beta(a, b, shape), context.allowed, self.slate_size)

    def probability(
        self, state: Counts, context: Context, slate: Int64[np.ndarray, "R U K"], generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        a, b = (1 + state.total)[:, None], (1 + state.number - state.total)[:, None]
        shape = (self.draws, len(a), context.user.shape[1], a.shape[2])
        drawn = best_k(generator.beta(a, b, shape), context.allowed, self.slate_size)
        share: np.ndarray = (_same(drawn, slate).sum(0) + 1) / (self.draws + 1)
        return share


@dataclass(frozen=True)
class TopKLinUCB:
    """See the module.

    Attributes:
        slate_size: K.
        alpha: width of the error bar.
        precision: of the prior.
        cascade: learn from the positions down to the first click only, else from all.
    """

    slate_size: int
    alpha: float = 1.0
    precision: float = 1.0
    cascade: bool = True
    exact: ClassVar[bool] = True

    def init_state(self, spec: BanditSpec) -> Ridge:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        _check_size(self.slate_size, spec.arms)
        return start(spec, 1, spec.item_width, self.precision)

    def choose(self, state: Ridge, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U K"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        mean, variance = predict_shared(state, items_of(context))
        return best_k(mean + self.alpha * np.sqrt(variance), context.allowed, self.slate_size)

    def probability(
        self, state: Ridge, context: Context, slate: Int64[np.ndarray, "R U K"], generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        return _same(slate, self.choose(state, context, generator))

    def update(
        self,
        state: Ridge,
        context: Context,
        slate: Int64[np.ndarray, "R U K"],
        reward: Float64[np.ndarray, "R U K"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Ridge:
        """See :class:`recgym.agents.bandits.SlateBandit`."""
        seen = looked_at(reward) if self.cascade else np.ones(reward.shape, bool)
        seen = seen if mask is None else seen & mask[..., None]
        flat = (len(slate), -1)
        x = np.take_along_axis(items_of(context), slate[..., None], 2)
        x = x.reshape(*flat, x.shape[-1])
        return learn(state, np.zeros(x.shape[:2], np.int64), x, reward.reshape(flat), seen.reshape(flat))
