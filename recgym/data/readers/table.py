"""Any CSV, TSV, Parquet or gzip text table, by a mapping of its columns.

The mapping is ``name=column`` pairs between commas::

    user=user_id,item=video_id,time=time_ms:ms,click=is_click,watch=play_ms:duration:ms,stars=rating:rating:1:5

``user`` and ``item`` are needed. ``time`` has a unit: ``s`` (the default), ``ms``, ``us`` or ``iso``; without ``time``
the order of the rows counts. ``session``, ``slate``, ``position`` (from 0) and ``propensity`` are what the log calls
so. Every other name is a feedback channel, of kind ``binary`` (the default), ``count``, ``duration`` (with the unit of
the column: ``s``, ``ms`` or ``us``; the log holds seconds) or ``rating`` with its lowest and highest value.

Without ``slate`` each row is consumption. ``slate=*`` says that each row is an item that was shown by itself, taken or
not. Without any channel there is one, ``event``, at 1. A text file has a header line; its separator (tab, comma,
semicolon or bar) is told by that line.
"""

import re
from dataclasses import dataclass

from recgym.data.readers.base import RawLog, Source
from recgym.data.readers.fields import (
    SECONDS_PER,
    Field,
    channel_field,
    constant,
    identifier,
    moment,
    parse,
    probability,
    whole,
)
from recgym.data.readers.text import is_parquet, scan_parquet, scan_text, sniff_separator
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["Mapped", "parse_columns", "read"]

_EXAMPLE = "user=user_id,item=video_id,time=time_ms:ms,click=is_click,slate=*"
_TAKEN = (
    "each row counts as something taken, as no slate is named; where rows are items that were shown, taken or not, "
    "name the column of the slate, or give slate=* if each was shown by itself"
)
_TIME = re.compile(r"(?P<column>.+?)(?::(?P<unit>s|ms|us|iso))?")
_FEEDBACK = re.compile(
    r"(?P<column>.+?)(?::(?:(?P<kind>binary|count)|(?P<duration>duration)(?::(?P<unit>s|ms|us))?"
    r"|(?P<rating>rating):(?P<low>-?\d+(?:\.\d+)?):(?P<high>-?\d+(?:\.\d+)?)))?"
)


@dataclass(frozen=True)
class Mapped:
    """A column mapping, taken apart.

    Attributes:
        fields: the columns of the log and how each is read.
        channels: the feedback channels.
        timed: whether there is a time.
        alone: whether each row was shown by itself.
    """

    fields: tuple[Field, ...]
    channels: tuple[Channel, ...]
    timed: bool
    alone: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What may have been meant otherwise."""
        binary = any(channel.kind is ChannelKind.BINARY for channel in self.channels)
        slated = self.alone or any(field.name == "slate" for field in self.fields)
        return (_TAKEN,) if binary and not slated else ()


def read(source: Source) -> RawLog:
    """Read a table by ``source.columns``.

    Raises:
        ValueError: there is no mapping, it does not follow the grammar, or a column is missing.
    """
    if source.columns is None:
        raise ValueError(f"the format 'table' needs to know the columns of {source.path}, such as {_EXAMPLE}")
    mapped = parse_columns(source.columns)
    if is_parquet(source.path):
        raw = scan_parquet(source.path)
    else:
        raw = scan_text(source.path, source.scratch, sniff_separator(source.path))
    channels = mapped.channels or (Channel("event", ChannelKind.BINARY),)
    return RawLog(
        rows=parse(raw, mapped.fields, source.path, extra={} if mapped.channels else {"event": constant(1.0)}),
        schema=FeedbackSchema(channels),
        ordered=not mapped.timed,
        exposed_alone=mapped.alone,
        notes=mapped.notes,
    )


def parse_columns(text: str) -> Mapped:
    """Take a column mapping apart; the grammar is that of the module.

    Raises:
        ValueError: a pair is not ``name=column``, a name occurs twice, ``user`` or ``item`` is missing, or a rating has
            no bounds.
    """
    pairs: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column) or name in pairs:
            raise ValueError(
                f"column mapping: found {part.strip()!r}, expected name=column, each name once, as in {_EXAMPLE}"
            )
        pairs[name] = column
    for name in ("user", "item"):
        if name not in pairs:
            raise ValueError(f"column mapping: {name!r} is missing in {text!r}, expected as in {_EXAMPLE}")
    alone = pairs.get("slate") == "*"
    if alone:
        del pairs["slate"]
    fields, channels = [], []
    for name, column in pairs.items():
        if name in _RESERVED:
            fields.append(_reserved(name, column))
        else:
            channel, source, scale = _channel(name, column)
            channels.append(channel)
            fields.append(channel_field(channel, source, scale))
    return Mapped(tuple(fields), tuple(channels), "time" in pairs, alone)


_RESERVED = ("user", "item", "time", "session", "slate", "position", "propensity")


def _reserved(name: str, column: str) -> Field:
    if name == "time":
        match = _TIME.fullmatch(column)
        assert match is not None
        return moment("time_s", match["column"], match["unit"] or "s")
    if name == "position":
        return whole(name, column, low=0, optional=True)
    if name == "propensity":
        return probability(name, column)
    return identifier(name, column, optional=name in ("session", "slate"))


def _channel(name: str, text: str) -> tuple[Channel, str, float]:
    match = _FEEDBACK.fullmatch(text)
    assert match is not None
    column = match["column"]
    if match["duration"]:
        return Channel(name, ChannelKind.DURATION, "s"), column, SECONDS_PER[match["unit"] or "s"]
    if match["rating"]:
        return Channel(name, ChannelKind.RATING, "", float(match["low"]), float(match["high"])), column, 1.0
    if _TIME.fullmatch(column)["unit"]:  # type: ignore[index] # which matches anything
        raise ValueError(
            f"column mapping: found {name}={text}, expected a unit for time only; {name!r} is none of "
            f"{', '.join(_RESERVED)}, so it is feedback: binary, count, duration:UNIT or rating:LOW:HIGH"
        )
    if column.endswith(":rating"):
        raise ValueError(
            f"column mapping: found {name}={text}, expected the bounds of the rating, as in {name}={text}:1:5"
        )
    return Channel(name, ChannelKind(match["kind"] or "binary")), column, 1.0
