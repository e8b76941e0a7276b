"""The record of what each user consumed, in buffers with room to spare: an event costs the same at any window."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64

from recgym.arrays import (
    arange,
    as_int,
    device_of,
    full,
    is_one_user,
    largest,
    namespace,
    pick,
    put,
    stretch,
    unbox,
    zeros,
)
from recgym.simulators.organic import Visit
from recgym.types import Array, History

__all__ = ["HistoryRing"]

_SPARE = 24
"""Columns to write to before the newest events are moved back to the front; no fewer than the window itself."""


class HistoryRing(NamedTuple):
    """The last T events of each user, side by side in columns ``end - T`` to ``end - 1``, changed in place.

    New events go to the right of them, so a right-aligned window is one copy. When a row has used up its spare columns,
    all windows move back to the front. The last column is a waste bin for rows with nothing to write.

    Attributes:
        items: item ids; N where no event is.
        feedback: the feedback of each event.
        time_s: when it happened.
        end: the column after the newest event.
        length: T.
        padding: N.
    """

    items: Int64[Array, "B W"]
    feedback: Float32[Array, "B W F"]
    time_s: Float64[Array, "B W"]
    end: Int64[Array, "B"]
    length: int
    padding: int

    @classmethod
    def empty(
        cls, users: int, length: int, channels: int, num_items: int, device: str, longest_visit: int = 0
    ) -> "HistoryRing":
        """A record without events; ``longest_visit`` says how many events :meth:`append_visit` may write at once."""
        # A single event is written over, in its place.
        spare = 0 if length == 1 else max(length, _SPARE, longest_visit)
        width = length + spare + 1
        return cls(
            items=full((users, width), num_items, "int64", device),
            feedback=zeros((users, width, channels), "float32", device),
            time_s=zeros((users, width), "float64", device),
            end=full((users,), length, "int64", device),
            length=length,
            padding=num_items,
        )

    def append(
        self, slate: Int64[Array, "B K"], feedback: Float32[Array, "B K F"], time_s: Float64[Array, "B"]
    ) -> None:
        """Write, in place, the items of the slate that got any feedback, in slate order. T must be at least K."""
        if self.length > 1:
            self._make_room(slate.shape[1])
        if is_one_user(slate):
            self._append_one(slate, feedback, time_s.item())
            return
        xp, waste = namespace(slate), self.items.shape[1] - 1
        consumed = feedback[:, :, 0] != 0
        for channel in range(1, feedback.shape[2]):
            consumed |= feedback[:, :, channel] != 0
        if self.length == 1:
            column = xp.where(consumed, 0, waste)
        else:
            rank = as_int(consumed) if slate.shape[1] == 1 else xp.cumsum(consumed, 1)
            column = xp.where(consumed, self.end[:, None] + (rank - 1), waste)
            self.end[:] += rank[:, -1]
        put(self.items, column, slate)
        put(self.feedback, column, feedback)
        put(self.time_s, column, xp.broadcast_to(time_s[:, None], slate.shape))

    def _append_one(self, slate: np.ndarray, feedback: np.ndarray, time_s: float) -> None:
        """The same for a single user: with plain integers, a tenth of the price of index arrays."""
        end = self.end.item()
        for position, given in enumerate(feedback[0].tolist()):
            if any(given):
                column = end if self.length > 1 else 0
                self.items[0, column] = slate[0, position]
                self.feedback[0, column] = feedback[0, position]
                self.time_s[0, column] = time_s
                end = column + 1
        self.end[0] = end

    def append_visit(
        self, rows: Int64[Array, "n"], visit: Visit, start_s: Float64[Array, "n"], count: Int64[Array, "n"]
    ) -> None:
        """Write, in place, what the users of some rows consumed by themselves. T must be at least 2.

        Args:
            rows: the rows.
            visit: what each of them consumed.
            start_s: when each visit began.
            count: events of each visit.
        """
        events = visit.items.shape[1]
        self._make_room(events)
        end = self.end[rows]
        column = end[:, None] + arange(events, device_of(end))
        column = namespace(end).where(visit.mask, column, self.items.shape[1] - 1)
        self.items[rows[:, None], column] = visit.items
        self.feedback[rows[:, None], column] = visit.feedback
        self.time_s[rows[:, None], column] = start_s[:, None] + visit.after_s
        self.end[rows] = end + count

    def _make_room(self, events: int) -> None:
        """Make sure that every row has columns left for so many events."""
        if largest(self.end) + events < self.items.shape[1]:
            return
        first = unbox(self.end) - self.length
        for array in (self.items, self.feedback, self.time_s):
            array[:, : self.length] = stretch(array, first, self.length)
        self.end[:] = self.length

    def write(self, rows: Int64[Array, "n"], history: History | None) -> None:
        """Start the given rows anew, in place: from a history of n rows, or blank."""
        length = self.length
        self.items[rows, :length] = self.padding
        self.feedback[rows, :length] = 0.0
        self.time_s[rows, :length] = 0.0
        self.end[rows] = length
        if history is None:
            return
        width = min(length, history.items.shape[1])
        if width:
            first = length - width
            self.items[rows, first:length] = history.items[:, -width:]
            self.feedback[rows, first:length] = history.feedback[:, -width:]
            self.time_s[rows, first:length] = history.time_s[:, -width:]

    def last(self) -> tuple[Int64[Array, "B"], Float32[Array, "B F"]]:
        """The newest item (N if there is none) and its feedback."""
        newest = unbox(self.end) - 1
        return pick(self.items, newest), pick(self.feedback, newest)

    def recent(self) -> Int64[Array, "B T"]:
        """The items of the last T events, right-aligned, N where there is none."""
        return stretch(self.items, unbox(self.end) - self.length, self.length)

    def window(self) -> History:
        """The last T events, right-aligned."""
        length = self.length
        first = unbox(self.end) - length
        items = stretch(self.items, first, length)
        feedback, time_s = stretch(self.feedback, first, length), stretch(self.time_s, first, length)
        return History(items, feedback, time_s, items != self.padding)
