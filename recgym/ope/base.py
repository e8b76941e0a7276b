"""What off-policy estimators share: logged data, the form of an estimate, and how its resamples are made."""

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

__all__ = [
    "Estimator", "Fraction", "LoggedRounds", "Rerun", "Trajectories", "Weighted",
    "check_rows", "needed", "of_taken", "shared_row", "take", "value_of",
]  # fmt: skip

_ROUNDING = 1e-6
Data = TypeVar("Data", contravariant=True)
Rows = TypeVar("Rows")


@dataclass(frozen=True)
class LoggedRounds:
    """Rounds of a logging policy, each with one action, and what a target policy would have done in them.

    Attributes:
        action: taken in each round, ``0..A-1``.
        reward: that followed.
        propensity: probability of the action under the logging policy, in (0, 1].
        target: probability of every action under the target policy, ``[n, A]``; a policy that ignores the context may
            be given by one row, broadcast.
        q: expected reward of every action in each round, by a model, if there is one; see
            :func:`recgym.ope.models.cross_fitted`.
        logging: probability of every action under the logging policy, if it is known; may be one row, broadcast.
        embedding: category of the action taken, ``0..E-1``, for estimators that weigh categories, not actions.
        ratio: importance weights by a model, if there is one; see :func:`recgym.ope.models.classifier_weights`.
        stratum: which of several logging policies each round is from, ``0..L-1``.
        average_propensity: probability of the action under the mixture of these, each as often as it logged.
    """

    action: Int64[np.ndarray, "n"]
    reward: Float64[np.ndarray, "n"]
    propensity: Float64[np.ndarray, "n"]
    target: Float64[np.ndarray, "n A"]
    q: Float64[np.ndarray, "n A"] | None = None
    logging: Float64[np.ndarray, "n A"] | None = None
    embedding: Int64[np.ndarray, "n"] | None = None
    ratio: Float64[np.ndarray, "n"] | None = None
    stratum: Int64[np.ndarray, "n"] | None = None
    average_propensity: Float64[np.ndarray, "n"] | None = None

    def __post_init__(self) -> None:
        check_rows(self, "logged rounds")
        actions = self.target.shape[1]
        for name, table in (("q", self.q), ("logging", self.logging)):
            if table is not None and table.shape[1] != actions:
                raise ValueError(f"logged rounds: {name} has {table.shape[1]} actions, target has {actions}")
        _check("action", self.action, (self.action < 0) | (self.action >= actions), f"an action in 0..{actions - 1}")
        for name in ("propensity", "average_propensity"):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, ~((value > 0) & (value <= 1)), "a number in (0, 1]")
        for name in ("reward", "ratio"):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, ~np.isfinite(value), "a finite number")
        for name in ("embedding", "stratum"):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, value < 0, "a number from 0")
        _check_probabilities("target", self.target)
        if self.logging is not None:
            _check_probabilities("logging", self.logging)
        if self.q is not None:
            total = self.q @ np.ones(actions)
            _check("q", total, ~np.isfinite(total), "finite values")

    @property
    def n(self) -> int:
        """Rounds."""
        return len(self.action)

    @property
    def weight(self) -> Float64[np.ndarray, "n"]:
        """Importance weight of each round: how much likelier the target policy takes the action."""
        weight: np.ndarray = of_taken(self.target, self.action) / self.propensity
        return weight

    @property
    def q_taken(self) -> Float64[np.ndarray, "n"]:
        """The model's expected reward of the action taken.

        Raises:
            ValueError: there is no model.
        """
        return of_taken(needed(self.q, "q"), self.action)

    @property
    def q_target(self) -> Float64[np.ndarray, "n"]:
        """The model's expected reward under the target policy, ``sum_a target(a) q(a)``.

        Raises:
            ValueError: there is no model.
        """
        expected: np.ndarray = np.einsum("na,na->n", self.target, needed(self.q, "q"))
        return expected


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

    @property
    def name(self) -> str:
        """A short name, such as ``"IPW"``; a plain class attribute will do."""
        ...

    def fractions(self, data: Data) -> tuple[Fraction, ...]:
        """The fractions whose sum is the estimate; rows are independent of each other.

        Raises:
            ValueError: the data lack what the estimator needs, such as a model of values.
        """
        ...


