"""A saved log read piece by piece, for logs larger than memory."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recgym.data.schema import InteractionLog

__all__ = ["iter_log", "scan_log"]


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
    if rows < 1:
        raise ValueError(f"rows must be at least 1, found {rows}")
    table = scan_log(folder)
    try:
        counts = table.group_by("user").len("rows").sort("user").collect()
        block = (counts["rows"].cum_sum() - 1) // rows
        blocks = counts.group_by(block.alias("block"), maintain_order=True).agg(pl.col("rows").sum())["rows"]
        first, log = 0, None
        for length in blocks:
            piece = table.slice(first, length).collect()
            log = InteractionLog.load(folder, piece) if log is None else log.with_frame(piece)
            yield log
            first += length
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{Path(folder) / 'rows.parquet'} is not readable as Parquet: {error}") from error
