"""Importance weights: how much the reward of a logged round counts for the target policy.

Estimators take their weights as a part, so that each weighting goes with each estimator: ``IPW(Clipped(10.0))``,
``DR(Shrunk(5.0))`` (known as DRos), ``SNIPW(Marginalised(shares))`` (SN-MIPS).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from recgym.ope.base import LoggedRounds, needed, of_taken, shared_row

__all__ = [
    "Clipped", "Marginalised", "Shrunk", "SubGaussian", "Switched", "Weights",
    "average_importance", "classified", "embedding_shares", "importance", "unshrunk",
]  # fmt: skip

_CELLS = 4_194_304


Weights = Callable[[LoggedRounds], Float64[np.ndarray, "n"]]
"""Gives each round a weight; raises a ``ValueError`` where the data lack what the weights are made of."""


def importance(data: LoggedRounds) -> Float64[np.ndarray, "n"]:
    """``w = target(a) / propensity``: unbiased where the logging policy takes whatever the target does."""
    return data.weight


def average_importance(data: LoggedRounds) -> Float64[np.ndarray, "n"]:
    """``w = target(a) / average propensity`` of several loggers, the balanced weights of Agarwal et al. (2017).

    Never of larger variance than each logger's own, because a rare action of one logger may be common in another.
    Needs ``average_propensity``.
    """
    average = needed(data.average_propensity, "average_propensity")
    weight: np.ndarray = of_taken(data.target, data.action) / average
    return weight


def classified(data: LoggedRounds) -> Float64[np.ndarray, "n"]:
    """Weights of a classifier that tells the log's actions from the target's (Sondhi et al., 2020).

    Needs ``ratio``, see :func:`recgym.ope.models.classifier_weights`.
    """
    return needed(data.ratio, "ratio")


@dataclass(frozen=True)
class Clipped:
    """``min(w, limit)``: less variance, and a bias towards 0 where rewards are not negative.

    Attributes:
        limit: largest weight.
        of: the weights to clip.
    """

    limit: float
    of: Weights = importance

    def __post_init__(self) -> None:
        _check_not_negative("limit", self.limit)

    def __call__(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """The weights."""
        return np.minimum(self.of(data), self.limit)


@dataclass(frozen=True)
class Switched:
    """``w`` up to a threshold and 0 above it: with DR, what is left to the model (Wang et al., 2017).

    Attributes:
        threshold: largest weight that is kept.
        of: the weights to cut.
    """

    threshold: float
    of: Weights = importance

    def __post_init__(self) -> None:
        _check_not_negative("threshold", self.threshold)

    def __call__(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """The weights."""
        weight = self.of(data)
        return np.where(weight <= self.threshold, weight, 0.0)


@dataclass(frozen=True)
class Shrunk:
    """``lambda w / (w^2 + lambda)``, the optimistic shrinkage of DRos (Su et al., 2020).

    It minimises a bound on the mean squared error of DR; 0 leaves the model alone and infinity plain DR.

    Attributes:
        strength: lambda.
        of: the weights to shrink.
    """

    strength: float
    of: Weights = importance

    def __post_init__(self) -> None:
        _check_not_negative("strength", self.strength)

    def __call__(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """The weights."""
        weight = self.of(data)
        if self.strength == 0 or np.isinf(self.strength):
            return weight if self.strength else np.zeros_like(weight)
        shrunk: np.ndarray = self.strength * weight / (weight**2 + self.strength)
        return shrunk


@dataclass(frozen=True)
class SubGaussian:
    """``w / (1 - lambda + lambda w)``: errors with tails like a Gaussian's (Metelli et al., 2021).

    Attributes:
        strength: lambda in [0, 1]; 0 leaves the weights, 1 makes all of them one.
        of: the weights to shrink.
    """

    strength: float
    of: Weights = importance

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be in [0, 1], found {self.strength}")

    def __call__(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """The weights."""
        weight = self.of(data)
        below = 1 - self.strength + self.strength * weight
        shrunk: np.ndarray = np.divide(weight, below, out=np.zeros_like(weight), where=below > 0)
        return shrunk


@dataclass(frozen=True, eq=False)
class Marginalised:
    """``w = sum_a target(a) p(e | a) / sum_a logging(a) p(e | a)``: how much likelier the category of the action is.

    Unbiased where the action matters for the reward through its category alone ("no direct effect") and the logging
    policy reaches each category that the target does; far less variance than action weights when there are many
    actions (MIPS, Saito and Joachims, 2022).

    Attributes:
        shares: ``p(e | a)``, ``[A, E]``; if it is not known, :func:`embedding_shares` counts it from the log.
    """

    shares: Float64[np.ndarray, "A E"]

    def __call__(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """The weights; needs ``embedding`` and ``logging``."""
        embedding, logging = needed(data.embedding, "embedding"), needed(data.logging, "logging")
        shares = self.shares
        if shares.shape[0] != data.target.shape[1] or shares.shape[1] <= embedding.max():
            raise ValueError(
                f"the shares of categories are {shares.shape[0]} actions x {shares.shape[1]} categories, expected "
                f"{data.target.shape[1]} actions and categories up to {embedding.max()}"
            )
        above = _category_mass(data.target, shares, embedding)
        below = _category_mass(logging, shares, embedding)
        if (below <= 0).any():
            row = int(np.flatnonzero(below <= 0)[0])
            raise ValueError(
                f"round {row} has category {embedding[row]}, to which the shares and the logging policy give "
                "probability 0; expected a positive one, as it was logged"
            )
        weight: np.ndarray = above / below
        return weight


def unshrunk(weigh: Weights) -> Weights:
    """The weights beneath any clipping, cutting or shrinking: what tells whether the log supports a value."""
    while isinstance(weigh, Clipped | Switched | Shrunk | SubGaussian):
        weigh = weigh.of
    return weigh


def embedding_shares(data: LoggedRounds) -> Float64[np.ndarray, "A E"]:
    """How often each category was seen with each action, ``p(e | a)``; zeros for an action that was never taken.

    What the target policy does with actions that were never taken is lost, as it is for action weights. Resamples take
    the shares as known.
    """
    embedding = needed(data.embedding, "embedding")
    actions, categories = data.target.shape[1], int(embedding.max()) + 1
    seen = np.bincount(data.action * categories + embedding, minlength=actions * categories).astype(np.float64)
    seen = seen.reshape(actions, categories)
    total = seen.sum(1, keepdims=True)
    shares: np.ndarray = np.divide(seen, total, out=np.zeros_like(seen), where=total > 0)
    return shares


def _category_mass(policy: np.ndarray, shares: np.ndarray, embedding: np.ndarray) -> np.ndarray:
    """Probability that each round's category follows from the policy, ``[n]``."""
    row = shared_row(policy)
    if row is not None:
        mass: np.ndarray = (row @ shares)[0][embedding]
        return mass
    by_category = np.ascontiguousarray(shares.T)
    at_once = max(1, _CELLS // shares.shape[0])
    parts = [slice(begin, begin + at_once) for begin in range(0, len(policy), at_once)]
    return np.concatenate([np.einsum("na,na->n", policy[part], by_category[embedding[part]]) for part in parts])


def _check_not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must not be negative, found {value}")
