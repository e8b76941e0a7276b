"""What users had before a question, as flat rows: which item, and how many of their sessions ago."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.sparse import csr_array
from torch import Tensor

from recgym.arrays import to_numpy
from recgym.encoders.batch import Batch
from recgym.encoders.sequences import Sequences
from recgym.types import Array, History

__all__ = ["Events", "Past", "check_window", "events_of", "unknown_below"]

_USERS = 1024
"""Users whose histories are padded to one length at once."""


class Events(NamedTuple):
    """Histories as tensors on the host; where padding is does not matter.

    Attributes:
        items: item ids, ascending in time; N at padding.
        time_s: when; 0 at padding.
        mask: where an event is.
        age: sessions after that of each event, 0 in the newest one; 0 at padding.
    """

    items: Int64[Tensor, "B T"]
    time_s: Float64[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    age: Int64[Tensor, "B T"]

    @classmethod
    def of(
        cls,
        items: Int64[Tensor, "B T"],
        time_s: Float64[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        num_items: int,
        pause_s: float,
    ) -> "Events":
        """Number the sessions; a new one begins after a longer pause, as in :func:`recgym.data.sessionise`.

        Raises:
            ValueError: an item id is outside the catalogue.
        """
        bad = mask & ((items < 0) | (items >= num_items))
        if bool(bad.any()):
            raise ValueError(f"found item id {int(items[bad][0])} in a history, expected 0..{num_items - 1}")
        ends = (time_s[:, 1:] - time_s[:, :-1] > pause_s) & mask[:, 1:] & mask[:, :-1]
        later = torch.nn.functional.pad(ends, (0, 1)).flip(1).cumsum(1).flip(1)  # borders from each event on
        nothing = torch.zeros((), dtype=torch.float64)
        return cls(
            torch.where(mask, items, num_items), torch.where(mask, time_s, nothing), mask, torch.where(mask, later, 0)
        )

    @classmethod
    def of_batch(cls, batch: Batch, num_items: int, pause_s: float) -> "Events":
        """Those of a batch of sequences; where only the order is known, an event takes a second."""
        times = batch.time_s
        if times is None:
            times = torch.arange(batch.items.shape[1], dtype=torch.float64).expand(batch.items.shape)
        return cls.of(batch.items, times, batch.mask, num_items, pause_s)

    @property
    def newest_s(self) -> Float64[Tensor, "B"]:
        """The time of each row's newest event; 0 without any."""
        newest = torch.where(self.mask, self.time_s, -torch.inf).amax(1)
        return torch.where(newest.isinf(), torch.zeros_like(newest), newest)

    @property
    def last_session(self) -> Bool[Tensor, "B T"]:
        """The events of each row's newest session."""
        return self.mask & (self.age == 0)

    def reference(self, query_time_s: Float64[Array, "B"] | None, gap_s: float = 1.0) -> Float64[Tensor, "B"]:
        """When the question is put; where that is hidden, a while after the newest event."""
        return self.newest_s + gap_s if query_time_s is None else torch.from_numpy(to_numpy(query_time_s))


def events_of(history: History, num_items: int, window: int, pause_s: float) -> Events:
    """The newest ``window`` events of each history, on the host.

    Raises:
        ValueError: an item id is outside the catalogue.
    """
    items, time_s, mask = (
        torch.from_numpy(to_numpy(part)[:, -window:]) for part in (history.items, history.time_s, history.mask)
    )
    return Events.of(items, time_s, mask, num_items, pause_s)


class Past(NamedTuple):
    """The baskets of some histories: each item of a session once. Row after row, items in order.

    Attributes:
        row: of the history.
        item: id.
        age: sessions since.
        sessions: how many sessions each row has.
        num_items: N.
    """

    row: Int64[np.ndarray, "e"]
    item: Int64[np.ndarray, "e"]
    age: Int64[np.ndarray, "e"]
    sessions: Int64[np.ndarray, "B"]
    num_items: int

    @classmethod
    def of(cls, events: Events, num_items: int) -> "Past":
        """The baskets of events."""
        row, column = (part.numpy() for part in torch.nonzero(events.mask, as_tuple=True))
        item, age = events.items.numpy()[row, column], events.age.numpy()[row, column]
        sessions = np.zeros(len(events.mask), np.int64)
        np.maximum.at(sessions, row, age + 1)
        longest = int(sessions.max(initial=1))
        pair, age = np.divmod(np.unique((row * num_items + item) * longest + age), longest)
        row, item = np.divmod(pair, num_items)
        return cls(row, item, age, sessions, num_items)

    @classmethod
    def of_history(cls, history: History, num_items: int, window: int, pause_s: float) -> "Past":
        """The baskets among the newest ``window`` events of each history."""
        return cls.of(events_of(history, num_items, window, pause_s), num_items)

    @classmethod
    def of_sequences(cls, sequences: Sequences, window: int, pause_s: float) -> "Past":
        """The baskets among the newest ``window`` events of each user."""
        n, parts = sequences.num_items, []
        for first in range(0, sequences.num_users, _USERS):
            users = np.arange(first, min(first + _USERS, sequences.num_users))
            events = Events.of_batch(sequences.histories(users, window), n, pause_s)
            some = cls.of(events, n)
            parts.append((some.row + first, some.item, some.age, some.sessions))
        if not parts:
            nothing = np.zeros(0, np.int64)
            return cls(nothing, nothing, nothing, nothing, n)
        row, item, age, sessions = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(row, item, age, sessions, n)

    def sums(self, values: Float64[np.ndarray, "e"]) -> csr_array:
        """A value of each event, added up over the same row and item: sparse ``[B, N]`` float64."""
        return csr_array((values, (self.row, self.item)), (len(self.sessions), self.num_items))

    def known(self) -> csr_array:
        """1 for each item that a row has had: sparse ``[B, N]`` float32."""
        held = self.sums(np.ones(len(self.row))).astype(np.float32)
        held.data[:] = 1.0
        return held


def unknown_below(scores: Float32[Tensor, "B N"], shares: Float32[Tensor, "N"]) -> Float32[Tensor, "B N"]:
    """Positive scores as they are; all other items below them, by popularity: ``share - 1``, at most 0."""
    return torch.where(scores > 0, scores, shares - 1)


def check_window(window: int, pause_s: float) -> None:
    """Refuse a window without events, or a pause that is not positive.

    Raises:
        ValueError: so it is.
    """
    if window < 1:
        raise ValueError(f"the window must hold at least one event, found {window}")
    if not pause_s > 0:
        raise ValueError(f"the pause between sessions must be a positive number of seconds, found {pause_s}")
