"""Histories as encoders take them, and the index arithmetic between left-aligned, right-aligned and packed ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int64, Shaped, UInt8
from torch import Tensor

from recgym.types import History

__all__ = ["Batch", "Event", "Example", "Where"]


class Event(NamedTuple):
    """One consumed item of each user, for encoders that go step by step.

    Attributes:
        items: item ids.
        time_s: when, in seconds; None where times are not known.
        feedback: the feedback given to it; None where only item ids are known.
        session: number of its session; None where unknown.
    """

    items: Int64[Tensor, "B"]
    time_s: Float64[Tensor, "B"] | None = None
    feedback: Float32[Tensor, "B F"] | None = None
    session: Int64[Tensor, "B"] | None = None


class Where(NamedTuple):
    """Where events stand: all that masks and position parts may look at.

    Attributes:
        position: number of the event in its history, from 0.
        mask: False where there is no event.
        time_s: when; None where times are not known.
        query_time_s: when the next item was asked for; None where that is not shown.
        block: events of one block may be hidden from one another, see :class:`recgym.encoders.transformer.Blocks`.
        session: number of each event's session; None where unknown.
        bucket: of the time between each two events, see :class:`recgym.encoders.transformer.TimeBuckets`; None until
            it is made.
    """

    position: Int64[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    time_s: Float64[Tensor, "B T"] | None = None
    query_time_s: Float64[Tensor, "B T"] | None = None
    block: Int64[Tensor, "B T"] | None = None
    session: Int64[Tensor, "B T"] | None = None
    bucket: UInt8[Tensor, "B T T"] | None = None

    def followed_by(self, other: "Where") -> "Where":
        """These events and then others; what is not known of both is left out."""

        def join(first: Tensor | None, second: Tensor | None) -> Tensor | None:
            return None if first is None or second is None else torch.cat([first, second], 1)

        position, mask = torch.cat([self.position, other.position], 1), torch.cat([self.mask, other.mask], 1)
        return Where(position, mask, *map(join, self[2:6], other[2:6]))


@dataclass(frozen=True)
class Batch:
    """Some histories side by side, oldest event first; the padding may stand on either side.

    Attributes:
        items: item ids; what stands at padding does not matter.
        mask: True where an event is.
        time_s: when each event was, in seconds; None where times are not known.
        feedback: the feedback of each event; None where only item ids are known.
        session: number of each event's session; None where unknown.
        exposures: what was shown beside each event and not taken, padding id N; None where unknown.
        query_time_s: when the item after each event was asked for; None unless a model is to see that.
    """

    items: Int64[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    time_s: Float64[Tensor, "B T"] | None = None
    feedback: Float32[Tensor, "B T F"] | None = None
    session: Int64[Tensor, "B T"] | None = None
    exposures: Int64[Tensor, "B T E"] | None = None
    query_time_s: Float64[Tensor, "B T"] | None = None

    @classmethod
    def from_history(cls, history: History, query_time_s: Float64[Tensor, "B"] | None = None) -> "Batch":
        """The histories of an environment or a log.

        Args:
            history: right-aligned, of tensors.
            query_time_s: when the next item is asked for. It stands at the newest event; each event before was
                followed by another, when that was asked for.
        """
        asked = None
        if query_time_s is not None:
            asked = torch.cat([history.time_s[:, 1:], query_time_s[:, None]], 1)
        return cls(history.items, history.mask, history.time_s, history.feedback, query_time_s=asked)

    @classmethod
    def from_packed(
        cls,
        items: Int64[Tensor, "E"],
        cu_seqlens: Int64[Tensor, "B_plus_1"],
        time_s: Float64[Tensor, "E"] | None = None,
        feedback: Float32[Tensor, "E F"] | None = None,
        session: Int64[Tensor, "E"] | None = None,
    ) -> "Batch":
        """Histories that stand one after another; :meth:`pack` is the inverse for states.

        Args:
            items: the events of all users.
            cu_seqlens: first event of each user, and the number of events at the end.
            time_s: as in the class.
            feedback: as in the class.
            session: as in the class.

        Raises:
            ValueError: the offsets do not cover the events.
        """
        if len(cu_seqlens) < 2 or int(cu_seqlens[0]) != 0 or int(cu_seqlens[-1]) != len(items):
            raise ValueError(f"cu_seqlens must run from 0 to the {len(items)} events, found {cu_seqlens.tolist()[:5]}")
        lengths = cu_seqlens.diff()
        if bool((lengths < 0).any()):
            raise ValueError("cu_seqlens must not fall")
        column = torch.arange(max(int(lengths.max()), 1), device=items.device)
        mask = column < lengths[:, None]
        index = torch.where(mask, cu_seqlens[:-1, None] + column, 0)
        parts = (None if part is None else _take_flat(part, index, mask) for part in (items, time_s, feedback, session))
        padded_items, padded_time, padded_feedback, padded_session = parts
        assert padded_items is not None
        return cls(padded_items, mask, padded_time, padded_feedback, padded_session)

    @property
    def lengths(self) -> Int64[Tensor, "B"]:
        """Events of each history."""
        return self.mask.sum(1)

    def pack(self, states: Shaped[Tensor, "B T *rest"]) -> Shaped[Tensor, "E *rest"]:
        """The rows of real events, user after user."""
        return states[self.mask]

    def aligned(self) -> tuple["Batch", Int64[Tensor, "B T"] | None]:
        """The same with all padding on the right, and where each event stood; None if nothing had to move.

        Causal encoders then need no mask for padding: no event looks to its right.
        """
        if bool((self.mask[:, 1:] <= self.mask[:, :-1]).all()):
            return self, None
        order = torch.argsort(~self.mask, dim=1, stable=True)
        return self.map(lambda part: part.gather(1, _widen(order, part))), order

    def last(self, window: int) -> "Batch":
        """The newest ``window`` events of each history, aligned; of at least one column."""
        batch, _ = self.aligned()
        if batch.items.shape[1] == 0:
            return batch.map(lambda part: part.new_zeros((len(part), 1, *part.shape[2:])))
        longest = int(batch.lengths.max()) if len(batch.lengths) else 0
        if longest <= window:
            return batch
        first = (batch.lengths - window).clamp(min=0)
        column = first[:, None] + torch.arange(window, device=first.device)
        column = column.clamp(max=batch.items.shape[1] - 1)
        return batch.map(lambda part: part.gather(1, _widen(column, part)))

    def append(self, item: int) -> "Batch":
        """Of an aligned batch: one more event after the newest, of a special id, at the same time, without feedback."""
        end = self.lengths[:, None]

        def longer(part: Tensor) -> Tensor:
            return torch.cat([part, torch.zeros_like(part[:, :1])], 1)

        wider = self.map(longer)
        mask, items = wider.mask.scatter(1, end, True), wider.items.scatter(1, end, item)
        changed = replace(wider, mask=mask, items=items)
        for name in ("time_s", "session", "query_time_s"):
            part = getattr(wider, name)
            if part is not None:
                changed = replace(changed, **{name: part.scatter(1, end, part.gather(1, (end - 1).clamp(min=0)))})
        for name in ("feedback", "exposures"):
            part = getattr(wider, name)
            if part is not None:
                blank = torch.zeros_like(part[:, :1])
                changed = replace(changed, **{name: part.scatter(1, _widen(end, part), blank)})
        return changed

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Each part that is there, changed."""
        parts = {name: part for name, part in vars(self).items() if part is not None}
        return replace(self, **{name: change(part) for name, part in parts.items()})

    def to(self, device: torch.device | str) -> "Batch":
        """The same on a device."""
        return self.map(lambda part: part.to(device))

    def where(self) -> Where:
        """Where the events stand; of an aligned batch."""
        position = torch.arange(self.items.shape[1], device=self.items.device).expand_as(self.items)
        return Where(position, self.mask, self.time_s, self.query_time_s, session=self.session)


