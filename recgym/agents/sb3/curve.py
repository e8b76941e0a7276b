"""How an agent's return grew while it learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.stats import t_interval

__all__ = ["CurvePoint", "LearningCurve"]


@dataclass(frozen=True)
class CurvePoint:
    """The episodes that ended since the point before.

    Attributes:
        steps: user-steps that the agent had seen.
        mean: mean return of those episodes, undiscounted, under the exploring policy.
        low: lower bound of its 95 % interval (Student's t over episodes).
        high: upper bound.
        episodes: how many.
    """

    steps: int
    mean: float
    low: float
    high: float
    episodes: int

    @classmethod
    def of(cls, steps: int, returns: Sequence[float]) -> "CurvePoint":
        """The point of at least two episodes' returns."""
        mean, low, high = t_interval(np.asarray(returns))
        return cls(steps, mean, low, high, len(returns))


@dataclass(frozen=True)
class LearningCurve:
    """Points in order of steps.

    Attributes:
        points: the points.
    """

    points: tuple[CurvePoint, ...] = ()

    def with_point(self, point: CurvePoint) -> "LearningCurve":
        """The curve with one more point at its end."""
        return LearningCurve((*self.points, point))

    def to_json(self) -> list[dict[str, Any]]:
        """Rows ``{"steps", "return", "low", "high", "episodes"}``."""
        return [
            {"steps": p.steps, "return": p.mean, "low": p.low, "high": p.high, "episodes": p.episodes}
            for p in self.points
        ]

    @classmethod
    def from_json(cls, rows: list[dict[str, Any]]) -> "LearningCurve":
        """The inverse of :meth:`to_json`."""
        return cls(
            tuple(CurvePoint(r["steps"], r["return"], r["low"], r["high"], r["episodes"]) for r in rows)
        )  # fmt: skip
