"""Choose among estimators of one family (clipping limits, thresholds, bandwidths) by the data that they estimate from.

The choice is made anew in each resample of a bootstrap, so that intervals cover what choosing costs.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy import stats

from recgym.ope.base import Estimator, Fraction, LoggedRounds, Weighted, needed
from recgym.ope.weights import Weights

__all__ = ["Correcting", "MseBound", "Moments", "Rule", "Slope", "Tuned"]


@dataclass(frozen=True)
class Moments:
    """What a rule may look at: each candidate on each resample.

    Attributes:
        n: rows of each resample.
        mean: estimate of each candidate.
        variance: of the contribution of a row to it.
    """

    n: Float64[np.ndarray, "R"]
    mean: Float64[np.ndarray, "R C"]
    variance: Float64[np.ndarray, "R C"]


@runtime_checkable
class Correcting(Estimator[LoggedRounds], Protocol):
    """An estimator that weighs rewards, or how far they lie from a model."""

    @property
    def weigh(self) -> Weights:
        """The weights."""
        ...

    def residual(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """What is weighed in each round."""
        ...


@runtime_checkable
class Rule(Protocol):
    """How to choose."""

    def choose(
        self, moments: Moments, candidates: tuple[Estimator[Any], ...], data: Any, counts: Float[np.ndarray, "R n"]
    ) -> Int64[np.ndarray, "R"]:
        """Index of the candidate that each resample takes."""
        ...


@dataclass(frozen=True)
class Slope:
    """SLOPE (Su et al., 2020; Tucker and Lee, 2021): the narrowest interval that agrees with all wider ones.

    Candidates are put in order of the half-width c of their t interval, widest first, and the last is taken before one
    disagrees with some earlier one by ``|v_i - v_j| > c_i + (sqrt(6) - 1) c_j``. Needs no bound on the bias, only that
    it grows as the width falls.

    Attributes:
        delta: the intervals' one-sided chance of error.
    """

    delta: float = 0.1

    def choose(
        self, moments: Moments, candidates: tuple[Estimator[Any], ...], data: Any, counts: Float[np.ndarray, "R n"]
    ) -> Int64[np.ndarray, "R"]:
        """Index of the candidate that each resample takes."""
        freedom = np.maximum(moments.n - 1, 1)[:, None]
        width = np.sqrt(moments.variance / freedom) * stats.t.ppf(1 - self.delta, freedom)
        # Reversed twice, so that of equal widths the later candidate comes first, as a reversed stable sort has it.
        order = np.argsort(width, axis=1, kind="stable")[:, ::-1]
        value, width = np.take_along_axis(moments.mean, order, 1), np.take_along_axis(width, order, 1)
        apart = np.abs(value[:, :, None] - value[:, None, :])
        agree = apart <= width[:, :, None] + (np.sqrt(6) - 1) * width[:, None, :]
        earlier = np.tri(order.shape[1], k=-1, dtype=bool)
        good = (agree | ~earlier).all(2)
        last = np.cumprod(good, axis=1).sum(1) - 1
        chosen: np.ndarray = np.take_along_axis(order, last[:, None], 1)[:, 0]
        return chosen.astype(np.int64)


@dataclass(frozen=True)
class MseBound:
    """The least estimated mean squared error, ``variance / n + bias^2``, for weights that were made smaller.

    The bias of a candidate is ``|mean((w - w') (r - q))|``, w the importance weight and w' the candidate's, q 0 for
    IPW; ``upper`` adds Bernstein's bound on its error, so that few data choose plain weights only where they must
    (Wang et al., 2017).

    Attributes:
        delta: chance of error of the bound.
        upper: whether to add the bound.
    """

    delta: float = 0.1
    upper: bool = True

    def choose(
        self, moments: Moments, candidates: tuple[Estimator[Any], ...], data: Any, counts: Float[np.ndarray, "R n"]
    ) -> Int64[np.ndarray, "R"]:
        """Index of the candidate that each resample takes.

        Raises:
            ValueError: the data are no rounds with an action each, or a candidate has no weights.
        """
        if not isinstance(data, LoggedRounds):
            raise ValueError(f"the bound on the mean squared error is for LoggedRounds, found {type(data).__name__}")
        weight = data.weight
        lost = np.stack([self._lost(candidate, data, weight) for candidate in candidates], 1)
        n = moments.n[:, None]
        bias = np.abs(counts @ lost) / n
        if self.upper:
            second = (counts @ weight**2)[:, None] / n
            largest = np.where(counts > 0, weight, 0.0).max(1, keepdims=True)
            log = np.log(2 / self.delta)
            bias = bias + np.sqrt(2 * second * log / n) + 2 * largest * log / (3 * n)
        chosen: np.ndarray = np.argmin(moments.variance / n + bias**2, axis=1)
        return chosen.astype(np.int64)

    def _lost(self, candidate: Estimator[Any], data: LoggedRounds, weight: np.ndarray) -> np.ndarray:
        if not isinstance(candidate, Correcting):
            raise ValueError(f"the bound on the mean squared error is for weighted rewards, {candidate.name} has none")
        lost: np.ndarray = (weight - candidate.weigh(data)) * candidate.residual(data)
        return lost


@dataclass(frozen=True)
class Tuned:
    """One of several estimators, chosen by a rule.

    Attributes:
        candidates: each a mean of contributions (IPW, DR and their like, not the self-normalised ones).
        rule: how to choose.
        name: in results.
    """

    candidates: tuple[Estimator[Any], ...]
    rule: Rule = Slope()
    name: str = "Tuned"

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError("there is nothing to tune: at least one candidate was expected")

    def fractions(self, data: Any) -> tuple[Fraction, ...]:
        """Those of the chosen candidate."""
        return self.chosen(data).fractions(data)

    def weights(self, data: Any) -> Float64[np.ndarray, "n"]:
        """Those of the chosen candidate; those of the data if it has none."""
        chosen = self.chosen(data)
        return chosen.weights(data) if isinstance(chosen, Weighted) else needed(data.weight, "weight")

    def chosen(self, data: Any) -> Estimator[Any]:
        """The candidate that the rule takes."""
        counts = np.ones((1, data.n))
        moments = _moments(self._contributions(data), counts)
        return self.candidates[int(self.rule.choose(moments, self.candidates, data, counts)[0])]

    def rerun(self, data: Any, counts: Float[np.ndarray, "R n"]) -> Float64[np.ndarray, "R"]:
        """The estimate with the candidate chosen anew in each resample."""
        moments = _moments(self._contributions(data), counts)
        chosen = self.rule.choose(moments, self.candidates, data, counts)
        value: np.ndarray = np.take_along_axis(moments.mean, chosen[:, None], 1)[:, 0]
        return value

    def _contributions(self, data: Any) -> Float64[np.ndarray, "n C"]:
        columns = []
        for candidate in self.candidates:
            fractions = candidate.fractions(data)
            if any(fraction.denominator is not None for fraction in fractions):
                raise ValueError(f"{candidate.name} is not a mean of contributions and cannot be tuned")
            columns.append(np.sum([fraction.numerator for fraction in fractions], axis=0))
        return np.stack(columns, 1)


def _moments(contributions: np.ndarray, counts: np.ndarray) -> Moments:
    n = counts.sum(1)
    centre = contributions.mean(0)
    spread = contributions - centre
    mean = counts @ spread / n[:, None]
    variance = np.maximum(counts @ spread**2 / n[:, None] - mean**2, 0.0)
    return Moments(n, mean + centre, variance)
