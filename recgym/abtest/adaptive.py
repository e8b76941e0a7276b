"""Means and differences from experiments whose allocation followed what was seen.

There the plain mean of an arm is biased downwards and its usual interval covers too rarely: an arm that was unlucky is
hardly asked again. Source: Hadad, Hirshberg, Zhan, Wager and Athey, "Confidence intervals for policy evaluation in
adaptive experiments" (arXiv 1911.02768).
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy import stats

from recgym.abtest.bandit import AdaptiveData

__all__ = ["ArmEstimates", "Weights", "adaptive_estimates", "plain_estimates"]


class Weights(StrEnum):
    """How users count in the mean of their scores.

    ``UNIFORM`` all the same: unbiased, but not normal where probabilities go to 0. ``STABLE`` by the square root of the
    probability of the arm, which keeps the variance of each term alike ("constant allocation rate"): normal, and
    biased only by what vanishes.
    """

    UNIFORM = "uniform"
    STABLE = "stable"


class ArmEstimates(NamedTuple):
    """Means of the arms with standard errors.

    Attributes:
        mean: of each arm.
        error: its standard error.
    """

    mean: Float64[np.ndarray, "R A"]
    error: Float64[np.ndarray, "R A"]

    def interval(self, level: float = 0.95) -> tuple[Float64[np.ndarray, "R A"], Float64[np.ndarray, "R A"]]:
        """Normal bounds of each mean."""
        half = stats.norm.ppf((1 + level) / 2) * self.error
        return self.mean - half, self.mean + half

    def contrast(self, arm: int, control: int = 0) -> tuple[Float64[np.ndarray, "R"], Float64[np.ndarray, "R"]]:
        """Difference of two arms and its standard error; the scores of two arms are asymptotically uncorrelated."""
        error = np.hypot(self.error[:, arm], self.error[:, control])
        return self.mean[:, arm] - self.mean[:, control], error


def adaptive_estimates(data: AdaptiveData, weights: Weights = Weights.STABLE) -> ArmEstimates:
    """Weighted means of doubly robust scores.

    With ``m`` the mean of the arm over all batches before, and ``e`` its probability, a user has the score
    ``m + 1{arm} (y - m) / e``; scores are averaged with weights ``h``, 1 or ``sqrt(e)``, and
    ``error^2 = sum h^2 (score - mean)^2 / (sum h)^2``. Sums over a batch are all that this needs.

    Raises:
        ValueError: an arm had no chance in some batch.
    """
    e = data.probability
    if (e <= 0).any():
        raise ValueError("every arm needs a probability above 0 at all times, found 0; give the rule a floor")
    n = data.users.sum(-1, keepdims=True).astype(np.float64)
    centre = data.total.sum((1, 2), keepdims=True) / n.sum(1, keepdims=True)  # near 0 sums keep their digits
    total = data.total - centre * data.users
    square = data.square - 2 * centre * data.total + centre**2 * data.users
    seen, known = data.users.cumsum(1) - data.users, total.cumsum(1) - total
    m = np.where(seen > 0, known / np.maximum(seen, 1), 0.0)
    off = (total - data.users * m) / e
    first = n * m + off
    second = n * m**2 + 2 * m * off + (square - 2 * m * total + data.users * m**2) / e**2
    h = np.sqrt(e) if weights is Weights.STABLE else np.ones_like(e)
    below = (h * n).sum(1)
    mean = (h * first).sum(1) / below
    spread = second - 2 * mean[:, None] * first + n * mean[:, None] ** 2
    error = np.sqrt((h**2 * spread).sum(1).clip(0)) / below
    return ArmEstimates(mean + centre[:, 0], error)


def plain_estimates(data: AdaptiveData) -> ArmEstimates:
    """Plain means with their usual errors: right for a fixed split, misleading for adaptive data."""
    count = data.users.sum(1)
    n = np.maximum(count, 1)
    mean = data.total.sum(1) / n
    variance = (data.square.sum(1) - n * mean**2).clip(0) / np.maximum(n - 1, 1)
    return ArmEstimates(mean, np.sqrt(variance / n))
