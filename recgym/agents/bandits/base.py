"""The face of every bandit, and what bandits share: contexts, choices, draws.

A bandit is pure and batch-native. It learns R independent replications side by side (the first axis of every array of
its state), and each replication serves U users in a round. So one stream is R = 1, U = 1; a study of regret is R = 256,
U = 1; a service that learns from rounds of users is R = 1, U = 1000. Everything is numpy: at the sizes of bandits the
price of a call decides, not the arithmetic.

======  =====================================================================
symbol  meaning
======  =====================================================================
R       independent replications
U       users served in one round of a replication
A       arms
d       width of a user's features
k       width of the features of an arm, which may differ by user and round
======  =====================================================================
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.special import ndtr, ndtri

__all__ = [
    "Bandit", "BanditSpec", "Certain", "Choice", "Context", "SlateBandit",
    "act", "act_slate", "best", "best_k", "draw", "gaussian_best", "mask_of", "monte_carlo", "one_hot", "sums_by_arm",
]  # fmt: skip

State = TypeVar("State")

_LEVELS = 256
"""Points of the quadrature over an arm's distribution: an error of at most half a step, 0.002."""


class BanditSpec(NamedTuple):
    """The sizes of a problem.

    Attributes:
        arms: A.
        width: d; 0 where users are not told apart.
        item_width: k; 0 where arms have no features.
        replications: R.
        single: whether models of d x d numbers keep single precision, which is faster for many replications.
    """

    arms: int
    width: int = 0
    item_width: int = 0
    replications: int = 1
    single: bool = False

    @property
    def dtype(self) -> Any:
        """The type of the numbers of a model."""
        return np.float32 if self.single else np.float64


class Context(NamedTuple):
    """What is known when a round begins.

    Attributes:
        user: features of each user, ``[R, U, d]``; d may be 0.
        items: features of each arm for each user, ``[R, U, A, k]``; None if arms have none.
        allowed: which arms may be chosen, ``[R, U, A]``; None for all.
    """

    user: Float[np.ndarray, "R U d"]
    items: Float[np.ndarray, "R U A k"] | None = None
    allowed: Bool[np.ndarray, "R U A"] | None = None

    def repeated(self, times: int, axis: int) -> "Context":
        """Every replication (axis 0) or every user (axis 1) so many times in a row."""
        items, allowed = (None if part is None else np.repeat(part, times, axis) for part in (self.items, self.allowed))
        return Context(np.repeat(self.user, times, axis), items, allowed)


class Choice(NamedTuple):
    """What a bandit chose, and how likely that was.

    Attributes:
        action: arms ``[R, U]``, or ordered slates of arms ``[R, U, K]``.
        log_propensity: natural logarithm of the probability of the choice, ``[R, U]``.
    """

    action: np.ndarray
    log_propensity: Float64[np.ndarray, "R U"]