class Example(NamedTuple):
    """What a model is trained on.

    Attributes:
        inputs: the histories, aligned.
        targets: the item to be foretold from the state at each event; N where there is none.
        first: the item to be foretold before any event; N where the history goes on from earlier events.
        users: whose histories they are.
        target_session: number of the session of each target; None where unknown.
    """

    inputs: Batch
    targets: Int64[Tensor, "B T"]
    first: Int64[Tensor, "B"]
    users: Int64[Tensor, "B"]
    target_session: Int64[Tensor, "B T"] | None = None


def _widen(index: Int64[Tensor, "B T"], like: Tensor) -> Tensor:
    extra = like.ndim - 2
    return index.reshape(*index.shape, *(1,) * extra).expand(*index.shape, *like.shape[2:])


def _take_flat(part: Tensor, index: Tensor, mask: Tensor) -> Tensor:
    taken = part[index] if len(part) else part.new_zeros((*index.shape, *part.shape[1:]))
    return taken * mask.reshape(*mask.shape, *(1,) * (part.ndim - 1)).to(part.dtype)


def restore(states: Float32[Tensor, "B T D"], order: Int64[Tensor, "B T"] | None) -> Float32[Tensor, "B T D"]:
    """States of an aligned batch, back where its events stood."""
    if order is None:
        return states
    return torch.empty_like(states).scatter(1, _widen(order, states), states)
