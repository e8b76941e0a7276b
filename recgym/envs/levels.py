"""How much of a user's life an episode is: one request, one session, or session after session."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["DAY_S", "Level", "RetentionLimits"]

DAY_S = 86_400.0
"""Seconds of a day."""

Level: TypeAlias = Literal["request", "session", "retention"]


@dataclass(frozen=True)
class RetentionLimits:
    """When an episode of several sessions ends.

    Attributes:
        churn_after_s: a user who stays away for longer than this, in seconds, is gone: ``terminated``.
        max_sessions: sessions after which an episode is ``truncated``; None for no limit.
        horizon_days: days since the start of the first session after which an episode is ``truncated``; None for no
            limit.
    """

    churn_after_s: float = 30 * DAY_S
    max_sessions: int | None = None
    horizon_days: float | None = None

    def __post_init__(self) -> None:
        if not self.churn_after_s > 0:
            raise ValueError(f"churn_after_s must be a positive number of seconds, found {self.churn_after_s}")
        if self.max_sessions is not None and self.max_sessions < 1:
            raise ValueError(f"max_sessions must be at least 1, found {self.max_sessions}")
        if self.horizon_days is not None and not self.horizon_days > 0:
            raise ValueError(f"horizon_days must be a positive number of days, found {self.horizon_days}")
