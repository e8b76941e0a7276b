"""What every reader shares: where a log comes from, and the rows it hands over to be assembled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import polars as pl

from recgym.data.schema import FeedbackSchema, InteractionLog

__all__ = ["RawLog", "Reader", "Source", "find_file"]

KEPT_FIRST = "another row of the same user, item, time and slate; the first was kept"


@dataclass(frozen=True)
class Source:
    """A log to be read.

    Attributes:
        path: the file or folder.
        scratch: an existing folder for temporary files, which lives until the rows have been read.
        columns: the column mapping of the format ``table``; None for all others.
    """

    path: Path
    scratch: Path
    columns: str | None = None


@dataclass(frozen=True)
class RawLog:
    """The rows of a public format under the names of the log, not yet mapped, sorted or freed of duplicates.

    Attributes:
        rows: what :func:`recgym.data.readers.fields.parse` makes: ``line``, ``problem``, ``found``, ``dropped``, then
            ``user``, ``item`` (original ids), ``time_s`` unless ``ordered``, the feedback channels, and any of
            ``session``, ``slate``, ``position``, ``propensity``. Lazy, so that a log larger than memory passes through.
        schema: the feedback channels.
        ordered: the format has no times; a user's rows are numbered 0, 1, ... in the order of the file.
        exposed_alone: each row was shown by itself and gets a slate of its own.
        merge: how a channel is combined where several rows have the same user, item, time, slate and position but
            different feedback; the first row's value where nothing is said.
        merge_reason: what is told about such rows.
        user_features: one row a user, keyed by a column ``id``; users may be missing or too many.
        item_features: one row an item, keyed by a column ``id``; items may be missing or too many.
        notes: what a reader of the log should know.
    """

    rows: pl.LazyFrame
    schema: FeedbackSchema
    ordered: bool = False
    exposed_alone: bool = False
    merge: Mapping[str, pl.Expr] = field(default_factory=dict)
    merge_reason: str = KEPT_FIRST
    user_features: pl.LazyFrame | None = None
    item_features: pl.LazyFrame | None = None
    notes: tuple[str, ...] = ()


Reader: TypeAlias = Callable[[Source], RawLog | InteractionLog]
"""Reads one public format. A reader that has to map ids in its own way returns the finished log.

Raises:
    ValueError: a file or column that the format needs is missing, or a file is not what its name says.
"""


def find_file(path: Path, patterns: tuple[str, ...], what: str) -> Path:
    """The path itself if it is a file, else the first file below it that matches one of the patterns, in their order.

    Args:
        path: a file or folder.
        patterns: glob patterns relative to the folder, the preferred ones first.
        what: what is looked for, for the error.

    Raises:
        ValueError: there is no such file.
    """
    if path.is_file():
        return path
    for pattern in patterns:
        for found in sorted(path.glob(pattern)):
            return found
    raise ValueError(f"{path}: found no {what}; expected one of {', '.join(patterns)}")
