"""A saved log read piece by piece, for logs larger than memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from recgym.data.schema import InteractionLog

__all__ = ["Piece", "iter_log", "log_pieces", "read_piece", "scan_log"]


class Piece(NamedTuple):
    """A block of whole users of a saved log: rows ``first`` to ``first + length - 1``."""

    first: int
    length: int


def scan_log(folder: Path | str) -> pl.LazyFrame:
    """The rows of a saved log as a lazy table, with the columns of :class:`InteractionLog`, for one's own queries.

    Raises:
        ValueError: the folder is not a saved log.
    """
    file = Path(folder) / "rows.parquet"
    if not file.is_file():
        raise ValueError(f"{folder} is not a saved recgym log: it has no rows.parquet; convert_log makes such a folder")
    return pl.scan_parquet(file)


def iter_log(folder: Path | str, rows: int = 5_000_000) -> Iterator[InteractionLog]:
    """A saved log in blocks of whole users, in order; their rows one after the other are the rows of the log.

    Args:
        folder: written by :meth:`InteractionLog.save` or :func:`recgym.data.convert_log`.
        rows: about how many rows a block has; a user of more rows comes whole.

    Yields:
        Logs that share the id maps and the schema of the saved one.

    Raises:
        ValueError: the folder is not a saved log, or ``rows`` is not positive.
    """
    log = None
    for piece in log_pieces(folder, rows):
        log = read_piece(folder, piece, log)
        yield log


def log_pieces(folder: Path | str, rows: int = 5_000_000) -> list[Piece]:
    """Where the blocks of :func:`iter_log` lie, so that others can read them side by side; raises as it does."""
    if rows < 1:
        raise ValueError(f"rows must be at least 1, found {rows}")
    table = scan_log(folder)
    with _explained(folder):
        counts = table.group_by("user").len("rows").sort("user").collect(engine="streaming")
    block = (counts["rows"].cum_sum() - 1) // rows
    lengths = counts.group_by(block.alias("block"), maintain_order=True).agg(pl.col("rows").sum())["rows"]
    return [Piece(end - length, length) for end, length in zip(lengths.cum_sum(), lengths, strict=True)]


def read_piece(folder: Path | str, piece: Piece, like: InteractionLog | None = None) -> InteractionLog:
    """One of :func:`log_pieces`.

    Args:
        folder: the saved log.
        piece: which.
        like: another block of the same log, from which the id maps are taken; they are read if None.
    """
    with _explained(folder):
        frame = scan_log(folder).slice(piece.first, piece.length).collect()
        return InteractionLog.load(folder, frame) if like is None else like.with_frame(frame)


@contextmanager
def _explained(folder: Path | str) -> Iterator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{Path(folder) / 'rows.parquet'} is not readable as Parquet: {error}") from error
