"""Rows a second from a file to a checked log: ``python -m benchmarks.logs --json``.

Read are a generated table of clicks (CSV and Parquet) and, where they lie below ``--data``, real logs in their own
formats. Timed is :func:`recgym.data.read_log`: reading, checking, numbering users and items, sorting; the operating
system has the file in its cache.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measure import finish, machine, options
from recgym.data import read_log

__all__ = ["main"]

REAL = {"MovieLens-1M": ("ml-1m/sequences.txt.gz", "sequences"), "EB-NeRD": ("ebnerd", "ebnerd"),
        "KuaiRand": ("kuairand", "kuairand")}  # fmt: skip
"""Name -> where below the folder of data sets, format."""
_COLUMNS = "user=user,item=item,time=time:s,click=click,watch_time=watch:duration:s"


@dataclass(frozen=True)
class Reading:
    """A measured speed.

    Attributes:
        log: what was read.
        rows: of the log.
        seconds: median.
        rows_per_s: by that.
    """

    log: str
    rows: int
    seconds: float
    rows_per_s: float


def _timed(name: str, path: Path, form: str, columns: str | None, repeats: int) -> Reading:
    seconds = []
    for _ in range(repeats + 1):  # the first fills the cache
        start = time.perf_counter()
        log = read_log(path, form, columns=columns)
        seconds.append(time.perf_counter() - start)
    middle = statistics.median(seconds[1:])
    return Reading(name, log.n_rows, middle, log.n_rows / middle)


def table(rows: int) -> pl.DataFrame:
    """Clicks of as many users as a hundredth of the rows, on 10,000 items."""
    rng = np.random.default_rng(0)
    return pl.DataFrame({
        "user": rng.integers(0, max(rows // 100, 1), rows), "item": rng.integers(0, 10_000, rows),
        "time": rng.random(rows) * 1e7, "click": (rng.random(rows) < 0.1).astype(np.int8),
        "watch": rng.exponential(10, rows).round(2),
    })  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser: argparse.ArgumentParser = options("logs", __doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    args = parser.parse_args(arguments)
    count, repeats = (10_000, 1) if args.quick else (5_000_000, 3)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        made = table(count)
        made.write_csv(Path(folder) / "log.csv")
        made.write_parquet(Path(folder) / "log.parquet")
        for file in ("log.csv", "log.parquet"):
            found.append(_timed(f"generated {file}", Path(folder) / file, "table", _COLUMNS, repeats))
    for name, (path, form) in REAL.items():
        if not args.quick and (args.data / path).exists():
            found.append(_timed(name, args.data / path, form, None, repeats))
    body = machine(("recgym", "polars", "numpy")) | {"rows": [asdict(one) for one in found]}
    lines = [f"{one.log:24} {one.rows:12,} rows {one.seconds:8.2f} s {one.rows_per_s:12,.0f} rows/s" for one in found]
    return finish("logs", body, args, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
