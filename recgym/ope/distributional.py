"""More than the mean: the distribution of returns under a target policy, and its risk.

Source: Chandak et al., "Universal Off-Policy Evaluation" (arXiv 2104.12820); Huang et al., "Off-Policy Risk Assessment
in Contextual Bandits" (arXiv 2104.08977); names as in SCOPE-RL (arXiv 2311.18206).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from recgym.ope.base import Trajectories

__all__ = ["ReturnDistribution", "return_distribution"]


@dataclass(frozen=True)
class ReturnDistribution:
    """A distribution of returns on the returns of a log.

    Attributes:
        value: distinct or equal returns, ascending.
        cumulative: estimated probability of a return at most that, ascending to 1.
    """

    value: Float64[np.ndarray, "n"]
    cumulative: Float64[np.ndarray, "n"]

    @property
    def mass(self) -> Float64[np.ndarray, "n"]:
        """Probability of each return."""
        return np.diff(self.cumulative, prepend=0.0)

    def cdf(self, threshold: Float64[np.ndarray, "m"]) -> Float64[np.ndarray, "m"]:
        """Probability of a return at most each threshold."""
        at = np.searchsorted(self.value, threshold, side="right")
        return np.concatenate([[0.0], self.cumulative])[at]

    @property
    def mean(self) -> float:
        """Expected return."""
        return float(self.mass @ self.value)

    @property
    def variance(self) -> float:
        """Of the return."""
        return float(self.mass @ (self.value - self.mean) ** 2)

    def quantile(self, level: float) -> float:
        """Smallest return whose cumulative probability reaches the level.

        Raises:
            ValueError: the level is not in (0, 1].
        """
        if not 0 < level <= 1:
            raise ValueError(f"the level must be in (0, 1], found {level}")
        at = int(np.searchsorted(self.cumulative, level - 1e-12))
        return float(self.value[min(at, len(self.value) - 1)])

    def cvar(self, level: float) -> float:
        """Mean return of the worst share ``level`` of episodes.

        Raises:
            ValueError: the level is not in (0, 1].
        """
        edge = self.quantile(level)
        below = self.mass * (self.value < edge)
        return float((below @ self.value + (level - below.sum()) * edge) / level)


def return_distribution(data: Trajectories, normalised: bool = True) -> ReturnDistribution:
    """The distribution of discounted returns under the target policy, by weights of whole episodes.

    Args:
        data: the log.
        normalised: weights that sum to 1, so that the result is a distribution. If not, the estimate is unbiased at
            each threshold, and cut at 1; what is missing of 1 goes to the largest return.
    """
    returns = data.reward @ data.discount
    weight = data.weight[:, -1]
    order = np.argsort(returns, kind="stable")
    total = weight.sum() if normalised else float(data.n)
    if total == 0:
        raise ValueError("no episode of the log has a positive weight under the target policy")
    cumulative = np.minimum(np.cumsum(weight[order]) / total, 1.0)
    cumulative[-1] = 1.0
    return ReturnDistribution(returns[order], cumulative)
