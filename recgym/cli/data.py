"""``recgym data``: look at a log, or write it in recgym's own format."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from recgym.cli.common import Cell, print_json, table
from recgym.data import LogDescription, convert_log, describe, describe_saved, read_log, split_saved
from recgym.scale.cluster import connected
from recgym.scale.logs import gather_log

__all__ = ["Convert", "Describe", "Split"]


@dataclass(frozen=True)
class Describe:
    """What a log holds, and what was left out of it.

    Attributes:
        path: The file or folder, as the data set's own download lays it out.
        format: How it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        columns: For the format table, which column is what, such as
            user=user_id,item=video_id,time=time_ms:ms,click=is_click,slate=*. Without a slate each row is something
            taken; slate=* says that each is an item shown by itself, taken or not.
        json: Print one JSON object instead of tables.
    """

    path: Positional[Path]
    format: str
    columns: str | None = None
    json: bool = False

    def run(self) -> int:
        """Print the description; returns the exit status 0."""
        if self.format == "recgym":  # which may be larger than memory
            described = describe_saved(self.path)
        else:
            described = describe(read_log(self.path, self.format, columns=self.columns))
        if self.json:
            print_json(described.to_json())
        else:
            _show(described)
        return 0


@dataclass(frozen=True)
class Convert:
    """Write a log in recgym's own format, also if it is larger than memory.

    Attributes:
        path: The file or folder, as the data set's own download lays it out.
        format: How it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        out: The folder to write; the format recgym reads it.
        columns: For the format table, which column is what, such as
            user=user_id,item=video_id,time=time_ms:ms,click=is_click,slate=*. Without a slate each row is something
            taken; slate=* says that each is an item shown by itself, taken or not.
        rows: About how many rows to hold in memory at a time.
        ray: For the format table, whose path may then be a folder of files with the same columns: auto for a Ray of
            this machine, or HOST:PORT of a cluster whose machines all see the folders; needs the extra recgym[ray].
        parts: With --ray, shares of the users, each of which must fit into the memory of a worker.
    """

    path: Positional[Path]
    format: str
    out: Path
    columns: str | None = None
    rows: int = 5_000_000
    ray: str | None = None
    parts: int = 64

    def run(self) -> int:
        """Write the folder; returns the exit status 0."""
        if self.ray is None:
            convert_log(self.path, self.format, self.out, columns=self.columns, rows=self.rows)
        else:
            self._gather(self.ray)
        print(f"wrote {self.out}", file=sys.stderr)
        return 0

    def _gather(self, address: str) -> None:
        if self.format != "table" or self.columns is None:
            raise ValueError(f"--ray brings files of the format table together by --columns, found {self.format!r}")
        if not self.path.exists():
            raise ValueError(f"{self.path} does not exist")
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        with connected(address):
            gather_log([file for file in files if file.is_file()], self.columns, self.out, parts=self.parts)


@dataclass(frozen=True)
class Split:
    """Put all rows of some users of a log in recgym's own format into one log, those of the others into another.

    The log may be larger than memory. Which users are drawn depends on the seed alone.

    Attributes:
        path: The folder of the log.
        out: The folder to write; it gets train/ and test/, which the format recgym reads.
        test_fraction: About how many of the users are for the test.
        seed: Root seed.
    """

    path: Positional[Path]
    out: Path
    test_fraction: float = 0.2
    seed: int = 0

    def run(self) -> int:
        """Write both logs; returns the exit status 0."""
        train, test = self.out / "train", self.out / "test"
        split_saved(self.path, train, test, self.test_fraction, self.seed)
        print(f"wrote {train} and {test}", file=sys.stderr)
        return 0


def _show(described: LogDescription) -> None:
    table(("", ""), _overview(described), title=described.source)
    rows = [(c.name, c.kind, c.unit, c.observed, c.positive, c.mean) for c in described.channels]
    over = "exposures" if described.exposures else "rows"
    table(("feedback", "kind", "unit", "observed", "above 0", "mean"), rows, title=f"over all {over}")
    for entry in described.left_out:
        print(f"left out: {entry.rows:,} rows: {entry.reason}")
    for note in described.notes:
        print(f"note: {note}")


def _overview(described: LogDescription) -> list[tuple[str, Cell]]:
    names = ("users", "items", "rows", "exposures", "slates", "consumptions", "sessions")
    rows: list[tuple[str, Cell]] = [(name, getattr(described, name)) for name in names]
    sizes = described.slate_sizes
    if sizes is not None:
        rows.append(("slate size", f"{sizes.smallest} to {sizes.largest}, mean {sizes.mean:.1f}"))
    if described.days is None:
        rows.append(("span", "the order of events is known, times are not"))
    else:
        rows.append(("span", f"{described.start} to {described.end}, {described.days:,.1f} days"))
    repeats = described.repeat_ratio
    rows.append(("repeat ratio", None if repeats is None else f"{repeats:.1%}"))
    return rows