@runtime_checkable
class Rerun(Estimator[Data], Protocol[Data]):
    """An estimator that chooses something by the data, so that every resample must choose anew."""

    def rerun(self, data: Data, counts: Float[np.ndarray, "R n"]) -> Float64[np.ndarray, "R"]:
        """The estimate under each resample; with counts of one it equals that of :meth:`fractions`.

        Args:
            data: all of them.
            counts: how often each resample drew each row.
        """
        ...


@runtime_checkable
class Weighted(Estimator[Data], Protocol[Data]):
    """An estimator whose weights differ from those that the data give, for the diagnostics."""

    def weights(self, data: Data) -> Float64[np.ndarray, "n"]:
        """The importance weight of each row, before any normalising, clipping or shrinking."""
        ...


def value_of(fractions: tuple[Fraction, ...], counts: Any = None) -> Float64[np.ndarray, "R"]:
    """The estimate under each resample; NaN where a denominator is 0 because no row says anything.

    Args:
        fractions: of an estimator.
        counts: ``[R, n]``, how often each resample drew each row; once each if None.
    """
    total = np.zeros(1 if counts is None else len(counts))
    for numerator, denominator in fractions:
        if counts is None:
            above, below = numerator.sum(), len(numerator) if denominator is None else denominator.sum()
        else:
            above, below = counts @ numerator, counts.sum(1) if denominator is None else counts @ denominator
        with np.errstate(invalid="ignore", divide="ignore"):
            total = total + np.divide(above, below)
    return total


def take(data: Rows, rows: Int64[np.ndarray, "m"]) -> Rows:
    """The same data class with some of its rows, in the order and as often as they are named."""
    n = data.n  # type: ignore[attr-defined]
    arrays = {field.name: getattr(data, field.name) for field in fields(data)}  # type: ignore[arg-type]
    chosen = {name: value[rows] for name, value in arrays.items() if isinstance(value, np.ndarray) and len(value) == n}
    return replace(data, **chosen)  # type: ignore[type-var]


def needed(value: np.ndarray | None, name: str) -> np.ndarray:
    """An optional part of the data that an estimator cannot do without.

    Raises:
        ValueError: it is None.
    """
    if value is None:
        raise ValueError(f"the estimator needs {name!r}, which the data do not have")
    return value


def of_taken(table: Shaped[np.ndarray, "n A"], action: Int64[np.ndarray, "n"]) -> Shaped[np.ndarray, "n"]:
    """The entry of each row that belongs to the action taken, ``table[i, action[i]]``."""
    row = shared_row(table)
    if row is not None:
        taken: np.ndarray = row[0][action]
    elif table.flags.c_contiguous:  # one flat index takes half the time of two
        taken = table.reshape(-1).take(np.arange(0, table.size, table.shape[1]) + action)
    else:
        taken = table[np.arange(len(table)), action]
    return taken


def shared_row(table: Shaped[np.ndarray, "n A"]) -> Shaped[np.ndarray, "1 A"] | None:
    """The only row of a broadcast table, or None if rows may differ."""
    return table[:1] if table.strides[0] == 0 or len(table) == 1 else None


def check_rows(data: Any, what: str) -> None:
    """Hold a data class whose arrays all have one row a round against that.

    Raises:
        ValueError: there are no rows, or an array has another number of rows than the first.
    """
    arrays = {field.name: getattr(data, field.name) for field in fields(data)}
    rows = {name: len(value) for name, value in arrays.items() if isinstance(value, np.ndarray)}
    first, n = next(iter(rows.items()))
    if n == 0:
        raise ValueError(f"{what}: there are none, at least one was expected")
    for name, found in rows.items():
        if found != n:
            raise ValueError(f"{what}: {name} has {found} rows, {first} has {n}")


def _check_probabilities(name: str, table: np.ndarray) -> None:
    row = shared_row(table)
    table = table if row is None else row
    total = table @ np.ones(table.shape[1])  # several times faster than a sum along short rows
    if total.min() >= 1 - _ROUNDING and total.max() <= 1 + _ROUNDING and table.min() >= 0:
        return
    wrong = ~(np.abs(total - 1) <= _ROUNDING) | (table.min(1) < 0)
    _check(name, total, wrong, "probabilities of all actions that sum to 1")


def _check(name: str, values: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"logged rounds: {name} of round {row} is {values[row]:g}, expected {expected}")
