"""Group sequential tests: a few looks, planned beforehand, with bounds that share the level among them.

The bounds are exact for normal scores: the density of the score at a look, restricted to experiments that went on, is
carried from look to look by numerical integration (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000,
chapter 19).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from scipy import optimize, stats

from recgym.abtest.looks import Looks

__all__ = ["GroupSequential", "Spending", "boundaries", "crossing"]

_GRID = 401


class Spending(StrEnum):
    """How bounds fall from look to look: ``z_k = c / sqrt(t_k)`` (O'Brien and Fleming) or ``z_k = c`` (Pocock)."""

    OBRIEN_FLEMING = "obrien-fleming"
    POCOCK = "pocock"

    def shape(self, share: Float64[np.ndarray, "L"]) -> Float64[np.ndarray, "L"]:
        """Bounds in units of c, at shares of the full information."""
        return 1 / np.sqrt(share) if self is Spending.OBRIEN_FLEMING else np.ones_like(share)


def crossing(bound: tuple[float, ...], share: tuple[float, ...], drift: float = 0.0) -> float:
    """Probability that ``|Z_k|`` passes its bound at one look or more.

    Args:
        bound: of each look.
        share: of the full information at each look, ascending, the last one usually 1.
        drift: expected score at full information; 0 under no difference.
    """
    total = 0.0
    grid = mass = np.zeros(0)
    before = 0.0
    for limit, now in zip(bound, share, strict=True):
        # On the scale of S = Z sqrt(t) increments are independent: S_k - S_{k-1} ~ N(drift (t_k - t_{k-1}), dt).
        edge, sd, move = limit * math.sqrt(now), math.sqrt(now - before), drift * (now - before)
        if before == 0.0:  # all begin at 0
            grid, mass = np.zeros(1), np.ones(1)
        upper, lower = stats.norm.sf((edge - grid - move) / sd), stats.norm.cdf((-edge - grid - move) / sd)
        total += float((mass * (upper + lower)).sum())
        points = np.linspace(-edge, edge, _GRID)
        simpson = np.ones(_GRID)
        simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
        apart = (points[:, None] - grid[None] - move) / sd
        density = np.exp(-0.5 * apart**2) @ mass / (sd * math.sqrt(2 * math.pi))
        grid, mass, before = points, density * simpson * (points[1] - points[0]) / 3, now
    return total


@lru_cache(maxsize=64)
def boundaries(kind: Spending, share: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """The bounds of the score at each look that together reject with probability alpha under no difference."""
    shape = kind.shape(np.asarray(share))

    def excess(c: float) -> float:
        return crossing(tuple((c * shape).tolist()), share) - alpha

    c = float(optimize.brentq(excess, stats.norm.ppf(1 - alpha / 2), 6.0, xtol=1e-10))
    return tuple((c * shape).tolist())


@dataclass(frozen=True)
class GroupSequential:
    """A test with planned looks.

    Attributes:
        users: how many users will have come at each look, ascending; other looks do not count.
        kind: how the bounds fall.
        alpha: level over all looks.
    """

    name: ClassVar[str] = "group sequential"
    peeking: ClassVar[bool] = True

    users: tuple[int, ...]
    kind: Spending = Spending.OBRIEN_FLEMING
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.users or any(b <= a for a, b in zip((0, *self.users), self.users, strict=False)):
            raise ValueError(f"planned looks must ascend from 1 user or more, found {list(self.users)}")

    @property
    def bounds(self) -> tuple[float, ...]:
        """Of the score at each planned look."""
        return boundaries(self.kind, tuple(n / self.users[-1] for n in self.users), self.alpha)

    def _at(self, looks: Looks) -> tuple[np.ndarray, np.ndarray]:
        """Which looks were planned, ``[R, L]``, and their bounds; infinite at others."""
        users = looks.users.sum(-1)
        bound = np.full(users.shape, np.inf)
        for planned, limit in zip(self.users, self.bounds, strict=True):
            bound[users == planned] = limit
        return np.isfinite(bound), bound

    def p_values(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """The level over all looks at which the look at hand would just reject, with bounds of the same shape."""
        planned, _ = self._at(looks)
        share = tuple(n / self.users[-1] for n in self.users)
        shape = self.kind.shape(np.asarray(share))
        users = looks.users.sum(-1)
        unit = np.ones(users.shape)
        for count, of_shape in zip(self.users, shape, strict=True):
            unit[users == count] = of_shape
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(planned, np.abs(looks.difference) / np.sqrt(looks.squared_error), 0.0) / unit
        level = _levels(self.kind, share)
        p = np.where(planned, level(np.nan_to_num(score)), 1.0)
        return np.minimum.accumulate(p, axis=1)

    def interval(self, looks: Looks) -> tuple[Float64[np.ndarray, "R L"], Float64[np.ndarray, "R L"]]:
        """Repeated confidence intervals (Jennison and Turnbull 1989), intersected over the planned looks so far."""
        _, bound = self._at(looks)
        with np.errstate(invalid="ignore"):
            half = np.where(np.isfinite(bound), bound * np.sqrt(looks.squared_error), np.inf)
        low, high = looks.difference - half, looks.difference + half
        return np.maximum.accumulate(low, axis=1), np.minimum.accumulate(high, axis=1)


@lru_cache(maxsize=64)
def _levels(kind: Spending, share: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """From c to the level of bounds ``c * shape``, interpolated in logarithm."""
    shape = kind.shape(np.asarray(share))
    c = np.linspace(0.05, 8.0, 54)
    log_level = np.log([max(min(crossing(tuple((x * shape).tolist()), share), 1.0), 1e-16) for x in c])

    def level(score: np.ndarray) -> np.ndarray:
        value: np.ndarray = np.where(score < c[0], 1.0, np.exp(np.interp(score, c, log_level)))
        return value

    return level
