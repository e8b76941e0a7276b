"""Sessions within histories: where one ends and the next begins, and histories cut into one piece a row."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from recgym.encoders.batch import Where

__all__ = ["Borders", "Pieces", "SessionGaps", "SessionNumbers", "session_starts"]


@runtime_checkable
class Borders(Protocol):
    """Says where a session ends.

    Attributes:
        needs_time: histories must say when events were.
    """

    @property
    def needs_time(self) -> bool:
        """See the class."""
        ...

    def between(self, earlier: Where, later: Where) -> Bool[Tensor, "B T"]:
        """Whether each event of ``later`` belongs to another session than its predecessor, of ``earlier``."""
        ...


@dataclass(frozen=True)
class SessionNumbers:
    """Sessions as the log numbers them; where it does not, all events of a user are one session."""

    needs_time = False

    def between(self, earlier: Where, later: Where) -> Bool[Tensor, "B T"]:
        """See :class:`Borders`."""
        if earlier.session is None or later.session is None:
            return torch.zeros_like(later.mask)
        return earlier.session != later.session


@dataclass(frozen=True)
class SessionGaps:
    """A session ends where nothing happens for long.

    Unlike numbers, gaps are known wherever times are: also in the histories that environments and rankings give.

    Attributes:
        seconds: the shortest pause that ends a session.
    """

    seconds: float = 1800.0
    needs_time = True

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"a pause between sessions must be above 0 s, found {self.seconds}")

    def between(self, earlier: Where, later: Where) -> Bool[Tensor, "B T"]:
        """See :class:`Borders`.

        Raises:
            ValueError: times are not known.
        """
        if earlier.time_s is None or later.time_s is None:
            raise ValueError("sessions were to end by pauses, found a history without times")
        return later.time_s - earlier.time_s >= self.seconds


def session_starts(where: Where, borders: Borders) -> Bool[Tensor, "B T"]:
    """Of aligned histories, the events that open a session; each row's first event does."""
    opens = where.position == where.position[:, :1]
    opens[:, 1:] |= borders.between(_columns(where, slice(None, -1)), _columns(where, slice(1, None)))
    return opens & where.mask


def _columns(where: Where, columns: slice) -> Where:
    def take(part: Tensor | None) -> Tensor | None:
        return None if part is None else part[:, columns]

    return Where(where.position[:, columns], where.mask[:, columns], take(where.time_s), session=take(where.session))


class Pieces(NamedTuple):
    """Histories cut up: a row a piece, found by index arithmetic.

    Attributes:
        piece: the piece of each event, events taken row after row without padding.
        column: where in its piece the event stands.
        owner: the row that each piece was cut from.
        mask: where the pieces have events.
    """

    piece: Int64[Tensor, "E"]
    column: Int64[Tensor, "E"]
    owner: Int64[Tensor, "P"]
    mask: Bool[Tensor, "P L"]

    @classmethod
    def cut(cls, opens: Bool[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> "Pieces":
        """Cut aligned histories before the events that open a piece; each row's first event must be one of them."""
        first = opens[mask]
        piece = first.cumsum(0) - 1
        index = torch.arange(len(first), device=first.device)
        column = index - index[first][piece]
        lengths = torch.bincount(piece, minlength=int(first.sum()))
        longest = int(lengths.max()) if len(lengths) else 0
        owner = mask.nonzero()[:, 0][first]
        return cls(piece, column, owner, torch.arange(longest, device=first.device) < lengths[:, None])

    def pack(self, events: Shaped[Tensor, "E *rest"], padding: float = 0) -> Shaped[Tensor, "P L *rest"]:
        """What belongs to the events, a row a piece."""
        out = events.new_full((*self.mask.shape, *events.shape[1:]), padding)
        out[self.piece, self.column] = events
        return out

    def unpack(self, rows: Shaped[Tensor, "P L *rest"]) -> Shaped[Tensor, "E *rest"]:
        """The inverse of :meth:`pack`."""
        return rows[self.piece, self.column]
