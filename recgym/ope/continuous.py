"""Continuous actions: rounds near the target's action count, by a kernel (Kallus and Zhou, 2018)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from recgym.ope.base import Fraction, check_rows, needed

__all__ = [
    "ContinuousRounds", "KernelDR", "KernelIPW", "KernelSNIPW",
    "cosine", "epanechnikov", "gaussian", "triangular",
]  # fmt: skip

Kernel = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ContinuousRounds:
    """Rounds of a logging policy with one real action each, and what a deterministic target policy would have done.

    Attributes:
        action: taken in each round.
        reward: that followed.
        propensity: density of the action under the logging policy, positive.
        target: action of the target policy.
        q: expected reward of the target's action, by a model, if there is one.
        q_taken: expected reward of the action taken; that of the target's action if None, as the two are close where
            the kernel counts.
    """

    action: Float64[np.ndarray, "n"]
    reward: Float64[np.ndarray, "n"]
    propensity: Float64[np.ndarray, "n"]
    target: Float64[np.ndarray, "n"]
    q: Float64[np.ndarray, "n"] | None = None
    q_taken: Float64[np.ndarray, "n"] | None = None

    def __post_init__(self) -> None:
        check_rows(self, "continuous rounds")
        for name in ("action", "reward", "target", "propensity"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"continuous rounds: {name} must be finite")
        if (self.propensity <= 0).any():
            raise ValueError("continuous rounds: propensity must be a positive density")

    @property
    def n(self) -> int:
        """Rounds."""
        return len(self.action)


def gaussian(u: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """``exp(-u^2 / 2) / sqrt(2 pi)``."""
    weight: np.ndarray = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    return weight


def epanechnikov(u: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """``0.75 (1 - u^2)`` within [-1, 1]: of least mean squared error."""
    weight: np.ndarray = 0.75 * (1 - np.clip(u, -1, 1) ** 2)
    return weight


def triangular(u: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """``1 - |u|`` within [-1, 1]."""
    weight: np.ndarray = 1 - np.abs(np.clip(u, -1, 1))
    return weight


def cosine(u: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """``pi / 4 cos(pi u / 2)`` within [-1, 1]."""
    weight: np.ndarray = np.pi / 4 * np.cos(np.clip(u, -1, 1) * np.pi / 2)
    return weight


def _near(data: ContinuousRounds, bandwidth: float, kernel: Kernel) -> Float64[np.ndarray, "n"]:
    """``w = kernel((target - action) / h) / (h propensity)``."""
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, found {bandwidth}")
    weight: np.ndarray = kernel((data.target - data.action) / bandwidth) / (bandwidth * data.propensity)
    return weight


@dataclass(frozen=True)
class KernelIPW:
    """``mean(w r)``, ``w = kernel((target - action) / h) / (h propensity)``.

    Attributes:
        bandwidth: h, how far an action may lie from the target's: wide is biased, narrow varies.
        kernel: weight by the distance in bandwidths, of integral 1.
        name: in results.
    """

    bandwidth: float
    kernel: Kernel = epanechnikov
    name: str = "Kernel IPW"

    def fractions(self, data: ContinuousRounds) -> tuple[Fraction, ...]:
        """One mean."""
        return (Fraction(self.weights(data) * data.reward),)

    def weights(self, data: ContinuousRounds) -> Float64[np.ndarray, "n"]:
        """Of each round."""
        return _near(data, self.bandwidth, self.kernel)


@dataclass(frozen=True)
class KernelSNIPW:
    """``sum(w r) / sum(w)`` with the weights of :class:`KernelIPW`.

    Attributes:
        bandwidth: h, how far an action may lie from the target's.
        kernel: weight by the distance in bandwidths.
        name: in results.
    """

    bandwidth: float
    kernel: Kernel = epanechnikov
    name: str = "Kernel SNIPW"

    def fractions(self, data: ContinuousRounds) -> tuple[Fraction, ...]:
        """One quotient; NaN if no action lies near the target's."""
        weight = self.weights(data)
        return (Fraction(weight * data.reward, weight),)

    def weights(self, data: ContinuousRounds) -> Float64[np.ndarray, "n"]:
        """Of each round."""
        return _near(data, self.bandwidth, self.kernel)


@dataclass(frozen=True)
class KernelDR:
    """``mean(q(target) + w (r - q(action)))`` with the weights of :class:`KernelIPW`.

    Attributes:
        bandwidth: h, how far an action may lie from the target's.
        kernel: weight by the distance in bandwidths.
        name: in results.
    """

    bandwidth: float
    kernel: Kernel = epanechnikov
    name: str = "Kernel DR"

    def fractions(self, data: ContinuousRounds) -> tuple[Fraction, ...]:
        """One mean; needs ``q``."""
        q = needed(data.q, "q")
        taken = q if data.q_taken is None else data.q_taken
        return (Fraction(q + self.weights(data) * (data.reward - taken)),)

    def weights(self, data: ContinuousRounds) -> Float64[np.ndarray, "n"]:
        """Of each round."""
        return _near(data, self.bandwidth, self.kernel)
