"""What a log holds, in numbers."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from recgym.data.schema import Channel, InteractionLog, LeftOut

__all__ = ["ChannelSummary", "LogDescription", "SlateSizes", "describe"]


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
    frame = log.frame
    exposures = frame.filter(pl.col("slate").is_not_null())
    sizes = exposures.group_by("slate").len()["len"]
    consumed = frame.filter(log.consumed)
    shown = exposures if log.has_slates else frame
    start, end, days = _span(log)
    sessions = frame["session"].drop_nulls().n_unique()
    return LogDescription(
        source=log.source,
        rows=frame.height,
        users=frame["user"].n_unique(),
        items=frame["item"].n_unique(),
        exposures=exposures.height,
        consumptions=consumed.height,
        slates=len(sizes),
        slate_sizes=_sizes(sizes) if len(sizes) else None,
        sessions=sessions or None,
        start=start,
        end=end,
        days=days,
        repeat_ratio=1 - consumed.n_unique(["user", "item"]) / consumed.height if consumed.height else None,
        channels=tuple(_channel(channel, shown[channel.name]) for channel in log.schema.channels),
        left_out=log.left_out,
        notes=log.notes,
    )


def _span(log: InteractionLog) -> tuple[str | None, str | None, float | None]:
    if log.time_unit == "order":
        return None, None, None
    first, last = log.frame.select(first=pl.col("time_s").min(), last=pl.col("time_s").max()).row(0)
    return _iso(first), _iso(last), (last - first) / 86_400


def _iso(seconds: float) -> str | None:
    """None for a time that no calendar has, as in a log with a clock of its own."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def _sizes(sizes: pl.Series) -> SlateSizes:
    smallest, mean, largest = (
        pl.DataFrame({"n": sizes}).select(a=pl.col("n").min(), b=pl.col("n").mean(), c=pl.col("n").max()).row(0)
    )
    return SlateSizes(smallest, mean, largest)


def _channel(channel: Channel, values: pl.Series) -> ChannelSummary:
    seen = values.drop_nulls().cast(pl.Float64)
    positive, mean = pl.DataFrame({"v": seen}).select(a=(pl.col("v") > 0).mean(), b=pl.col("v").mean()).row(0)
    return ChannelSummary(channel.name, channel.kind.value, channel.unit, len(seen) / len(values), positive, mean)
