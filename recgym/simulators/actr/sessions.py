"""What people take by themselves, session after session: the law of :class:`ACTRMemory`, for many users at once."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import choose
from recgym.encoders.activation import base_level, item_sums, partial_matching
from recgym.simulators.actr.world import ACTRItems, ACTRMemory, ACTRRecords, ACTRTimes

__all__ = ["Calendar", "Past", "Taken", "blank_records", "draw_calendar", "live"]

_TOGETHER = 512
_PROPOSALS = 8


class Calendar(NamedTuple):
    """When each user consumes something, whatever it is.

    Attributes:
        time_s: the time of each item of each session, in seconds from the moment of the records on, ascending.
        length: items of each session; 0 where the user has fewer sessions. Later positions of ``time_s`` mean nothing.
    """

    time_s: Float64[Tensor, "U S L"]
    length: Int64[Tensor, "U S"]


class Taken(NamedTuple):
    """What users took: the rows of a log, sorted by user and time.

    Attributes:
        user: row of the records.
        session: number of the user's session, from 0.
        item: what was taken.
        time_s: when, in seconds from the moment of the records on.
        known: whether the user remembered the item.
    """

    user: Int64[np.ndarray, "E"]
    session: Int64[np.ndarray, "E"]
    item: Int64[np.ndarray, "E"]
    time_s: Float64[np.ndarray, "E"]
    known: Bool[np.ndarray, "E"]


class Past(NamedTuple):
    """What a batch of users remembers, right-aligned.

    Attributes:
        items: item ids; N is padding.
        time_s: when.
        before: items of the session before; N is padding.
    """

    items: Int64[Tensor, "n H"]
    time_s: Float64[Tensor, "n H"]
    before: Int64[Tensor, "n L"]


def blank_records(users: int, taste: Float32[np.ndarray, "U D"], pace: Float32[np.ndarray, "U"]) -> ACTRRecords:
    """People who have consumed nothing yet."""
    nothing = np.zeros((users, 0))
    return ACTRRecords(nothing.astype(np.int64), nothing, np.zeros(users), taste, pace)


def draw_calendar(
    times: ACTRTimes, pace: Float32[np.ndarray, "U"], sessions: int, generator: torch.Generator
) -> Calendar:
    """Sessions at independent gaps, of independent lengths, with independent pauses; the first starts at 0.

    Args:
        times: what to draw from.
        pace: see :class:`ACTRRecords`.
        sessions: of each user.
        generator: the source of randomness.
    """
    users = len(pace)

    def draw(values: np.ndarray, *shape: int) -> Tensor:
        return torch.from_numpy(values)[torch.randint(len(values), shape, generator=generator)]

    length = draw(times.lengths, users, sessions)
    pauses = draw(times.pauses_s, users, sessions, int(times.lengths.max()))
    pauses[:, :, 0] = 0.0
    within = pauses.cumsum(2)
    last = within.gather(2, length[:, :, None] - 1)[:, :, 0]
    gaps = draw(times.gaps_s, users, sessions) * torch.from_numpy(np.exp(pace.astype(np.float64)))[:, None]
    gaps[:, 0] = 0.0
    spent = (gaps + last).cumsum(1) - last
    return Calendar(spent[:, :, None] + within, length)


@dataclass(frozen=True)
class _Tables:
    """The catalogue as tensors, with a row for the padding id."""

    embeddings: Float32[Tensor, "N D"]
    log_popularity: Float32[Tensor, "N"]
    neighbours: Int64[Tensor, "N L"]
    strengths: Float32[Tensor, "N L"]

    @classmethod
    def of(cls, items: ACTRItems) -> "_Tables":
        popularity = torch.from_numpy(items.popularity)
        return cls(
            torch.from_numpy(items.embeddings), popularity.log(),
            torch.from_numpy(items.neighbours), torch.from_numpy(items.strengths),
        )  # fmt: skip


class _NewItems(NamedTuple):
    """How each user draws items that are new, before those are left out that are not.

    Attributes:
        share: probability of each item.
        sums: its cumulative sums.
    """

    share: Float32[Tensor, "n N"]
    sums: Float32[Tensor, "n N"]

    def of(self, rows: Int64[Tensor, "m"]) -> "_NewItems":
        """Those of some users."""
        return self if len(rows) == len(self.share) else _NewItems(self.share[rows], self.sums[rows])

    def propose(self, count: int, generator: torch.Generator) -> Int64[Tensor, "n count"]:
        """Independent draws, several a user."""
        draws = torch.rand((len(self.sums), count), generator=generator) * self.sums[:, -1:]
        return torch.searchsorted(self.sums, draws, right=True).clamp(max=self.sums.shape[1] - 1)


def live(
    memory: ACTRMemory,
    items: ACTRItems,
    records: ACTRRecords,
    calendar: Calendar,
    window: int,
    generator: torch.Generator,
) -> Taken:
    """Let people consume by themselves.

    Args:
        memory: the law of choice.
        items: the catalogue.
        records: whom.
        calendar: when; one row a record.
        window: H, the newest events that are remembered.
        generator: the source of randomness.

    Raises:
        ValueError: a session is longer than there are items.
    """
    if int(calendar.length.max()) > items.num_items:
        raise ValueError(f"a session of {int(calendar.length.max())} distinct items needs a larger catalogue")
    tables = _Tables.of(items)
    parts = []
    for first in range(0, len(records.pace), _TOGETHER):
        rows = slice(first, first + _TOGETHER)
        some = Calendar(*(part[rows] for part in calendar))
        user, session, item, time_s, known = _live_some(memory, tables, records, rows, some, window, generator)
        parts.append(Taken(user + first, session, item, time_s, known))
    return Taken(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _live_some(
    memory: ACTRMemory,
    tables: _Tables,
    records: ACTRRecords,
    rows: slice,
    calendar: Calendar,
    window: int,
    generator: torch.Generator,
) -> tuple[np.ndarray, ...]:
    past = remembered(records, rows, window, calendar.time_s.shape[2], len(tables.log_popularity))
    tilt = tables.log_popularity + memory.appeal * torch.from_numpy(records.taste[rows]) @ tables.embeddings.T
    share = torch.softmax(tilt, 1)
    new = _NewItems(share, share.cumsum(1))
    shape = calendar.time_s.shape
    taken, known = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool)
    for number in range(shape[1]):
        here = torch.nonzero(calendar.length[:, number])[:, 0]
        if len(here) == 0:
            continue
        some, length = Past(*(part[here] for part in past)), calendar.length[here, number]
        times = calendar.time_s[here, number]
        items, old = _session(memory, tables, some, new.of(here), times[:, 0], length, generator)
        taken[here, number], known[here, number] = items, old
        for part, latest in zip(past, _remember(some, items, times, length, share.shape[1]), strict=True):
            part[here] = latest
    there = torch.arange(shape[2]) < calendar.length[:, :, None]
    user, session, _ = torch.nonzero(there, as_tuple=True)
    return tuple(part.numpy() for part in (user, session, taken[there], calendar.time_s[there], known[there]))


def remembered(records: ACTRRecords, rows: slice, window: int, longest: int, num_items: int) -> Past:
    """The newest events of some records, in tensors of their own, padded to the window."""
    ids, times = (torch.from_numpy(part[rows])[:, -window:] for part in (records.items, records.time_s))
    missing = (window - ids.shape[1], 0)
    ids = torch.nn.functional.pad(ids, missing, value=num_items)
    times = torch.nn.functional.pad(times, missing)
    recent = times >= torch.from_numpy(records.previous_s[rows])[:, None]
    of_before = torch.where(recent, ids, num_items)[:, -longest:]
    return Past(
        ids.clone(),
        times.clone(),
        torch.nn.functional.pad(of_before, (longest - of_before.shape[1], 0), value=num_items),
    )


def _remember(past: Past, items: Tensor, times: Tensor, length: Tensor, num_items: int) -> Past:
    """The past with one more session; the oldest events give way."""
    window = past.items.shape[1]
    index = torch.arange(window) + length[:, None]
    there = torch.arange(items.shape[1]) < length[:, None]
    return Past(
        torch.cat([past.items, items], 1).gather(1, index),
        torch.cat([past.time_s, times], 1).gather(1, index),
        torch.where(there, items, num_items),
    )


def _session(
    memory: ACTRMemory,
    tables: _Tables,
    past: Past,
    novel: _NewItems,
    start_s: Float64[Tensor, "n"],
    length: Int64[Tensor, "n"],
    generator: torch.Generator,
) -> tuple[Int64[Tensor, "n L"], Bool[Tensor, "n L"]]:
    """The items of one session of each user, in order, and which of them were remembered."""
    users, n = len(length), novel.share.shape[1]
    used = int((past.items < n).sum(1).max())  # padding is to the left
    ids, time_s = past.items[:, past.items.shape[1] - used :], past.time_s[:, past.time_s.shape[1] - used :]
    logits = _resting(memory, tables, ids, time_s, past.before, start_s)
    explore = torch.full((users, 1), memory.threshold / memory.noise)
    heard = torch.zeros((users, n + 1), dtype=torch.bool).scatter_(1, ids, True)
    spread = torch.zeros((users, n + 1))
    everyone = torch.arange(users)
    items = torch.full((users, past.before.shape[1]), n)
    known = torch.zeros(items.shape, dtype=torch.bool)
    may_run_out = used + items.shape[1] >= int((novel.share > 0).sum(1).min())
    for position in range(int(length.max())):
        if may_run_out:
            explore[~((novel.share > 0) & ~heard[:, :-1]).any(1)] = -torch.inf
        now = torch.cat([logits + memory.spreading / memory.noise * spread.gather(1, ids), explore], 1)
        column = choose(generator, torch.exp(now - now.amax(1, keepdim=True)))
        known[:, position] = column < used
        item = torch.cat([ids, everyone[:, None]], 1)[everyone, column]
        new = torch.nonzero(column == used)[:, 0]
        if len(new):
            item[new] = _explore(memory, tables, novel.of(new), heard[new], items[new, :position], generator)
        items[:, position] = item
        heard[everyone, item] = True
        logits.masked_fill_(ids == item[:, None], -torch.inf)
        spread.scatter_add_(1, tables.neighbours[item], tables.strengths[item])
        spread[:, n] = 0.0
    return items, known


def _resting(
    memory: ACTRMemory, tables: _Tables, ids: Tensor, time_s: Tensor, before: Tensor, start_s: Tensor
) -> Float32[Tensor, "n H"]:
    """Activation over noise of each remembered item, at its newest event, before the session has brought anything."""
    n, mask = len(tables.log_popularity), ids < len(tables.log_popularity)
    base = base_level(ids, time_s, mask, start_s, n, memory.decay)
    lately = torch.exp((time_s - start_s[:, None]) / memory.satiation_s).float() * mask
    activation = (
        base.level
        + memory.matching * partial_matching(tables.embeddings, ids, before, before < n)
        - memory.satiation * item_sums(ids, lately, n)
    )
    return torch.where(base.newest, activation / memory.noise, -torch.inf)


def _explore(
    memory: ACTRMemory,
    tables: _Tables,
    novel: _NewItems,
    heard: Bool[Tensor, "m N_plus_1"],
    session: Int64[Tensor, "m p"],
    generator: torch.Generator,
) -> Int64[Tensor, "m"]:
    """A new item for each user: along an association, or by popularity and taste."""
    users, everyone = len(heard), torch.arange(len(heard))
    proposals = novel.propose(_PROPOSALS, generator)
    if session.shape[1]:
        source = session[everyone, torch.randint(session.shape[1], (users,), generator=generator)]
        strengths = tables.strengths[source]
        target = tables.neighbours[source, :][everyone, choose(generator, strengths)]
        follows = torch.rand(users, generator=generator) < memory.follow
        follows &= (strengths.sum(1) > 0) & ~heard[everyone, target]
    else:
        target, follows = proposals[:, 0], torch.zeros(users, dtype=torch.bool)
    fresh = ~heard.gather(1, proposals)
    item = proposals[everyone, fresh.int().argmax(1)]
    # Proposals until one is new are a draw among the new ones; where all of a few were known, draw among these at once.
    stuck = torch.nonzero(~fresh.any(1) & ~follows)[:, 0]
    if len(stuck):
        item[stuck] = choose(generator, novel.share[stuck] * ~heard[stuck, :-1])
    return torch.where(follows, target, item)
