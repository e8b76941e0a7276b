"""Opening text and Parquet files: gzip is unpacked first, and whatever is wrong with a file is told in one sentence."""

import csv
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

__all__ = [
    "explain_polars",
    "explode",
    "first_line",
    "is_parquet",
    "plain_file",
    "scan_parquet",
    "scan_text",
    "sniff_separator",
]

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


def _magic(path: Path, size: int) -> bytes:
    if not path.is_file():
        raise ValueError(f"{path} does not exist or is not a file, a log file was expected there")
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def is_parquet(path: Path) -> bool:
    """Whether the file begins like a Parquet file or is named like one."""
    return _magic(path, 4) == _PARQUET or path.suffix == ".parquet"


def plain_file(path: Path, scratch: Path) -> Path:
    """The file itself, or its unpacked copy in ``scratch`` if it is gzip; unpacked in blocks, whatever its size.

    Raises:
        ValueError: the file is absent, empty, or a damaged gzip.
    """
    head = _magic(path, 2)
    if not head:
        raise ValueError(f"{path} is empty, at least one row was expected")
    if head != _GZIP:
        return path
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".txt", delete=False) as target:
        try:
            with gzip.open(path, "rb") as packed:
                shutil.copyfileobj(packed, target, 1 << 20)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged or truncated gzip: {error}") from error
        if target.tell() == 0:
            raise ValueError(f"{path} is empty, at least one row was expected")
    return Path(target.name)


def first_line(path: Path) -> str:
    """The first line of a text file, gzip or not, without its line end.

    Raises:
        ValueError: the file is absent or empty, or a damaged gzip.
    """
    packed = _magic(path, 2) == _GZIP
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            line = file.readline()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is a damaged or truncated gzip: {error}") from error
    if not line:
        raise ValueError(f"{path} is empty, at least one row was expected")
    return line.decode("utf-8-sig", errors="replace").rstrip("\r\n")


def sniff_separator(path: Path) -> str:
    """The most frequent of tab, comma, semicolon and bar in the first line of a text file; a tab if none."""
    return max("\t,;|", key=first_line(path).count)


def scan_text(
    path: Path,
    scratch: Path,
    separator: str,
    names: list[str] | None = None,
    encoding: Literal["utf8", "utf8-lossy"] = "utf8",
) -> pl.LazyFrame:
    """All columns of a text file as text, with the 1-based line of the file as ``line``.

    Quotes are honoured in comma and semicolon files only: titles in tab-separated files hold stray ones. A quoted line
    break makes ``line`` count records instead of lines. An empty field is null.

    Args:
        path: the file, gzip or not.
        scratch: folder for the unpacked copy.
        separator: one character.
        names: the columns of a file without a header line; None takes them from the first line.
        encoding: ``"utf8-lossy"`` for files whose titles are not UTF-8.

    Raises:
        ValueError: the file is absent, empty or damaged, or its first line has not as many fields as ``names``.
    """
    plain = plain_file(path, scratch)
    if names is not None:
        found = len(next(csv.reader([first_line(path)], delimiter=separator)))
        if found != len(names):
            raise ValueError(
                f"{path}: row 1 has {found} fields separated by {separator!r}, "
                f"expected {len(names)}: {', '.join(names)}"
            )
    table = pl.scan_csv(
        plain,
        separator=separator,
        has_header=names is None,
        new_columns=names,
        infer_schema=False,
        quote_char='"' if separator in ",;" else None,
        encoding=encoding,
        row_index_name="line",
        row_index_offset=2 if names is None else 1,
    )
    with explain_polars(path):
        last = table.collect_schema().names()[-1]
    # Polars tells of surplus fields in a row only where the last column is read, so "line" is made to need it.
    return table.with_columns(line=pl.when(pl.col(last).is_null()).then("line").otherwise("line"))


def scan_parquet(path: Path) -> pl.LazyFrame:
    """All columns of a Parquet file, with the 1-based row as ``line``.

    Raises:
        ValueError: the file is absent or not Parquet.
    """
    _magic(path, 4)
    with explain_polars(path):
        frame = pl.scan_parquet(path, row_index_name="line", row_index_offset=1)
        frame.collect_schema()
    return frame


def explode(table: pl.LazyFrame, lists: Sequence[str]) -> pl.LazyFrame:
    """One row an element of the lists, which have equal lengths row by row; an empty list leaves one row of nulls.

    Polars changed what becomes of an empty list; a null has always been kept.
    """
    return table.with_columns(pl.when(pl.col(name).list.len() > 0).then(pl.col(name)) for name in lists).explode(*lists)


@contextmanager
def explain_polars(path: Path) -> Iterator[None]:
    """Turn a complaint of Polars into one ValueError that names the file and, for an uneven text file, the row."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        detail = str(error).splitlines()[0]
        if "fields" in detail:
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            detail = next(filter(None, map(_uneven_row, files)), detail)
        raise ValueError(f"{path} cannot be read: {detail}") from error


def _uneven_row(path: Path) -> str | None:
    """Where a text file first has more fields than its first line. Slow, for the way into an error only."""
    if not path.is_file() or is_parquet(path):
        return None
    separator = sniff_separator(path)
    quote = None if separator == "\t" else '"'
    opener = gzip.open if _magic(path, 2) == _GZIP else open
    with opener(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=separator, quotechar=quote)
        wanted = len(next(rows))
        for number, fields in enumerate(rows, start=2):
            if len(fields) > wanted:
                return f"row {number} of {path.name} has {len(fields)} fields, expected {wanted}"
    return None
