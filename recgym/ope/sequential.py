"""Estimators for episodes of several steps: importance weights by trajectory, by decision, and with a model of values.

With ``w_t`` the product of the ratios up to step t, ``G`` the discounted return and ``w_{-1} = 1``:

==================  ===========================================================================================
TIS                 ``mean w_{T-1} G`` (Precup, Sutton and Singh 2000)
WIS                 ``sum w_{T-1} G / sum w_{T-1}``
PDIS                ``mean sum_t gamma^t w_t r_t``
SNPDIS              ``sum_t gamma^t sum_i w_t r_t / sum_i w_t``
NCIS                the same with ``min(w_t, cap)`` (Bottou et al. 2013; Gilotte et al. arXiv 1801.07030)
TrajectoryDM        ``mean V(s_0)``
TrajectoryDR        ``mean sum_t gamma^t (w_t (r_t - Q_t) + w_{t-1} V_t)`` (Jiang and Li, arXiv 1511.03722)
WDR                 the same with ``w_t / mean w_t`` in place of ``w_t`` (Thomas and Brunskill, arXiv 1604.00923)
==================  ===========================================================================================

An episode that has ended keeps its last weight where weights are normalised over episodes.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from recgym.ope.base import Fraction, Trajectories, needed

__all__ = ["NCIS", "PDIS", "SNPDIS", "TIS", "WDR", "WIS", "TrajectoryDM", "TrajectoryDR"]


def _before(weight: Float64[np.ndarray, "n T"]) -> Float64[np.ndarray, "n T"]:
    """``w_{t-1}``."""
    return np.concatenate([np.ones((len(weight), 1)), weight[:, :-1]], 1)


def _by_step(above: Float64[np.ndarray, "n T"], below: Float64[np.ndarray, "n T"]) -> tuple[Fraction, ...]:
    return tuple(Fraction(above[:, t], below[:, t]) for t in range(above.shape[1]))


class _LastWeight:
    """The weight of a whole episode, for the diagnostics."""

    def weights(self, data: Trajectories) -> Float64[np.ndarray, "n"]:
        """See :class:`recgym.ope.base.Weighted`."""
        last: np.ndarray = data.weight[:, -1]
        return last


@dataclass(frozen=True)
class TIS(_LastWeight):
    """Importance sampling of whole episodes; unbiased, and of a variance that grows exponentially with the steps."""

    name: ClassVar[str] = "TIS"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        return (Fraction(data.weight[:, -1] * (data.reward @ data.discount)),)


@dataclass(frozen=True)
class WIS(_LastWeight):
    """Weighted importance sampling: :class:`TIS` with weights that sum to 1; within the range of the returns."""

    name: ClassVar[str] = "WIS"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        weight = data.weight[:, -1]
        return (Fraction(weight * (data.reward @ data.discount), weight),)


@dataclass(frozen=True)
class PDIS(_LastWeight):
    """Per-decision importance sampling: a reward is weighed by what was chosen before it alone; unbiased."""

    name: ClassVar[str] = "PDIS"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        return (Fraction((data.weight * data.reward) @ data.discount),)


@dataclass(frozen=True)
class SNPDIS(_LastWeight):
    """:class:`PDIS` with weights that are normalised step by step."""

    name: ClassVar[str] = "SNPDIS"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        weight = data.weight
        return _by_step(weight * data.reward * data.discount, weight)


@dataclass(frozen=True)
class NCIS:
    """Normalised capped importance sampling: :class:`SNPDIS` with weights that are cut first.

    Attributes:
        cap: largest weight.
    """

    name: ClassVar[str] = "NCIS"

    cap: float = 10.0

    def __post_init__(self) -> None:
        if not self.cap > 0:
            raise ValueError(f"cap must be positive, found {self.cap}")

    def weights(self, data: Trajectories) -> Float64[np.ndarray, "n"]:
        """See :class:`recgym.ope.base.Weighted`."""
        cut: np.ndarray = np.minimum(data.weight[:, -1], self.cap)
        return cut

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        weight = np.minimum(data.weight, self.cap)
        return _by_step(weight * data.reward * data.discount, weight)


@dataclass(frozen=True)
class TrajectoryDM:
    """What a model says of first states; no better than the model."""

    name: ClassVar[str] = "DM"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        return (Fraction(needed(data.v, "v")[:, 0]),)


@dataclass(frozen=True)
class TrajectoryDR(_LastWeight):
    """Doubly robust: unbiased whatever the model, and of little variance if the model is good."""

    name: ClassVar[str] = "DR"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        weight, q, v = data.weight, needed(data.q, "q"), needed(data.v, "v")
        return (Fraction((weight * (data.reward - q) + _before(weight) * v) @ data.discount),)


@dataclass(frozen=True)
class WDR(_LastWeight):
    """Weighted doubly robust: :class:`TrajectoryDR` with weights that are normalised step by step."""

    name: ClassVar[str] = "WDR"

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        weight, q, v = data.weight, needed(data.q, "q"), needed(data.v, "v")
        corrections = _by_step(weight * (data.reward - q) * data.discount, weight)
        before = _before(weight)
        return (*corrections, *_by_step(before * v * data.discount, before))
