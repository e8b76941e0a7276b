"""What off-policy estimators share: logged data, the form of an estimate, and how its resamples are made."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

__all__ = ["Estimator", "Fraction", "LoggedRounds", "Trajectories", "value_of"]

Data = TypeVar("Data", contravariant=True)


@dataclass(frozen=True)
class LoggedRounds:
    """Rounds of a logging policy, each with one action, and what a target policy would have done in them.

    Attributes:
        action: taken in each round, ``0..A-1``.
        reward: that followed.
        propensity: probability of the action under the logging policy, in (0, 1].
        target: probability of every action under the target policy, ``[n, A]``; a policy that ignores the context may
            be given by one row, broadcast.
    """

    action: Int64[np.ndarray, "n"]
    reward: Float64[np.ndarray, "n"]
    propensity: Float64[np.ndarray, "n"]
    target: Float64[np.ndarray, "n A"]

    def __post_init__(self) -> None:
        n, actions = len(self.action), self.target.shape[-1]
        for name, value in (("reward", self.reward), ("propensity", self.propensity), ("target", self.target)):
            if len(value) != n:
                raise ValueError(f"logged rounds: {name} has {len(value)} rows, action has {n}")
        if n == 0:
            raise ValueError("logged rounds: there are none, at least one was expected")
        _check("action", self.action, (self.action < 0) | (self.action >= actions), f"an action in 0..{actions - 1}")
        _check("propensity", self.propensity, ~((self.propensity > 0) & (self.propensity <= 1)), "a number in (0, 1]")
        _check("reward", self.reward, ~np.isfinite(self.reward), "a finite number")
        total = self.target.sum(1)
        wrong = (np.abs(total - 1) > 1e-6) | (self.target.min(1) < 0)
        _check("target", total, wrong, "probabilities of all actions that sum to 1")

    @property
    def n(self) -> int:
        """Rounds."""
        return len(self.action)

    @property
    def weight(self) -> Float64[np.ndarray, "n"]:
        """Importance weight of each round: how much likelier the target policy takes the action."""
        weight: np.ndarray = self.target[np.arange(self.n), self.action] / self.propensity
        return weight


@dataclass(frozen=True)
class Trajectories:
    """Episodes of a logging policy, padded to the longest, and what a target policy makes of their steps.

    Attributes:
        reward: of each step; 0 where there is none.
        ratio: probability of the action under the target policy over that under the logging policy; 1 at padding.
        mask: where a step is; rows begin with one and have no holes.
        gamma: discount factor.
        q: ``Q(s_t, a_t)`` of a model of the target policy's values, if there is one; 0 at padding.
        v: ``V(s_t)``, likewise.
    """

    reward: Float64[np.ndarray, "n T"]
    ratio: Float64[np.ndarray, "n T"]
    mask: Bool[np.ndarray, "n T"]
    gamma: float = 1.0
    q: Float64[np.ndarray, "n T"] | None = None
    v: Float64[np.ndarray, "n T"] | None = None

    def __post_init__(self) -> None:
        if self.mask.size == 0 or not self.mask[:, 0].all() or (self.mask[:, 1:] & ~self.mask[:, :-1]).any():
            raise ValueError("trajectories: the mask of each must begin with a step and have no holes")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"trajectories: gamma must be in [0, 1], found {self.gamma}")
        for name in ("reward", "ratio", "q", "v"):
            value = getattr(self, name)
            if value is None:
                continue
            if value.shape != self.mask.shape:
                raise ValueError(f"trajectories: {name} has shape {value.shape}, mask has {self.mask.shape}")
            filler = 1.0 if name == "ratio" else 0.0
            if not np.isfinite(value).all() or (value[~self.mask] != filler).any():
                raise ValueError(f"trajectories: {name} must be finite, and {filler:g} where there is no step")
        if (self.ratio < 0).any():
            raise ValueError("trajectories: ratio must not be negative")

    @property
    def n(self) -> int:
        """Episodes."""
        return len(self.mask)

    @property
    def discount(self) -> Float64[np.ndarray, "T"]:
        """``gamma^t``."""
        return self.gamma ** np.arange(self.mask.shape[1], dtype=np.float64)

    @property
    def weight(self) -> Float64[np.ndarray, "n T"]:
        """Importance weight of each step: the product of the ratios up to it."""
        return np.cumprod(self.ratio, 1)


class Fraction(NamedTuple):
    """``sum_i numerator_i / sum_i denominator_i``; a mean where the denominator is None (ones).

    Attributes:
        numerator: one row a round or an episode.
        denominator: likewise.
    """

    numerator: Float[np.ndarray, "n"]
    denominator: Float[np.ndarray, "n"] | None = None


@runtime_checkable
class Estimator(Protocol[Data]):
    """An estimator of a target policy's value.

    Its estimate is a sum of fractions, so that one pass over the data serves all resamples: a resample weighs rows by
    how often they were drawn. Estimators that are not of this form (a tuned threshold, a blend) implement
    :class:`Rerun` besides.
    """

    name: ClassVar[str]

    def fractions(self, data: Data) -> tuple[Fraction, ...]:
        """The fractions whose sum is the estimate; rows are independent of each other.

        Raises:
            ValueError: the data lack what the estimator needs, such as a model of values.
        """
        ...


def value_of(fractions: tuple[Fraction, ...], counts: Any = None) -> Float64[np.ndarray, "R"]:
    """The estimate under each resample.

    Args:
        fractions: of an estimator.
        counts: ``[R, n]``, how often each resample drew each row; once each if None.
    """
    total = np.zeros(1 if counts is None else len(counts))
    for numerator, denominator in fractions:
        if counts is None:
            below = float(len(numerator)) if denominator is None else denominator.sum()
            total = total + numerator.sum() / below
        else:
            drawn = counts.sum(1) if denominator is None else counts @ denominator
            total = total + (counts @ numerator) / drawn
    return total


def _check(name: str, values: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"logged rounds: {name} of round {row} is {values[row]:g}, expected {expected}")