@runtime_checkable
class Bandit(Protocol[State]):
    """Chooses one arm a user and learns from its reward.

    Attributes:
        exact: whether :meth:`probabilities` is exact (to 0.002) or the share of ``draws`` draws.
    """

    exact: ClassVar[bool]

    def init_state(self, spec: BanditSpec) -> State:
        """What is known before the first round.

        Raises:
            ValueError: the bandit needs features that the problem does not have.
        """
        ...

    def choose(self, state: State, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """One arm a user."""
        ...

    def probabilities(
        self, state: State, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """How likely :meth:`choose` is to take each arm."""
        ...

    def update(
        self,
        state: State,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> State:
        """What is known after the round.

        The state that goes in is used up: its large arrays are written over and belong to the one that comes out.

        Args:
            state: before.
            context: of the round.
            action: the arms that were shown.
            reward: what they brought.
            mask: False where nothing is to be learned, as where a log does not say what an arm would have brought.
        """
        ...


@runtime_checkable
class SlateBandit(Protocol[State]):
    """Chooses K different arms in order and learns from a reward for each position.

    Attributes:
        exact: as of :class:`Bandit`.
        slate_size: K.
    """

    exact: ClassVar[bool]

    @property
    def slate_size(self) -> int:
        """K."""
        ...

    def init_state(self, spec: BanditSpec) -> State:
        """See :class:`Bandit`."""
        ...

    def choose(self, state: State, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U K"]:
        """An ordered slate a user."""
        ...

    def probability(
        self, state: State, context: Context, slate: Int64[np.ndarray, "R U K"], generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U"]:
        """How likely :meth:`choose` is to give exactly this slate."""
        ...

    def update(
        self,
        state: State,
        context: Context,
        slate: Int64[np.ndarray, "R U K"],
        reward: Float64[np.ndarray, "R U K"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> State:
        """See :class:`Bandit`."""
        ...


class Certain(ABC, Generic[State]):
    """What bandits share that take the allowed arm with the largest score: a subclass says how arms are scored."""

    exact: ClassVar[bool] = True

    @abstractmethod
    def scores(self, state: State, context: Context) -> Float[np.ndarray, "R U A"]:
        """The score of each arm for each user; infinite for arms that must be shown first."""

    def choose(self, state: State, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`Bandit`. Nothing is drawn."""
        return best(self.scores(state, context), context.allowed)

    def probabilities(
        self, state: State, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`Bandit`."""
        scores = self.scores(state, context)
        return one_hot(best(scores, context.allowed), scores.shape[-1])


def act(bandit: Bandit[State], state: State, context: Context, generator: np.random.Generator) -> Choice:
    """One arm a user, with its propensity.

    A Monte-Carlo propensity counts the choice among the draws, so it is never 0.
    """
    action = bandit.choose(state, context, generator)
    if isinstance(bandit, Certain):  # to ask for probabilities would be to score all arms once more
        return Choice(action, np.zeros(action.shape))
    probability = np.take_along_axis(bandit.probabilities(state, context, generator), action[..., None], 2)[..., 0]
    if not bandit.exact:
        draws = bandit.draws  # type: ignore[attr-defined]
        probability = (draws * probability + 1) / (draws + 1)
    return Choice(action, np.log(np.clip(probability, 1e-12, 1.0)))


def act_slate(bandit: SlateBandit[State], state: State, context: Context, generator: np.random.Generator) -> Choice:
    """A slate a user, with its propensity."""
    slate = bandit.choose(state, context, generator)
    probability = bandit.probability(state, context, slate, generator)
    return Choice(slate, np.log(np.clip(probability, 1e-12, 1.0)))


def best(scores: Float[np.ndarray, "*n A"], allowed: Bool[np.ndarray, "*m A"] | None) -> Int64[np.ndarray, "*n"]:
    """The allowed arm with the largest score; of equal ones the first."""
    chosen: np.ndarray = (scores if allowed is None else np.where(allowed, scores, -np.inf)).argmax(-1)
    return chosen


def best_k(
    scores: Float[np.ndarray, "*n A"], allowed: Bool[np.ndarray, "*m A"] | None, k: int
) -> Int64[np.ndarray, "*n K"]:
    """The K allowed arms with the largest scores, best first; of equal ones the first."""
    scores = scores if allowed is None else np.where(allowed, scores, -np.inf)
    return np.argsort(-scores, axis=-1, kind="stable")[..., :k]


def one_hot(action: Int64[np.ndarray, "*n"], arms: int) -> Float64[np.ndarray, "*n A"]:
    """1 at the arm that was chosen, 0 elsewhere."""
    marks: np.ndarray = (action[..., None] == np.arange(arms)).astype(np.float64)
    return marks


def draw(probabilities: Float64[np.ndarray, "*n A"], generator: np.random.Generator) -> Int64[np.ndarray, "*n"]:
    """One arm a row, in proportion to the row."""
    cumulative = probabilities.cumsum(-1)
    threshold = generator.random((*probabilities.shape[:-1], 1)) * cumulative[..., -1:]
    drawn: np.ndarray = (cumulative[..., :-1] <= threshold).sum(-1)
    return drawn


def mask_of(mask: Bool[np.ndarray, "R U"] | None, action: Int64[np.ndarray, "R U"]) -> Float64[np.ndarray, "R U"]:
    """1 where something is to be learned, else 0."""
    return np.ones(action.shape) if mask is None else mask.astype(np.float64)


def sums_by_arm(
    action: Int64[np.ndarray, "R U"], values: Float64[np.ndarray, "R U"], arms: int
) -> Float64[np.ndarray, "R A"]:
    """The sum of the values of each arm's users."""
    replications = action.shape[0]
    place = (action + arms * np.arange(replications)[:, None]).ravel()
    return np.bincount(place, values.ravel(), replications * arms).reshape(replications, arms)


def gaussian_best(
    mean: Float[np.ndarray, "R U A"], sd: Float[np.ndarray, "R U A"], allowed: Bool[np.ndarray, "R U A"] | None
) -> Float64[np.ndarray, "R U A"]:
    """How likely each of independent normal numbers is to be the largest of its row.

    ``P(a) = E[prod_{b != a} Phi((X_a - m_b) / s_b)]``, the expectation over X_a by the midpoint rule on its quantiles.
    """
    spread = np.maximum(sd, 1e-12)
    quantile = ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    value = mean[..., None] + spread[..., None] * quantile
    below = ndtr((value[..., None, :] - mean[..., None, :, None]) / spread[..., None, :, None])
    arms = mean.shape[-1]
    below[..., np.arange(arms), np.arange(arms), :] = 1.0
    if allowed is not None:
        below = np.where(allowed[..., None, :, None], below, 1.0)
    chance = below.prod(-2).mean(-1)
    chance = chance if allowed is None else np.where(allowed, chance, 0.0)
    normalised: np.ndarray = chance / chance.sum(-1, keepdims=True)
    return normalised


def monte_carlo(
    scores: Float[np.ndarray, "S R U A"], allowed: Bool[np.ndarray, "R U A"] | None
) -> Float64[np.ndarray, "R U A"]:
    """The share of S draws of all scores in which each arm is the best."""
    winners = (scores if allowed is None else np.where(allowed, scores, -np.inf)).argmax(-1)
    share: np.ndarray = one_hot(winners, scores.shape[-1]).mean(0)
    return share
