"""Saved logs larger than memory: described, split and turned into events for training, block of users by block."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool

from recgym.data.batches import Events, consumed_events
from recgym.data.describe import LogDescription, Tally, described, tally
from recgym.data.pieces import Piece, iter_log, log_pieces, read_piece, scan_log
from recgym.data.schema import InteractionLog
from recgym.files import atomic_folder
from recgym.seeding import child_seed
from recgym.workers import Workers, workers_of

__all__ = ["describe_saved", "drawn_users", "saved_events", "split_saved"]

ROWS = 2_000_000
"""About how many rows are held at a time."""


def describe_saved(folder: Path | str, *, rows: int = ROWS, workers: int | Workers = 1) -> LogDescription:
    """What :func:`recgym.data.describe` says of a saved log, from blocks of its users.

    Counts are the same; means may differ in their last digit, being sums of sums.

    Args:
        folder: the saved log.
        rows: of a block.
        workers: processes, or others, that share the blocks.

    Raises:
        ValueError: the folder is not a saved log, or ``rows`` is not positive.
    """
    pieces = log_pieces(folder, rows)
    users = scan_log(folder).head(1).collect()
    return described(InteractionLog.load(folder, users), workers_of(workers).map(_tallied, Path(folder), pieces))


def _tallied(folder: Path, piece: Piece) -> Tally:
    return tally(read_piece(folder, piece))


def drawn_users(users: int, fraction: float, seed: int) -> Bool[np.ndarray, "U"]:
    """Which users a share goes to, each by a hash of its number and the seed alone.

    Args:
        users: how many there are.
        fraction: about how many of them, in (0, 1).
        seed: another one draws others.
    """
    # SplitMix64, of which users are the counter: a draw of each, whoever else there is.
    with np.errstate(over="ignore"):
        z = np.uint64(child_seed(seed, "split users")) + np.arange(1, users + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    drawn: np.ndarray = z < np.uint64(fraction * 2.0**64)
    return drawn


def split_saved(folder: Path | str, train: Path | str, test: Path | str, test_fraction: float, seed: int) -> None:
    """Put all rows of some users of a saved log into one saved log and those of the others into another.

    Rows stream from file to file. Both keep the id maps.

    Args:
        folder: the saved log.
        train: folder to write, all or nothing, together with the other.
        test: likewise.
        test_fraction: about how many of the users, in (0, 1), see :func:`drawn_users`.
        seed: decides which.

    Raises:
        ValueError: the folder is not a saved log, the fraction is outside (0, 1), or a part would be empty.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"the test fraction must be above 0 and below 1, found {test_fraction}")
    table = scan_log(folder)
    like = InteractionLog.load(folder, table.head(1).collect())
    chosen = pl.Series(np.flatnonzero(drawn_users(like.n_users, test_fraction, seed))).implode()
    in_test = pl.col("user").is_in(chosen)
    with ExitStack() as stack:
        for part, name, which in ((train, "train", ~in_test), (test, "test", in_test)):
            target = stack.enter_context(atomic_folder(Path(part), "log.json"))
            rows = target / "rows.parquet"
            table.filter(which).sink_parquet(rows)
            if pl.scan_parquet(rows).head(1).collect().height == 0:
                raise ValueError(f"{folder}: the split leaves no rows for {name}")
            like.save_maps(target)


def saved_events(folder: Path | str, scratch: Path | str, *, rows: int = ROWS) -> Events:
    """What :func:`recgym.data.consumed_events` gives of a saved log, in files instead of memory.

    The arrays are memory maps: the system keeps as much of them in memory as there is room for.

    Args:
        folder: the saved log.
        scratch: an existing folder for the files, which must stay while the events are used.
        rows: of a block.

    Raises:
        ValueError: the folder is not a saved log, or ``rows`` is not positive.
    """
    names = [name for name in Events._fields if name != "start"]
    files = {name: Path(scratch) / f"{name}.bin" for name in names}
    counts: np.ndarray = np.zeros(0, np.int64)
    with ExitStack() as stack:
        opened = {name: stack.enter_context(file.open("wb")) for name, file in files.items()}
        for log in iter_log(folder, rows):
            events = consumed_events(log)
            counts = np.diff(events.start) + (counts if counts.size else 0)
            for name, file in opened.items():
                getattr(events, name).tofile(file)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    shapes = {name: (int(start[-1]), *getattr(events, name).shape[1:]) for name in names}
    arrays = {
        name: np.memmap(file, getattr(events, name).dtype, "r", shape=shapes[name])
        if start[-1]
        else getattr(events, name)
        for name, file in files.items()
    }
    return Events(start=start, **arrays)
