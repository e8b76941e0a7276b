"""Rounds of several logging policies, each trusted as much as its variance allows.

The naive way is :class:`~recgym.ope.importance.IPW` or :class:`~recgym.ope.doubly_robust.DR` on all rounds; the
balanced way is the same with :func:`~recgym.ope.weights.average_importance`; the weighted way is here. Agarwal et al.
(2017), Kallus et al. (2021).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from recgym.ope.base import Fraction, LoggedRounds, needed
from recgym.ope.weights import Weights, importance, unshrunk

__all__ = ["WeightedLoggers"]


@dataclass(frozen=True)
class WeightedLoggers:
    """Stratified by logger, each logger's correction weighed by the inverse variance of its rounds.

    ``mean(m) + mean(c_i g_k(i))``, ``g_k = n / (v_k sum_l n_l / v_l)``: the correction is ``c = w r`` and the model's
    part ``m`` is 0, or, with a model, ``c = w (r - q)`` and ``m = sum_a target(a) q(a)``; ``v_k`` is the variance of
    ``m + c`` in stratum k. Only the correction is reweighed, because the model's part has one law in all strata.

    Attributes:
        model: whether to correct the model of the data (DR) or to use none (IPW).
        weigh: the weights, see :mod:`recgym.ope.weights`.
        name: in results.
    """

    model: bool = False
    weigh: Weights = importance
    name: str = "Weighted loggers"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One mean; needs ``stratum``, and ``q`` with a model.

        Raises:
            ValueError: the rewards of a stratum have no variance, so that its weight has no bound.
        """
        model, correction = self._parts(data)
        stratum = needed(data.stratum, "stratum")
        gain = _gains(model + correction, stratum, np.ones((1, data.n)))[0]
        return (Fraction(model + correction * gain[stratum]),)

    def weights(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """Of each round, before any shrinking and before the strata are weighed."""
        return unshrunk(self.weigh)(data)

    def rerun(self, data: LoggedRounds, counts: Float[np.ndarray, "R n"]) -> Float64[np.ndarray, "R"]:
        """The estimate with the strata weighed anew in each resample."""
        model, correction = self._parts(data)
        stratum = needed(data.stratum, "stratum")
        gain = _gains(model + correction, stratum, counts)
        members = np.eye(gain.shape[1])[stratum]
        by_stratum = counts @ (correction[:, None] * members)
        value: np.ndarray = (counts @ model + (by_stratum * gain).sum(1)) / counts.sum(1)
        return value

    def _parts(self, data: LoggedRounds) -> tuple[np.ndarray, np.ndarray]:
        weight = self.weigh(data)
        if self.model:
            return data.q_target, weight * (data.reward - data.q_taken)
        return np.zeros(data.n), weight * data.reward


def _gains(values: np.ndarray, stratum: np.ndarray, counts: np.ndarray) -> Float64[np.ndarray, "R L"]:
    """``g_k`` of each resample; a stratum of which nothing was drawn has gain 0."""
    members = np.eye(int(stratum.max()) + 1)[stratum]
    drawn = counts @ members
    size = np.maximum(drawn, 1)
    centre = (members.T @ values / np.maximum(members.sum(0), 1))[stratum]
    mean = counts @ ((values - centre)[:, None] * members) / size
    variance = counts @ (((values - centre) ** 2)[:, None] * members) / size - mean**2
    if len(counts) == 1 and ((variance <= 0) & (drawn > 0)).any():
        found = int(np.flatnonzero((variance[0] <= 0) & (drawn[0] > 0))[0])
        raise ValueError(f"the rewards of stratum {found} have no variance, so that it cannot be weighed")
    smallest = np.finfo(np.float64).tiny ** 0.5
    variance = np.where(drawn > 0, np.maximum(variance, smallest), np.inf)
    precision: np.ndarray = (drawn / variance).sum(1, keepdims=True)
    gain: np.ndarray = drawn.sum(1, keepdims=True) / (variance * precision)
    return gain
