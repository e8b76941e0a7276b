"""A log in many files, gathered by user, is the log of one file."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recgym.data import describe, describe_saved, merge_saved, read_log, to_frame
from recgym.scale.logs import gather_log, id_hash
from tests.data.samples import random_log

COLUMNS = "user=who,item=what,time=when,click=clicked,watch=seen:duration"


def _table(rows: int) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "who": [f"u{number:03d}" for number in draw.integers(0, 60, rows)],
            "what": draw.integers(0, 40, rows),
            "when": draw.integers(0, 10**6, rows),
            "clicked": draw.integers(0, 2, rows),
            "seen": draw.exponential(3.0, rows).round(2),
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_are_one_log(local_ray: None, suffix: str, tmp_path: Path) -> None:
    table = _table(600)

    def write(rows: pl.DataFrame, name: str) -> Path:
        file = tmp_path / f"{name}.{suffix}"
        if suffix == "csv":
            rows.write_csv(file)
        else:
            rows.write_parquet(file)
        return file

    files = [write(table.slice(first, 200), f"part-{first}") for first in range(0, 600, 200)]
    whole = read_log(write(table, "whole"), "table", columns=COLUMNS)
    gather_log(files, COLUMNS, tmp_path / "log", parts=3)
    found = read_log(tmp_path / "log", "recgym")
    order = ["user", "time_s", "item", "click", "watch"]
    assert to_frame(found).sort(order).equals(to_frame(whole).sort(order))
    expected, described = describe(whole), describe_saved(tmp_path / "log", rows=100)
    for name in ("rows", "users", "items", "consumptions", "repeat_ratio", "start", "end", "left_out"):
        assert getattr(described, name) == getattr(expected, name), name
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


def test_bad_files_get_one_sentence(local_ray: None, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    _table(20).with_columns(clicked=pl.lit(7)).write_csv(file)
    with pytest.raises(ValueError, match="clicked"):
        gather_log([file], COLUMNS, tmp_path / "log", parts=2)
    with pytest.raises(ValueError, match="has no time"):
        gather_log([file], "user=who,item=what", tmp_path / "log", parts=2)
    with pytest.raises(ValueError, match="found 0 files"):
        gather_log([], COLUMNS, tmp_path / "log", parts=2)
    assert {entry.name for entry in tmp_path.iterdir()} == {"t.csv"}


def test_hashes_are_of_the_id_alone() -> None:
    ids = pl.Series(["a", "bb", "", "bbb", "a"])
    assert id_hash(ids).tolist() == [int(id_hash(pl.Series([name]))[0]) for name in ids]
    assert len(set(id_hash(ids).tolist())) == 4
    assert id_hash(pl.Series([1, 2])).tolist() == id_hash(pl.Series(["1", "2"])).tolist()
    shares = np.bincount((id_hash(pl.Series(np.arange(100_000))) % np.uint64(8)).astype(int))
    assert shares.min() > 12_000


def test_logs_with_users_in_common_are_not_merged(tmp_path: Path) -> None:
    random_log(1).save(tmp_path / "a")
    with pytest.raises(ValueError, match="is in more than one of the logs"):
        merge_saved([tmp_path / "a", tmp_path / "a"], tmp_path / "b")
    with pytest.raises(ValueError, match="at least one log"):
        merge_saved([], tmp_path / "b")
