"""The record of what each user consumed, as a ring buffer: writing an event costs the same at any window length."""

from typing import NamedTuple

from jaxtyping import Float32, Float64, Int64

from recgym.arrays import arange, full, gather, namespace, put, zeros
from recgym.types import Array, History

__all__ = ["HistoryRing"]


class HistoryRing(NamedTuple):
    """The last T events of each user, at ``count % T`` and before; column T is a waste bin for rows with nothing to write.

    It is right-aligned only when somebody asks, by :meth:`window`.

    Attributes:
        items: item ids; N where no event is.
        feedback: the feedback of each event.
        time_s: when it happened.
        count: events written so far.
        padding: N.
    """

    items: Int64[Array, "B T_plus_1"]
    feedback: Float32[Array, "B T_plus_1 F"]
    time_s: Float64[Array, "B T_plus_1"]
    count: Int64[Array, "B"]
    padding: int

    @classmethod
    def empty(cls, users: int, length: int, channels: int, num_items: int, device: str) -> "HistoryRing":
        """A ring without events."""
        return cls(
            items=full((users, length + 1), num_items, "int64", device),
            feedback=zeros((users, length + 1, channels), "float32", device),
            time_s=zeros((users, length + 1), "float64", device),
            count=zeros((users,), "int64", device),
            padding=num_items,
        )

    @property
    def length(self) -> int:
        """T."""
        return int(self.items.shape[1]) - 1

    def append(
        self, slate: Int64[Array, "B K"], feedback: Float32[Array, "B K F"], time_s: Float64[Array, "B"]
    ) -> None:
        """Write, in place, the items of the slate that got any feedback, in slate order. T must be at least K."""
        length, xp = self.length, namespace(slate)
        consumed = (feedback != 0).sum(-1) > 0
        rank = xp.cumsum(consumed, 1)
        column = xp.where(consumed, (self.count[:, None] + rank - 1) % length, length)
        put(self.items, column, slate)
        put(self.feedback, column, feedback)
        put(self.time_s, column, time_s[:, None] if slate.shape[1] == 1 else xp.stack([time_s] * slate.shape[1], 1))
        self.count[:] += rank[:, -1]

    def write(self, rows: Int64[Array, "n"], history: History | None) -> None:
        """Start the given rows anew, in place: from a history of n rows, or blank."""
        self.items[rows] = self.padding
        self.feedback[rows] = 0.0
        self.time_s[rows] = 0.0
        self.count[rows] = 0
        if history is None:
            return
        width = min(self.length, history.items.shape[1])
        if width:
            first = self.length - width
            self.items[rows, first : self.length] = history.items[:, -width:]
            self.feedback[rows, first : self.length] = history.feedback[:, -width:]
            self.time_s[rows, first : self.length] = history.time_s[:, -width:]

    def last(self) -> tuple[Int64[Array, "B"], Float32[Array, "B F"]]:
        """The newest item (N if there is none) and its feedback."""
        newest = ((self.count - 1) % self.length)[:, None]
        return gather(self.items, newest)[:, 0], gather(self.feedback, newest)[:, 0]

    def window(self, device: str) -> History:
        """The last T events, right-aligned."""
        column = (self.count[:, None] + arange(self.length, device)) % self.length
        items = gather(self.items, column)
        return History(
            items=items,
            feedback=gather(self.feedback, column),
            time_s=gather(self.time_s, column),
            mask=items != self.padding,
        )
