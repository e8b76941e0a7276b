"""Logs in many files, larger than the memory of any machine, gathered by user through Ray Data."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from jaxtyping import UInt64
from pyarrow import csv

from recgym.data import convert_log, merge_saved
from recgym.data.readers.table import parse_columns
from recgym.data.readers.text import first_line, is_parquet, sniff_separator
from recgym.files import check_replaceable, check_writable
from recgym.scale import bridge

__all__ = ["gather_log", "id_hash"]

_BUCKET = "recgym_bucket"


def id_hash(ids: pl.Series) -> UInt64[np.ndarray, "n"]:
    """A hash of the text of each id, the same on every machine and in every version."""
    # One polynomial over the characters of all ids at once: numpy keeps text as four bytes a character.
    text = ids.cast(pl.String).fill_null("").to_numpy().astype(str)
    characters = (
        text.view(np.uint32).reshape(len(text), -1) if text.dtype.itemsize else np.zeros((len(text), 0), np.uint32)
    )
    hashed = np.full(len(text), 0xCBF29CE484222325, np.uint64)
    for column in characters.T:
        # Padding counts for nothing, so that the longest id of a batch does not matter.
        hashed = np.where(column > 0, (hashed ^ column) * np.uint64(0x100000001B3), hashed)
    mixed: np.ndarray = hashed ^ (hashed >> np.uint64(32))
    return mixed


class _Gather(NamedTuple):
    """What all tasks share."""

    columns: str
    user: str
    parts: int
    text: bool
    folder: Path


def gather_log(files: Sequence[Path], columns: str, out: Path, *, parts: int) -> None:
    """Read the files of one table through Ray Data, bring each user's rows together, and save them as one log.

    The cluster that this process is connected to reads the files side by side, and sorts and checks ``parts`` shares
    of the users as :func:`recgym.data.convert_log` does; what does not fit into memory on the way goes to its disks.
    The log is that of one table of all rows, but for the order, hence the numbers, of users.

    Args:
        files: CSV, TSV or Parquet files with the same columns.
        columns: which column is what, see :mod:`recgym.data.readers.table`; there must be a time, as the order of rows
            is lost.
        out: the folder to write, all or nothing; all machines must see its parent.
        parts: shares of the users; each must fit into a worker's memory.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: there are no files or parts, the mapping has no time, or a file does not hold what it says.
    """
    mapped = parse_columns(columns)
    if not files or parts < 1:
        raise ValueError(f"expected at least 1 file and 1 part, found {len(files)} files and {parts} parts")
    if not mapped.timed:
        raise ValueError(f"the mapping {columns!r} has no time, and the order of rows in many files says nothing")
    check_replaceable(out, "log.json")
    check_writable(out.parent)
    text = not is_parquet(files[0])
    user = next(field.source for field in mapped.fields if field.name == "user")
    with tempfile.TemporaryDirectory(prefix=".recgym-", dir=out.parent) as scratch, bridge.hushed():
        shared = _Gather(columns, user, parts, text, Path(scratch))
        rows = _read(files, text).map_batches(_bucketed, batch_format="pyarrow", fn_args=(shared,))
        try:
            made = rows.groupby(_BUCKET).map_groups(_converted, batch_format="pyarrow", fn_args=(shared,)).take_all()
        except bridge.ray().exceptions.RayTaskError as error:
            raise _root(error) from None
        folders = [Path(scratch) / f"{number:06d}" for number in sorted(int(row["part"]) for row in made)]
        merge_saved(folders, out, source=str(files[0].parent))


def _root(error: BaseException) -> BaseException:
    """What went wrong in a task, below what Ray says about it."""
    cause = getattr(error, "cause", None) or error.__cause__
    return error if cause is None or cause is error else _root(cause)


def _read(files: Sequence[Path], text: bool) -> Any:
    names = [str(file) for file in files]
    data = bridge.ray_data()
    if not text:
        return data.read_parquet(names)
    separator = sniff_separator(files[0])
    # As text, so that each file says the same of its columns; the log's own reader makes numbers of it.
    kinds = {name: pa.string() for name in first_line(files[0]).split(separator)}
    return data.read_csv(
        names, parse_options=csv.ParseOptions(delimiter=separator),
        convert_options=csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
    )  # fmt: skip


def _bucketed(rows: pa.Table, shared: _Gather) -> pa.Table:
    """The rows with the share that their user belongs to."""
    users = pl.Series(rows.column(shared.user))
    return rows.append_column(_BUCKET, pa.array((id_hash(users) % np.uint64(shared.parts)).astype(np.int64)))


def _converted(rows: pa.Table, shared: _Gather) -> pa.Table:
    """All rows of a share of the users, saved as a log."""
    number = rows.column(_BUCKET)[0].as_py()
    frame = pl.DataFrame(rows.drop_columns([_BUCKET]))
    table = shared.folder / f"{number:06d}.{'csv' if shared.text else 'parquet'}"
    if shared.text:
        frame.write_csv(table)
    else:
        frame.write_parquet(table)
    convert_log(table, "table", shared.folder / f"{number:06d}", columns=shared.columns)
    table.unlink()
    return pa.table({"part": [number]})
