"""Confidence intervals of off-policy estimates.

All but the bootstrap look at how each row moves the estimate: ``psi_i = sum_k (N_ki - v_k D_ki) / mean(D_k)`` over the
fractions ``v_k = sum N_k / sum D_k``, which for a mean is the row's distance from it and for a quotient the delta
method. Rows that are not independent are added up by cluster first. Where an estimator chooses by the data
(:class:`~recgym.ope.base.Rerun`), they take its choice as given; only the bootstrap covers what choosing costs.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize, stats

from recgym.ope.base import Estimator, Fraction, Rerun, value_of
from recgym.ope.resampling import resample, resample_fractions
from recgym.stats import Interval, percentile_interval

__all__ = [
    "Bootstrap", "EmpiricalBernstein", "EmpiricalLikelihood", "Hoeffding", "IntervalMethod", "StudentT", "influence",
]  # fmt: skip

_ROUNDING = 1e-12
Clusters = Int64[np.ndarray, "n"] | None


@runtime_checkable
class IntervalMethod(Protocol):
    """A way to make confidence intervals."""

    @property
    def level(self) -> float:
        """Confidence level."""
        ...

    @property
    def name(self) -> str:
        """In results."""
        ...

    def intervals(
        self, estimators: Sequence[Estimator[Any]], data: Any, generator: np.random.Generator, cluster: Clusters = None
    ) -> tuple[Interval, ...]:
        """The interval of each estimator.

        Args:
            estimators: of the same data.
            data: what they estimate from.
            generator: of random draws, if there are any.
            cluster: rows of one number are not independent (rounds of one user); all are if None.
        """
        ...


def influence(fractions: tuple[Fraction, ...], cluster: Clusters = None) -> tuple[float, Float64[np.ndarray, "m"]]:
    """The estimate, and how each row, or cluster of rows, moves it; the latter have mean 0.

    Args:
        fractions: of the estimate.
        cluster: of each row.
    """
    estimate = float(value_of(fractions)[0])
    member, units = None, len(fractions[0].numerator)
    if cluster is not None:
        names, member = np.unique(cluster, return_inverse=True)
        units = names.size
    psi = np.zeros(units)
    for numerator, denominator in fractions:
        ones = np.ones(len(numerator)) if member is not None and denominator is None else denominator
        if member is not None:
            numerator = np.bincount(member, weights=numerator, minlength=units)
            ones = np.bincount(member, weights=ones, minlength=units)
        if ones is None:
            psi += numerator - numerator.mean()
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            psi += (numerator - numerator.sum() / ones.sum() * ones) / ones.mean()
    return estimate, psi


def _symmetric(estimate: float, half: float) -> Interval:
    if not np.isfinite(estimate) or not np.isfinite(half):
        return Interval(estimate, float("nan"), float("nan"))
    return Interval(estimate, estimate - half, estimate + half)


class _ByInfluence(ABC):
    """What methods share that look at the influence of each row alone: they lack only the interval of one estimate."""

    level: float

    def __post_init__(self) -> None:
        _check_level(self.level)

    def intervals(
        self, estimators: Sequence[Estimator[Any]], data: Any, generator: np.random.Generator, cluster: Clusters = None
    ) -> tuple[Interval, ...]:
        """The interval of each estimator; nothing is drawn."""
        return tuple(self._one(*influence(estimator.fractions(data), cluster)) for estimator in estimators)

    @abstractmethod
    def _one(self, estimate: float, psi: np.ndarray) -> Interval:
        """The interval of an estimate, from the influence of each row; no bounds where there are too few."""


@dataclass(frozen=True)
class StudentT(_ByInfluence):
    """``v +- t sd(psi) / sqrt(n)``, for many rounds with bounded weights.

    Attributes:
        level: confidence level.
        name: in results.
    """

    level: float = 0.95
    name: str = "t"

    def _one(self, estimate: float, psi: np.ndarray) -> Interval:
        if psi.size < 2:
            return _symmetric(estimate, float("nan"))
        error = float(psi.std(ddof=1)) / np.sqrt(psi.size)
        return _symmetric(estimate, float(stats.t.ppf((1 + self.level) / 2, psi.size - 1)) * error)


@dataclass(frozen=True)
class Hoeffding(_ByInfluence):
    """``v +- width sqrt(log(2 / alpha) / (2 n))`` (Hoeffding, 1963): for bounded contributions, whatever their law.

    Attributes:
        level: confidence level.
        width: largest less smallest contribution that a row can make, such as the largest weight times the range of
            rewards; that seen in the data if None, with which the level is not guaranteed. The level of a quotient is
            that of its linear form.
        name: in results.
    """

    level: float = 0.95
    width: float | None = None
    name: str = "Hoeffding"

    def _one(self, estimate: float, psi: np.ndarray) -> Interval:
        width = float(np.ptp(psi)) if self.width is None else self.width
        return _symmetric(estimate, width * np.sqrt(np.log(2 / (1 - self.level)) / (2 * psi.size)))


@dataclass(frozen=True)
class EmpiricalBernstein(_ByInfluence):
    """``v +- sqrt(2 V log(4 / alpha) / n) + 7 width log(4 / alpha) / (3 (n - 1))`` (Maurer and Pontil, 2009).

    V is the sample variance, so that a wide range costs only at order ``1 / n``.

    Attributes:
        level: confidence level.
        width: as for :class:`Hoeffding`.
        name: in results.
    """

    level: float = 0.95
    width: float | None = None
    name: str = "Bernstein"

    def _one(self, estimate: float, psi: np.ndarray) -> Interval:
        n = psi.size
        if n < 2:
            return _symmetric(estimate, float("nan"))
        width = float(np.ptp(psi)) if self.width is None else self.width
        log = np.log(4 / (1 - self.level))
        return _symmetric(estimate, np.sqrt(2 * psi.var(ddof=1) * log / n) + 7 * width * log / (3 * (n - 1)))


@dataclass(frozen=True)
class EmpiricalLikelihood(_ByInfluence):
    """Values that some reweighing of the rows explains nearly as well as equal weights do (Owen, 1988).

    The value x is inside while ``2 sum_i log(1 + lambda (v + psi_i - x))``, at the lambda that maximises it, is below
    the quantile of F(1, n - 1). Bounds stay within the contributions and lean to the side of the long tail.

    Attributes:
        level: confidence level.
        name: in results.
    """

    level: float = 0.95
    name: str = "empirical likelihood"

    def _one(self, estimate: float, psi: np.ndarray) -> Interval:
        if psi.size < 2 or not np.isfinite(psi).all():
            return _symmetric(estimate, float("nan"))
        if np.ptp(psi) <= _ROUNDING * abs(estimate):
            return Interval(estimate, estimate, estimate)
        limit = float(stats.f.ppf(self.level, 1, psi.size - 1))
        low, high = (_likelihood_bound(psi, end, limit) for end in (float(psi.min()), float(psi.max())))
        return Interval(estimate, estimate + low, estimate + high)


def _likelihood_bound(psi: np.ndarray, end: float, limit: float) -> float:
    """The shift between 0 and ``end`` at which the log-likelihood ratio meets the limit."""

    def gap(shift: float) -> float:
        return _likelihood_ratio(psi - shift) - limit

    error = float(psi.std()) / np.sqrt(psi.size)
    near = np.sign(end) * min(abs(end) * (1 - 1e-9), 3 * error)
    while gap(near) < 0:
        further = near + (end * (1 - 1e-9) - near) / 2
        if abs(further - near) < 1e-9 * abs(end):
            return end
        near = further
    return float(optimize.brentq(gap, 0.0, near, xtol=1e-6 * error, rtol=1e-10))


def _likelihood_ratio(z: np.ndarray) -> float:
    """``2 sum log(1 + lambda z_i)`` at the lambda that makes the weights ``1 / (1 + lambda z_i)`` balance z."""
    low, high = float(z.min()), float(z.max())
    if low >= 0 or high <= 0:
        return float("inf")

    def slope(multiplier: float) -> float:
        return float((z / (1 + multiplier * z)).sum())

    margin = 1 - 1e-10
    multiplier = float(optimize.brentq(slope, -margin / high, -margin / low, xtol=1e-14, rtol=1e-8))
    return 2 * float(np.log1p(multiplier * z).sum())


@dataclass(frozen=True)
class Bootstrap:
    """Percentiles of the estimator run again on resamples; all estimators see the same resamples.

    Attributes:
        level: confidence level.
        resamples: how many.
        name: in results.
    """

    level: float = 0.95
    resamples: int = 1000
    name: str = "bootstrap"

    def __post_init__(self) -> None:
        _check_level(self.level)
        if self.resamples < 1:
            raise ValueError(f"at least one resample was expected, found {self.resamples}")

    def intervals(
        self, estimators: Sequence[Estimator[Any]], data: Any, generator: np.random.Generator, cluster: Clusters = None
    ) -> tuple[Interval, ...]:
        """The interval of each estimator; no bounds if half of the resamples say nothing."""
        plain = [estimator.fractions(data) for estimator in estimators]
        again = [isinstance(estimator, Rerun) for estimator in estimators]
        together = [fractions for fractions, rerun in zip(plain, again, strict=True) if not rerun]
        drawn = iter(resample_fractions(together, self.resamples, generator, cluster) if together else ())
        return tuple(
            percentile_interval(
                float(value_of(fractions)[0]),
                resample(estimator, data, self.resamples, generator, cluster) if rerun else next(drawn),
                self.level,
            )
            for estimator, fractions, rerun in zip(estimators, plain, again, strict=True)
        )


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"the confidence level must be in (0, 1), found {level}")
