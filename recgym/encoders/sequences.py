"""All histories of a log as flat arrays, and training batches cut from them by index arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data import Events, InteractionLog, consumed_events
from recgym.encoders.batch import Batch, Example

__all__ = ["Sequences", "Stretches"]

_SHUFFLED_TOGETHER = 16


@dataclass(frozen=True)
class Stretches:
    """Pieces of histories: events ``start[i]`` to ``end[i] - 1`` of user ``user[i]``."""

    user: Int64[np.ndarray, "S"]
    start: Int64[np.ndarray, "S"]
    end: Int64[np.ndarray, "S"]

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Sequences:
    """What each user consumed, oldest first.

    Attributes:
        items: item ids; user u has the events ``start[u]`` to ``start[u + 1] - 1``.
        start: first event of each user, and the number of events at the end.
        num_items: N.
        time_s: when; None where only the order is known.
        feedback: of each event, one column a channel; None where only item ids are to be used.
        session: number of each event's session, -1 where unknown.
    """

    items: Int64[np.ndarray, "E"]
    start: Int64[np.ndarray, "U_plus_1"]
    num_items: int
    time_s: Float64[np.ndarray, "E"] | None = None
    feedback: Float32[np.ndarray, "E F"] | None = None
    session: Int64[np.ndarray, "E"] | None = None

    @classmethod
    def from_log(cls, log: InteractionLog) -> "Sequences":
        """All that was consumed, see :attr:`InteractionLog.consumed`."""
        return cls.from_events(consumed_events(log), log.n_items, log.time_unit == "s")

    @classmethod
    def from_events(cls, events: Events, num_items: int, timed: bool) -> "Sequences":
        """The events of a log, such as those of :func:`recgym.data.saved_events` where it is larger than memory.

        Args:
            events: what was consumed.
            num_items: N.
            timed: whether their times are known, and not only their order.
        """
        times = events.time_s if timed else None
        return cls(events.items, events.start, num_items, times, events.feedback, events.session)

    @property
    def num_users(self) -> int:
        """Users, with events or without."""
        return len(self.start) - 1

    def stretches(self, length: int, shortest: int = 1, newest_only: bool = False) -> Stretches:
        """Histories cut into pieces from the end; neighbours share one event, so that each but the first is a target.

        Args:
            length: events of a piece at most, at least 2.
            shortest: pieces of fewer events are left out.
            newest_only: keep only each user's last piece.

        Raises:
            ValueError: a piece would hold fewer than two events.
        """
        if length < 2:
            raise ValueError(f"a piece of a history needs at least 2 events, found {length}")
        lengths = np.diff(self.start)
        stride = length - 1
        pieces = np.maximum(-(-(lengths - 1) // stride), np.minimum(lengths, 1))
        if newest_only:
            pieces = np.minimum(pieces, 1)
        user = np.repeat(np.arange(self.num_users), pieces)
        nth = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # 0 is the user's last piece
        end = self.start[user + 1] - nth * stride
        start = np.maximum(end - length, self.start[user])
        kept = end - start >= shortest
        return Stretches(user[kept], start[kept], end[kept])

    def gather(
        self, start: Int64[np.ndarray, "B"], end: Int64[np.ndarray, "B"], device: torch.device | str = "cpu"
    ) -> Batch:
        """The events ``start..end-1`` of each row, aligned."""
        longest = max(int((end - start).max(initial=0)), 1)
        index = start[:, None] + np.arange(longest)
        mask = index < end[:, None]
        index = np.where(mask, index, 0)

        def take(part: np.ndarray | None) -> torch.Tensor | None:
            if part is None:
                return None
            if len(part) == 0:
                return torch.zeros((*index.shape, *part.shape[1:]), dtype=torch.from_numpy(part).dtype, device=device)
            return torch.from_numpy(part[index]).to(device)

        items = np.where(mask, self.items[index] if len(self.items) else 0, self.num_items)
        return Batch(
            torch.from_numpy(items).to(device), torch.from_numpy(mask).to(device),
            take(self.time_s), take(self.feedback), take(self.session),
        )  # fmt: skip

    def histories(self, users: Int64[np.ndarray, "B"], window: int) -> Batch:
        """The newest ``window`` events of some users, aligned."""
        end = self.start[users + 1]
        return self.gather(np.maximum(end - window, self.start[users]), end)

    def examples(
        self,
        window: int,
        batch_size: int,
        generator: np.random.Generator,
        newest_only: bool = False,
        device: torch.device | str = "cpu",
    ) -> Iterator[Example]:
        """One pass over the log: every event that follows another is a target once (unless ``newest_only``).

        Pieces of like length share a batch, so that little is padding; which ones is random.

        Args:
            window: T, events of an input at most.
            batch_size: pieces of a batch.
            generator: draws the order.
            newest_only: use only each user's newest piece.
            device: where the batches go.
        """
        pieces = self.stretches(window + 1, 2, newest_only)
        lengths = pieces.end - pieces.start
        order = generator.permutation(len(pieces))
        group = np.arange(len(order)) // (batch_size * _SHUFFLED_TOGETHER)
        order = order[np.lexsort((lengths[order], group))]
        for first in batch_size * generator.permutation(-(-len(order) // batch_size)):
            rows = order[first : first + batch_size]
            batch = self.gather(pieces.start[rows], pieces.end[rows], device)
            opens = torch.from_numpy(pieces.start[rows] == self.start[pieces.user[rows]]).to(device)
            yield next_item(batch, torch.from_numpy(pieces.user[rows]).to(device), opens, self.num_items)


def next_item(batch: Batch, users: Int64[torch.Tensor, "B"], opens: Bool[torch.Tensor, "B"], num_items: int) -> Example:
    """Every event but the last as an input, with the event after it as its target, dense over all positions.

    Args:
        batch: stretches of histories, aligned.
        users: whose they are.
        opens: stretches that begin with the user's first event.
        num_items: N.
    """
    follows = batch.mask[:, 1:]
    asked = None if batch.time_s is None else batch.time_s[:, 1:]
    # An event that nothing follows has no state that is trained, so it is no input either.
    inputs = replace(batch.map(lambda part: part[:, :-1]), mask=follows, query_time_s=asked)
    targets = torch.where(follows, batch.items[:, 1:], num_items)
    session = None if batch.session is None else batch.session[:, 1:]
    return Example(inputs, targets, torch.where(opens, batch.items[:, 0], num_items), users, session)
