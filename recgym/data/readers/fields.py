"""From the columns of a file to the columns of the log: each value is read as what it should be, or told wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from recgym.data.schema import Channel, ChannelKind

__all__ = [
    "SECONDS_PER",
    "Convert",
    "DataType",
    "Field",
    "channel_field",
    "constant",
    "identifier",
    "moment",
    "parse",
    "probability",
    "whole",
]

if TYPE_CHECKING:
    DataType: TypeAlias = pl.DataType
else:
    # The metaclass of Polars' types has a repr of its own, which beartype refuses as a hint.
    DataType = object

Convert: TypeAlias = Callable[[pl.Expr, DataType], pl.Expr]
SECONDS_PER = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
"""Seconds in one unit of time."""


@dataclass(frozen=True)
class Field:
    """One column of the log and the column of the file that it is read from.

    Attributes:
        name: column of the log.
        source: column of the file.
        convert: makes the value from the raw column and its type; null where the value cannot be read.
        expected: what a value should be, for the error.
        optional: whether an empty value is legal and stays null.
    """

    name: str
    source: str
    convert: Convert
    expected: str
    optional: bool = False


def _number(raw: pl.Expr, dtype: DataType) -> pl.Expr:
    """A finite Float64, null where there is none."""
    if dtype == pl.String:
        raw = raw.str.strip_chars()
    elif not (dtype.is_numeric() or dtype == pl.Boolean or dtype == pl.Null):
        return pl.lit(None, dtype=pl.Float64)
    value = raw.cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def _integer(raw: pl.Expr, dtype: DataType) -> pl.Expr:
    """An Int64, null where there is none or it does not fit."""
    if dtype == pl.String:
        return raw.str.strip_chars().cast(pl.Int64, strict=False)
    if dtype.is_integer():
        return raw.cast(pl.Int64, strict=False)
    if dtype.is_float():  # a column of whole numbers with gaps is often stored as floats
        return pl.when(raw == raw.floor()).then(raw.cast(pl.Int64, strict=False))
    return pl.lit(None, dtype=pl.Int64)


def whole(name: str, source: str, low: int | None = None, shift: int = 0, optional: bool = False) -> Field:
    """A whole number that fits 64 bits, at least ``low``; ``shift`` is added to it."""

    def convert(raw: pl.Expr, dtype: DataType) -> pl.Expr:
        value = _integer(raw, dtype)
        return (value if low is None else pl.when(value >= low).then(value)) + shift

    expected = "a whole number of at most 64 bits" + ("" if low is None else f", {low} or more")
    return Field(name, source, convert, expected, optional)


def identifier(name: str, source: str, optional: bool = False) -> Field:
    """An id: text, or a whole number that fits 64 bits."""

    def convert(raw: pl.Expr, dtype: DataType) -> pl.Expr:
        if dtype == pl.String:
            text = raw.str.strip_chars()
            return pl.when(text != "").then(text)
        if dtype in (pl.Categorical, pl.Enum):
            return raw.cast(pl.String)
        return _integer(raw, dtype)

    return Field(name, source, convert, "an id: text, or a whole number of at most 64 bits", optional)


def moment(name: str, source: str, unit: str) -> Field:
    """A time as seconds since 1970 in UTC.

    Args:
        name: column of the log.
        source: column of the file.
        unit: ``"s"``, ``"ms"``, ``"us"`` for numbers, ``"iso"`` for texts such as ``2024-05-01T12:30:00Z``. A text
            without a zone is taken as UTC. A column that holds date-times by type is read as such whatever the unit.
    """

    def convert(raw: pl.Expr, dtype: DataType) -> pl.Expr:
        if isinstance(dtype, pl.Datetime):
            return raw.dt.epoch("us") / 1e6
        if dtype == pl.Date:
            return raw.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
        if unit != "iso":
            return _number(raw, dtype) * SECONDS_PER[unit]
        return _iso_seconds(raw) if dtype == pl.String else pl.lit(None, dtype=pl.Float64)

    expected = "a date and time such as 2024-05-01T12:30:00Z" if unit == "iso" else f"a finite time in {unit}"
    return Field(name, source, convert, expected)


def _iso_seconds(raw: pl.Expr) -> pl.Expr:
    text = raw.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d)T", "${1} ").str.replace(r"(?:Z| UTC)$", "+00:00")
    zoned = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", strict=False, time_unit="us").dt.epoch("us")
    local = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us").dt.epoch("us")
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("us")
    return pl.coalesce(zoned, local, day) / 1e6


def probability(name: str, source: str) -> Field:
    """A probability above 0 and at most 1; empty where it was not logged."""

    def convert(raw: pl.Expr, dtype: DataType) -> pl.Expr:
        value = _number(raw, dtype)
        return pl.when((value > 0) & (value <= 1)).then(value)

    return Field(name, source, convert, "a probability above 0 and at most 1, or nothing", optional=True)


def channel_field(channel: Channel, source: str, scale: float = 1.0) -> Field:
    """Feedback within the bounds of its channel after multiplication by ``scale``; nothing where not observed."""

    def convert(raw: pl.Expr, dtype: DataType) -> pl.Expr:
        value = _number(raw, dtype) * scale
        if channel.kind is ChannelKind.BINARY and dtype == pl.String:
            word = raw.str.strip_chars().str.to_lowercase()
            value = pl.when(word == "true").then(1.0).when(word == "false").then(0.0).otherwise(value)
        legal = (value >= channel.low) & (value <= channel.high)
        if channel.kind in (ChannelKind.BINARY, ChannelKind.COUNT):
            legal &= value == value.floor()
        return pl.when(legal).then(value).cast(pl.Float32)

    expected = {
        ChannelKind.BINARY: "0 or 1",
        ChannelKind.COUNT: "a whole number, 0 or more",
        ChannelKind.DURATION: "a finite number, 0 or more",
        ChannelKind.RATING: f"a number in [{channel.low:g}, {channel.high:g}]",
    }[channel.kind]
    return Field(channel.name, source, convert, expected, optional=True)


def constant(value: float) -> pl.Expr:
    """A channel that has the same value in every row, as the format tells of nothing else."""
    return pl.lit(value, dtype=pl.Float32)


def parse(
    raw: pl.LazyFrame,
    fields: Sequence[Field],
    file: Path,
    drop: Mapping[str, pl.Expr] | None = None,
    extra: Mapping[str, pl.Expr] | None = None,
) -> pl.LazyFrame:
    """Read the columns of one file into columns of the log.

    Args:
        raw: the file's columns and ``line``.
        fields: the columns to make.
        file: the file, named in errors.
        drop: reason -> which raw rows are left out for it; a row left out is not checked further.
        extra: further columns of the log, from raw columns, that cannot be wrong.

    Returns:
        ``line``, ``problem`` (null, or a sentence with ``{line}`` and ``{found}`` to be filled in), ``found`` (the
        value that is wrong), ``dropped`` (null, or the reason), and the columns of the log.

    Raises:
        ValueError: a column of the file is missing; the sentence names it and those found.
    """
    schema = raw.collect_schema()
    values: dict[str, pl.Expr] = {}
    problems: list[pl.Expr] = []
    found: list[pl.Expr] = []
    for field in fields:
        if field.source not in schema:
            present = ", ".join(name for name in schema.names() if name != "line")
            raise ValueError(f"{file}: column {field.source!r} is missing; found {present}")
        column, dtype = pl.col(field.source), schema[field.source]
        values[field.name] = field.convert(column, dtype)
        bad = values[field.name].is_null()
        if field.optional:
            bad &= column.is_not_null()
        problems.append(pl.when(bad).then(pl.lit(_sentence(file, field, dtype))))
        if dtype.is_nested():
            found.append(pl.when(bad).then(pl.lit(str(dtype))))
        else:
            found.append(pl.when(bad).then(column.cast(pl.String, strict=False).fill_null("nothing")))
    reasons = [pl.when(condition).then(pl.lit(reason)) for reason, condition in (drop or {}).items()]
    dropped = pl.coalesce(reasons) if reasons else pl.lit(None, dtype=pl.String)
    return raw.select(
        line=pl.col("line").cast(pl.Int64),
        dropped=dropped,
        problem=pl.when(dropped.is_null()).then(pl.coalesce(problems)),
        found=pl.coalesce(found),
        **values,
        **(extra or {}),
    )


def _sentence(file: Path, field: Field, dtype: DataType) -> str:
    typed = "" if dtype == pl.String else f" in a column of type {dtype}"
    return f"{file}: row {{line}}, column {field.source!r}: found {{found}}{typed}, expected {field.expected}"
