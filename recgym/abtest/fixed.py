"""Tests for an experiment that is looked at once, at its end."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from scipy import stats

from recgym.abtest.looks import Looks

__all__ = ["FixedHorizon"]


@dataclass(frozen=True)
class FixedHorizon:
    """Welch's t-test of the difference in means (a z-test where there are many users).

    Its level holds at one look that was chosen beforehand. Whoever peeks and stops at the first small p-value rejects
    far more often: :meth:`p_values` at every look and :func:`recgym.abtest.decide` show how much.

    Attributes:
        alpha: level.
    """

    name: ClassVar[str] = "fixed horizon"
    peeking: ClassVar[bool] = False

    alpha: float = 0.05

    def _freedom(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """Welch and Satterthwaite's degrees of freedom."""
        with np.errstate(divide="ignore", invalid="ignore"):
            part = looks.variance / looks.users
            below = (part**2 / (looks.users - 1)).sum(-1)
            freedom: np.ndarray = np.where(below > 0, part.sum(-1) ** 2 / below, 1.0)
        return freedom

    def p_values(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """Two-sided p-value as if each look were the only one; 1 before there are two users an arm."""
        error = looks.squared_error
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(error > 0, np.abs(looks.difference) / np.sqrt(error), np.inf * np.sign(looks.difference))
        score = np.where(np.isnan(score), 0.0, np.abs(score))
        return np.where(np.isfinite(error), 2 * stats.t.sf(score, self._freedom(looks)), 1.0)

    def interval(self, looks: Looks) -> tuple[Float64[np.ndarray, "R L"], Float64[np.ndarray, "R L"]]:
        """Bounds of the difference at each look, each as if it were the only one."""
        half = stats.t.ppf(1 - self.alpha / 2, self._freedom(looks)) * np.sqrt(looks.squared_error)
        return looks.difference - half, looks.difference + half
