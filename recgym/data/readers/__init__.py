"""One file a public format; :data:`READERS` says which name stands for which reader."""

import difflib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import polars as pl

from recgym.data.readers import (
    ebnerd,
    kuairand,
    lastfm,
    movielens,
    online_retail,
    open_bandit,
    retailrocket,
    saved,
    sequences,
    table,
    yoochoose,
)
from recgym.data.readers.assemble import Assembly, stage
from recgym.data.readers.base import RawLog, Reader, Source
from recgym.data.readers.text import explain_polars
from recgym.data.schema import InteractionLog
from recgym.files import atomic_folder, check_replaceable, check_writable

__all__ = ["READERS", "Reader", "convert_log", "read_log"]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "ebnerd": ebnerd.read,
        "kuairand": kuairand.read,
        "lastfm-1k": lastfm.read_1k,
        "lastfm-hetrec": lastfm.read_hetrec,
        "movielens": movielens.read,
        "online-retail": online_retail.read,
        "open-bandit": open_bandit.read,
        "recgym": saved.read,
        "retailrocket": retailrocket.read,
        "sequences": sequences.read,
        "table": table.read,
        "yoochoose": yoochoose.read,
    }
)
"""Format name -> reader."""


def read_log(path: Path | str, format: str, *, columns: str | None = None) -> InteractionLog:
    """Read a log of a public format into memory.

    Args:
        path: the file or folder, as the data set's own download lays it out.
        format: a key of :data:`READERS`.
        columns: for the format ``table``, which column is what; see :mod:`recgym.data.readers.table`.

    Returns:
        The log; :attr:`InteractionLog.left_out` counts what is not in it and says why.

    Raises:
        ValueError: the format is unknown, or the files are not what the format expects; the sentence names the file,
            row and column where there is one.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="recgym-") as scratch:
        raw = _read_raw(path, format, columns, Path(scratch))
        if isinstance(raw, InteractionLog):
            return raw
        with explain_polars(path):
            return Assembly(raw, stage(raw, path, None), path).whole()


def convert_log(
    path: Path | str, format: str, out: Path | str, *, columns: str | None = None, rows: int = 5_000_000
) -> None:
    """Read a log that may be larger than memory and save it as :meth:`InteractionLog.save` does, all or nothing.

    The rows stream to a temporary file beside ``out``, then are sorted in blocks of whole users.

    Args:
        path: the file or folder.
        format: a key of :data:`READERS`.
        out: the folder to write; one that exists is replaced once the new one is complete.
        columns: as for :func:`read_log`.
        rows: about how many rows are held in memory at a time.

    Raises:
        ValueError: as :func:`read_log`, or ``out`` cannot be written, or ``rows`` is not positive.
    """
    if rows < 1:
        raise ValueError(f"rows must be at least 1, found {rows}")
    path, out = Path(path), Path(out)
    check_replaceable(out, "log.json")
    check_writable(out.parent)
    with tempfile.TemporaryDirectory(prefix=".recgym-", dir=out.parent) as name:
        scratch = Path(name)
        raw = _read_raw(path, format, columns, scratch)
        if isinstance(raw, InteractionLog):
            raw.save(out)
            return
        with explain_polars(path), atomic_folder(out, "log.json") as target:
            parts = []
            for number, piece in enumerate(Assembly(raw, stage(raw, path, scratch), path).pieces(rows)):
                parts.append(scratch / f"part-{number:06d}.parquet")
                piece.frame.write_parquet(parts[-1])
            pl.scan_parquet(parts).sink_parquet(target / "rows.parquet")
            piece.save_maps(target)


def _read_raw(path: Path, format: str, columns: str | None, scratch: Path) -> RawLog | InteractionLog:
    if format not in READERS:
        close = difflib.get_close_matches(format.lower(), READERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no log format {format!r}; there are: {', '.join(sorted(READERS))}{hint}")
    if columns is not None and format != "table":
        raise ValueError(f"a column mapping belongs to the format 'table', found one for the format {format!r}")
    if not path.exists():
        raise ValueError(f"{path} does not exist, a log of the format {format!r} was expected there")
    with explain_polars(path):
        return READERS[format](Source(path, scratch, columns))
