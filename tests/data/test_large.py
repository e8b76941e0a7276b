"""What is done with a saved log block by block is what is done with it at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recgym.data import (
    Events,
    consumed_events,
    convert_log,
    describe,
    describe_saved,
    drawn_users,
    read_log,
    saved_events,
    split_saved,
)
from recgym.data.describe import LogDescription
from recgym.encoders.catalogue import Catalogue
from recgym.encoders.sequences import Sequences
from tests.data.samples import random_log
from tests.shared import shared_data


def _but_means(described: LogDescription) -> LogDescription:
    return replace(described, channels=tuple(replace(channel, mean=None) for channel in described.channels))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_description_adds_up(workers: int, tmp_path: Path) -> None:
    log = random_log(7, n_users=25)
    log.save(tmp_path / "log")
    whole, found = describe(log), describe_saved(tmp_path / "log", rows=20, workers=workers)
    assert _but_means(found) == _but_means(whole)
    for mine, theirs in zip(found.channels, whole.channels, strict=True):
        assert mine.mean == pytest.approx(theirs.mean, rel=1e-12)


@pytest.mark.parametrize(
    ("path", "format"), [("ebnerd", "ebnerd"), ("wikipedia", "sequences"), ("ml-100k", "movielens")]
)
def test_descriptions_of_real_logs_add_up(path: str, format: str, tmp_path: Path) -> None:
    source = shared_data(path)
    convert_log(source, format, tmp_path / "log")
    whole, found = describe(read_log(source, format)), describe_saved(tmp_path / "log", rows=9_000)
    assert _but_means(found) == _but_means(whole)


def test_every_user_is_drawn_by_itself() -> None:
    few, many = drawn_users(1000, 0.25, 3), drawn_users(200_000, 0.25, 3)
    assert np.array_equal(few, many[:1000])
    assert many.mean() == pytest.approx(0.25, abs=0.005)
    other = drawn_users(200_000, 0.25, 4)
    assert (many & other).mean() == pytest.approx(0.0625, abs=0.005)
    wider = drawn_users(200_000, 0.5, 3)
    assert not (many & ~wider).any()


def test_a_split_keeps_each_row_once_and_users_whole(tmp_path: Path) -> None:
    log = random_log(2, n_users=40)
    log.save(tmp_path / "log")
    split_saved(tmp_path / "log", tmp_path / "train", tmp_path / "test", 0.3, seed=5)
    train, test = (read_log(tmp_path / name, "recgym") for name in ("train", "test"))
    assert set(train.frame["user"]).isdisjoint(test.frame["user"])
    assert pl.concat([train.frame, test.frame]).sort("user", maintain_order=True).equals(log.frame)
    assert train.item_ids.equals(log.item_ids)
    assert set(test.frame["user"]) == set(np.flatnonzero(drawn_users(log.n_users, 0.3, 5))) & set(log.frame["user"])


def test_bad_splits_leave_nothing(tmp_path: Path) -> None:
    random_log(2).save(tmp_path / "log")
    with pytest.raises(ValueError, match="must be above 0 and below 1, found 1"):
        split_saved(tmp_path / "log", tmp_path / "a", tmp_path / "b", 1.0, seed=0)
    with pytest.raises(ValueError, match="leaves no rows for test"):
        split_saved(tmp_path / "log", tmp_path / "a", tmp_path / "b", 1e-9, seed=0)
    assert {entry.name for entry in tmp_path.iterdir()} == {"log"}


def test_events_in_files_are_those_in_memory(tmp_path: Path) -> None:
    log = random_log(4, n_users=30)
    log.save(tmp_path / "log")
    (tmp_path / "files").mkdir()
    found, expected = saved_events(tmp_path / "log", tmp_path / "files", rows=15), consumed_events(log)
    for name in Events._fields:
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs), name
    sequences = Sequences.from_events(found, log.n_items, log.time_unit == "s")
    whole = Sequences.from_log(log)
    assert np.array_equal(Catalogue.of(sequences).counts, Catalogue.of(whole).counts)
    assert Catalogue.of(sequences).feedback == Catalogue.of(whole).feedback
    pairs = zip(
        sequences.examples(5, 8, np.random.default_rng(0)), whole.examples(5, 8, np.random.default_rng(0)), strict=True
    )
    assert all(
        mine.targets.equal(theirs.targets) and mine.inputs.items.equal(theirs.inputs.items) for mine, theirs in pairs
    )
