"""Logs for other programs: under the ids of the source."""

from pathlib import Path

import polars as pl

from recgym.data.schema import InteractionLog
from recgym.files import atomic_file

__all__ = ["to_frame", "write_csv"]


def to_frame(log: InteractionLog) -> pl.DataFrame:
    """The rows of a log with the original ids in ``user`` and ``item``; all other columns as they are."""
    return log.frame.with_columns(
        user=log.user_ids.gather(log.frame["user"]), item=log.item_ids.gather(log.frame["item"])
    )


def write_csv(log: InteractionLog, path: Path | str) -> None:
    """Write :func:`to_frame` as CSV with a header line, all or nothing; a missing value is an empty field."""
    with atomic_file(Path(path)) as temporary:
        to_frame(log).write_csv(temporary)
