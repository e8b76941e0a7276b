"""What a store of transitions holds, column by column, and the sizes of the problem that it was recorded on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from recgym.data.schema import FeedbackSchema

__all__ = ["EVENTS", "Problem", "point_columns"]

EVENTS = ("event_items", "event_feedback", "event_time_s", "event_point")
"""Columns with one row an event of a history; all others have one row a point."""


@dataclass(frozen=True)
class Problem:
    """What an agent that learns from a store must know of it; the sizes are those of :mod:`recgym.types`.

    Attributes:
        schema: the feedback channels.
        num_items: N.
        num_candidates: M.
        slate_size: K.
        window: T, events of a history that an agent sees.
        profile: P; 0 where users have none.
        features: D, width of an item's features.
        candidates_vary: False where the full catalogue is always on offer, in order.
        action: ``"items"`` or ``"preference"``, as in an environment.
        mask_consumed: whether items of the visible history must not be shown.
        progress: whether observations tell how far an episode of several sessions is.
        flat: width of observations that are one vector; 0 where they are a dictionary.
        costs: names of the costs.
        name: where the transitions come from.
    """

    schema: FeedbackSchema
    num_items: int
    num_candidates: int
    slate_size: int
    window: int
    profile: int = 0
    features: int = 0
    candidates_vary: bool = True
    action: Literal["items", "preference"] = "items"
    mask_consumed: bool = False
    progress: bool = False
    flat: int = 0
    costs: tuple[str, ...] = ()
    name: str = "memory"

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {**asdict(self), "schema": self.schema.to_json(), "costs": list(self.costs)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Problem":
        """The inverse of :meth:`to_json`."""
        return cls(**{**value, "schema": FeedbackSchema.from_json(value["schema"]), "costs": tuple(value["costs"])})


def point_columns(problem: Problem) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Type and row shape of each column of a store."""
    k, f = problem.slate_size, len(problem.schema)
    preference = problem.action == "preference"
    return {
        "user": (np.int64, ()), "clock_s": (np.float64, ()), "time_s": (np.float64, ()), "session": (np.int32, ()),
        "step": (np.int32, ()), "session_step": (np.int32, ()), "away_s": (np.float64, ()),
        "first_event": (np.int64, ()), "last_event": (np.int64, ()), "profile": (np.float32, (problem.profile,)),
        "candidates": (np.int32, (problem.num_candidates if problem.candidates_vary else 0,)),
        "flat": (np.float32, (problem.flat,)),
        "action": (np.float32, (problem.features,)) if preference else (np.int32, (k,)),
        "slate": (np.int32, (k,)), "feedback": (np.float32, (k, f)), "reward": (np.float32, ()),
        "costs": (np.float32, (len(problem.costs),)), "log_propensity": (np.float32, ()),
        "return_gap_s": (np.float64, ()), "terminated": (np.bool_, ()), "truncated": (np.bool_, ()),
        "event_items": (np.int32, ()), "event_feedback": (np.float32, (f,)), "event_time_s": (np.float64, ()),
        "event_point": (np.int64, ()),
    }  # fmt: skip
