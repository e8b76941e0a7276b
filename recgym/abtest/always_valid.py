"""Inference that may be looked at whenever one likes, and stopped at any look.

All of it bounds the chance to be wrong at any time, with estimated variances, after a burn-in of users at which the
estimates can be trusted; so levels hold approximately, as for z-tests. Sources: Johari, Pekelis and Walsh,
"Always Valid Inference" (arXiv 1512.04922), equations 6 to 9; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences" (arXiv 1810.08240), equations 2 and 14; Waudby-Smith, Arbour,
Sinha, Kennedy and Ramdas, "Time-uniform central limit theory" (arXiv 2103.06476), theorem 2.2.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from recgym.abtest.looks import Looks

__all__ = ["MSPRT", "ConfidenceSequence", "StitchedSequence", "mixture_scale"]


def mixture_scale(effect: float) -> float:
    """The tau that makes a mixture most sensitive to effects of about this size: the size itself.

    Johari et al. (section 4.4) match the mixture to the prior of effects.
    """
    if not effect > 0:
        raise ValueError(f"the effect to be seen must be positive, found {effect}")
    return effect


def _settled(looks: Looks, burn_in: int) -> tuple[np.ndarray, np.ndarray]:
    """Looks at which each arm has enough users for its variance to be believed, and the squared errors; 1 elsewhere."""
    error = looks.squared_error
    enough = (looks.users[:, :, 0] >= burn_in) & (looks.users[:, :, 1] >= burn_in)
    settled = enough & np.isfinite(error) & (error > 0)
    return settled, np.where(settled, error, 1.0)


@dataclass(frozen=True)
class MSPRT:
    """Mixture sequential probability ratio test of no difference.

    With ``d`` the difference and ``V`` its squared error, the mixture of alternatives N(0, tau^2) has the ratio::

        Lambda = sqrt(V / (V + tau^2)) exp(d^2 tau^2 / (2 V (V + tau^2)))

    and ``p = min over looks so far of min(1, 1 / Lambda)`` is valid at any stopping time.

    Attributes:
        tau: standard deviation of the mixture, in units of the metric; see :func:`mixture_scale`.
        alpha: level.
        burn_in: users of each arm before the first look counts.
    """

    name: ClassVar[str] = "mSPRT"
    peeking: ClassVar[bool] = True

    tau: float
    alpha: float = 0.05
    burn_in: int = 100

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(f"tau must be positive, found {self.tau}")

    def p_values(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """Always-valid p-value at each look; it never rises."""
        settled, error = _settled(looks, self.burn_in)
        spread = error + self.tau**2
        log_ratio = 0.5 * np.log(error / spread) + looks.difference**2 * self.tau**2 / (2 * error * spread)
        p = np.where(settled, np.exp(-np.maximum(log_ratio, 0.0)), 1.0)
        return np.minimum.accumulate(p, axis=1)

    def interval(self, looks: Looks) -> tuple[Float64[np.ndarray, "R L"], Float64[np.ndarray, "R L"]]:
        """Differences that the test has not rejected at this look; unbounded before the burn-in is over."""
        return ConfidenceSequence(self.tau, self.alpha, self.burn_in, running=False).interval(looks)


@dataclass(frozen=True)
class ConfidenceSequence:
    """Bounds of the difference that hold at all looks at once, by a normal mixture.

    ``half width = sqrt(2 V (V + tau^2) / tau^2 (log(1 / alpha) + log((V + tau^2) / V) / 2))``: the inversion of
    :class:`MSPRT`, and the asymptotic confidence sequence of arXiv 2103.06476 with ``rho^2 = tau^2 / (n V)``.

    Attributes:
        tau: where the sequence is tightest; see :func:`mixture_scale`.
        alpha: level.
        burn_in: users of each arm before the first look counts.
        running: intersect the bounds of all looks so far, which stays valid and never widens.
    """

    name: ClassVar[str] = "confidence sequence"
    peeking: ClassVar[bool] = True

    tau: float
    alpha: float = 0.05
    burn_in: int = 100
    running: bool = True

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(f"tau must be positive, found {self.tau}")

    def interval(self, looks: Looks) -> tuple[Float64[np.ndarray, "R L"], Float64[np.ndarray, "R L"]]:
        """Bounds at each look; unbounded before the burn-in is over."""
        settled, error = _settled(looks, self.burn_in)
        spread = error + self.tau**2
        inner = math.log(1 / self.alpha) + 0.5 * np.log(spread / error)
        half = np.where(settled, np.sqrt(2 * error * spread / self.tau**2 * inner), np.inf)
        return _bounds(looks.difference, half, self.running)

    def p_values(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """Those of the test that it inverts."""
        return MSPRT(self.tau, self.alpha, self.burn_in).p_values(looks)


@dataclass(frozen=True)
class StitchedSequence:
    """Bounds that hold at all looks at once and shrink as fast as the law of the iterated logarithm lets them.

    Howard et al., equation 2: for a sum of variance v, two-sided at level alpha,
    ``u(v) = 1.7 sqrt(v (log log(2 v) + 0.72 log(5.2 / (alpha / 2))))`` for v of 1 or more. Here v counts in units of
    the variance at the end of the burn-in, so that 1 is where the bounds begin to hold. It needs no guess of the
    effect, and pays for that.

    Attributes:
        alpha: level.
        burn_in: users of each arm before the first look counts.
        running: intersect the bounds of all looks so far.
    """

    name: ClassVar[str] = "stitched sequence"
    peeking: ClassVar[bool] = True

    alpha: float = 0.05
    burn_in: int = 100
    running: bool = True

    def interval(self, looks: Looks) -> tuple[Float64[np.ndarray, "R L"], Float64[np.ndarray, "R L"]]:
        """Bounds at each look; unbounded before the burn-in is over."""
        settled, error = _settled(looks, self.burn_in)
        with np.errstate(divide="ignore", invalid="ignore"):
            information = np.where(settled, 1 / error, np.inf)
            # Variance of the sum grows as the information does: v = 1 at the first settled look.
            first = information.min(1, keepdims=True)
            v = np.where(settled, np.maximum(information / first, 1.0), 1.0)
            u = 1.7 * np.sqrt(v * (np.log(np.log(2 * v)).clip(0) + 0.72 * math.log(10.4 / self.alpha)))
            half = np.where(settled, u / v / np.sqrt(first), np.inf)
        return _bounds(looks.difference, half, self.running)

    def p_values(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """Smallest level at which 0 has left the bounds at some look so far, by the boundary solved for alpha."""
        settled, error = _settled(looks, self.burn_in)
        with np.errstate(divide="ignore", invalid="ignore"):
            information = np.where(settled, 1 / error, np.inf)
            first = information.min(1, keepdims=True)
            v = np.where(settled, np.maximum(information / first, 1.0), 1.0)
            reached = (np.abs(looks.difference) * v * np.sqrt(first) / 1.7) ** 2 / v
            loglog = np.log(np.log(2 * v)).clip(0)
            p = np.where(settled, np.minimum(10.4 * np.exp(-(reached - loglog) / 0.72), 1.0), 1.0)
        return np.minimum.accumulate(p, axis=1)


def _bounds(centre: np.ndarray, half: np.ndarray, running: bool) -> tuple[np.ndarray, np.ndarray]:
    low, high = centre - half, centre + half
    if running:
        low, high = np.maximum.accumulate(low, axis=1), np.minimum.accumulate(high, axis=1)
    return low, high
