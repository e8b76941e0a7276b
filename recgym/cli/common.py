"""What the verbs share: results go to stdout as JSON or as a table, progress and remarks to a console on stderr."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recgym.files import write_json

__all__ = ["Cell", "asked_otherwise", "breaking_off", "console", "flag_value", "jsonable", "print_json", "table"]

Cell = str | int | float | None

_WIDTH_OF_A_FILE = 200  # rich would fold tables to 80 columns where stdout is not a terminal


def jsonable(value: Any) -> Any:
    """The value in the words of JSON.

    Mappings, sequences and numpy scalars are converted; a number that is not finite becomes null, because JSON has no
    word for it.

    Raises:
        ValueError: something in the value is none of these.
    """
    if hasattr(value, "item") and not hasattr(value, "__len__"):  # a numpy scalar
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [jsonable(entry) for entry in value]
    raise ValueError(f"a result of type {type(value).__name__} cannot be written as JSON: {value!r}")


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout; see :func:`jsonable` for what becomes of its values."""
    json.dump(jsonable(value), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def console(quiet: bool = False) -> Console:
    """A console on stderr for progress and remarks; a quiet one says nothing."""
    return Console(stderr=True, quiet=quiet)


@contextmanager
def breaking_off(out: Path, say: Console, kept: Callable[[], str]) -> Iterator[None]:
    """Around work that may be broken off: its folder then says why, in ``stopped.json``, by which a view of runs knows.

    Args:
        out: the folder of the run.
        say: told what an interruption leaves.
        kept: a sentence on what the folder keeps, asked for when the work was interrupted.
    """
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        why = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
        with suppress(OSError):  # what broke the work off is to be told, and not that this could not be noted
            write_json(out / "stopped.json", {"why": why})
        if interrupted:
            say.print(kept(), markup=False)
        raise


def flag_value(flags: Sequence[str], flag: str, default: str) -> str:
    """What a flag is set to, for verbs whose other flags depend on it; the default if it is not there."""
    for index, word in enumerate(flags):
        if word == flag and index + 1 < len(flags):
            return flags[index + 1]
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return default


def asked_otherwise(asked: Any, saved: Any) -> str:
    """Settings that were given other than their default and other than the saved ones, with the saved values."""
    default = type(asked)()
    differing = [
        f"{f.name} is {getattr(saved, f.name)}"
        for f in fields(asked)
        if getattr(asked, f.name) not in (getattr(default, f.name), getattr(saved, f.name))
    ]
    return ", ".join(differing)


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "") -> None:
    """Print a table on stdout: numbers to the right and with four significant digits, absent values as a dash.

    Args:
        columns: the headings.
        rows: as many cells each as there are columns.
        title: printed above, if any.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """
    grid = Table(title=title or None, title_justify="left")
    for index, heading in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows if len(row) > index)
        grid.add_column(Text(heading), justify="right" if numeric else "left")
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a table of {len(columns)} columns was given a row of {len(row)} cells: {list(row)}")
        grid.add_row(*(Text(_cell(cell)) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE).print(grid)


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value
