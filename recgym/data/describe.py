"""What a log holds, in numbers."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recgym.data.schema import Channel, InteractionLog, LeftOut

__all__ = ["ChannelSummary", "LogDescription", "SlateSizes", "Tally", "describe", "described", "tally"]


@dataclass(frozen=True)
class ChannelSummary:
    """One feedback channel over the exposures of a log, or over all rows if it has none.

    Attributes:
        name: the channel.
        kind: how its values are to be read.
        unit: such as ``s``; empty for none.
        observed: share of the rows in which it was observed.
        positive: share of the observed values above 0; None if nothing was observed. For a binary channel, its rate.
        mean: mean of the observed values; None if nothing was observed.
    """

    name: str
    kind: str
    unit: str
    observed: float
    positive: float | None
    mean: float | None


@dataclass(frozen=True)
class SlateSizes:
    """How many items were shown together: fewest, mean, most."""

    smallest: int
    mean: float
    largest: int


@dataclass(frozen=True)
class LogDescription:
    """A log in numbers.

    Attributes:
        source: where the log came from.
        rows: all rows.
        users: users who have rows.
        items: items that have rows.
        exposures: rows that are part of a slate.
        consumptions: rows of :attr:`InteractionLog.consumed`.
        slates: slates.
        slate_sizes: of the slates; None without slates.
        sessions: sessions; None where the log knows of none.
        start: time of the first row, ISO 8601 in UTC; None if the log knows only the order of events.
        end: time of the last row, likewise.
        days: time between them in days, likewise.
        repeat_ratio: share of the consumptions whose item the same user had consumed before; None without consumptions.
        channels: the feedback channels.
        left_out: rows of the source that are not in the log, and why.
        notes: what one should know before trusting the rows.
    """

    source: str
    rows: int
    users: int
    items: int
    exposures: int
    consumptions: int
    slates: int
    slate_sizes: SlateSizes | None
    sessions: int | None
    start: str | None
    end: str | None
    days: float | None
    repeat_ratio: float | None
    channels: tuple[ChannelSummary, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold, with the attributes as keys."""
        return asdict(self)


def describe(log: InteractionLog) -> LogDescription:
    """Describe a log."""
    return described(log, (tally(log),))


class Tally(NamedTuple):
    """What adds up over blocks of whole users.

    Attributes:
        counts: rows, users, exposures, consumptions, slates, sessions, and distinct items of each user.
        items: that have rows.
        slate_sizes: fewest, total and most; None without slates.
        span: first and last time.
        channels: of each, rows, rows that have it, rows above 0, and its sum: over the exposures, then over all rows.
    """

    counts: Int64[np.ndarray, "7"]
    items: Int64[np.ndarray, "n"]
    slate_sizes: tuple[int, int, int] | None
    span: tuple[float, float]
    channels: Float64[np.ndarray, "F 8"]


def tally(log: InteractionLog) -> Tally:
    """Count a log, or a block of its users."""
    frame = log.frame
    exposures = frame.filter(pl.col("slate").is_not_null())
    sizes = exposures.group_by("slate").len()["len"].to_numpy()
    consumed = frame.filter(log.consumed)
    counts = (
        frame.height, frame["user"].n_unique(), exposures.height, consumed.height, sizes.size,
        frame["session"].drop_nulls().n_unique(), consumed.n_unique(["user", "item"]),
    )  # fmt: skip
    first, last = frame.select(first=pl.col("time_s").min(), last=pl.col("time_s").max()).row(0)
    return Tally(
        np.array(counts),
        frame["item"].unique().to_numpy(),
        (int(sizes.min()), int(sizes.sum()), int(sizes.max())) if sizes.size else None,
        (first, last),
        np.array([_channel(frame[name], exposures[name]) for name in log.schema.names], dtype=np.float64),
    )


def described(log: InteractionLog, tallies: Iterable[Tally]) -> LogDescription:
    """The description that tallies of all blocks add up to.

    Args:
        log: any block, which says what all have in common.
        tallies: of each block of users.
    """
    parts = tuple(tallies)
    rows, users, exposures, consumptions, slates, sessions, distinct = np.sum(
        [part.counts for part in parts], axis=0
    ).tolist()
    sizes = [part.slate_sizes for part in parts if part.slate_sizes is not None]
    start, end, days = None, None, None
    if log.time_unit != "order":
        first, last = min(part.span[0] for part in parts), max(part.span[1] for part in parts)
        start, end, days = _iso(first), _iso(last), (last - first) / 86_400
    channels = np.sum([part.channels for part in parts], axis=0)
    return LogDescription(
        source=log.source,
        rows=rows,
        users=users,
        items=np.unique(np.concatenate([part.items for part in parts])).size,
        exposures=exposures,
        consumptions=consumptions,
        slates=slates,
        slate_sizes=_sizes(sizes, slates) if sizes else None,
        sessions=sessions or None,
        start=start,
        end=end,
        days=days,
        repeat_ratio=1 - distinct / consumptions if consumptions else None,
        channels=tuple(_summary(*each) for each in zip(log.schema.channels, channels, strict=True)),
        left_out=log.left_out,
        notes=log.notes,
    )


def _iso(seconds: float) -> str | None:
    """None for a time that no calendar has, as in a log with a clock of its own."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def _sizes(sizes: list[tuple[int, int, int]], slates: int) -> SlateSizes:
    smallest, total, largest = zip(*sizes, strict=True)
    return SlateSizes(min(smallest), sum(total) / slates, max(largest))


def _channel(everywhere: pl.Series, shown: pl.Series) -> tuple[float, ...]:
    """See :class:`Tally`; which of the two counts is not known before all blocks are."""
    counts: list[float] = []
    for values in (shown, everywhere):
        seen = values.drop_nulls().cast(pl.Float64)
        counts += [len(values), len(seen), int((seen > 0).sum()), float(seen.sum())]
    return tuple(counts)


def _summary(channel: Channel, counts: np.ndarray) -> ChannelSummary:
    rows, observed, positive, total = counts[:4] if counts[0] else counts[4:]
    return ChannelSummary(
        channel.name, channel.kind.value, channel.unit, float(observed / rows),
        float(positive / observed) if observed else None, float(total / observed) if observed else None,
    )  # fmt: skip
