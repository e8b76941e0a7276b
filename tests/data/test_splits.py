"""No split leaks the future, cuts a slate, or loses a row."""

import itertools
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recgym.data import (
    InteractionLog,
    iid_log,
    leave_one_out,
    read_log,
    sessionise,
    split_by_time,
    split_by_user,
    split_each_user,
    zipf_popularity,
)
from tests.data.samples import random_log, write

SEEDS = range(12)
SPLITS: dict[str, Callable[[InteractionLog], tuple[InteractionLog, ...]]] = {
    "time": lambda log: split_by_time(log, 0.3),
    "user": lambda log: split_by_user(log, 0.3, seed=1),
    "each user": lambda log: split_each_user(log, 0.3),
    "leave one out": leave_one_out,
}


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("slates", [True, False])
def test_parts_are_disjoint_complete_and_keep_slates_whole(name: str, seed: int, slates: bool) -> None:
    log = random_log(seed, slates=slates)
    parts = SPLITS[name](log)
    together = pl.concat([part.frame for part in parts])
    assert together.sort(pl.all()).equals(log.frame.sort(pl.all()))
    assert all(part.user_ids.equals(log.user_ids) and part.item_ids.equals(log.item_ids) for part in parts)
    seen = [set(part.frame["slate"].drop_nulls().to_list()) for part in parts]
    assert sum(len(ids) for ids in seen) == log.frame["slate"].drop_nulls().n_unique()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
def test_by_time_no_train_row_is_later_than_a_test_row(seed: int, fraction: float) -> None:
    log = random_log(seed, ties=seed % 2 == 0)
    train, test = split_by_time(log, fraction)
    assert train.frame["time_s"].max() < test.frame["time_s"].min()  # type: ignore[operator]
    if seed % 2:
        exposures = log.frame["slate"].count()
        in_test = test.frame["slate"].count()
        assert abs(in_test - fraction * exposures) <= 4, "within one slate of what was asked for"


def test_by_time_a_slate_goes_by_its_last_row(tmp_path: Path) -> None:
    log = random_log(0)
    late = log.with_frame(
        log.frame.with_columns(time_s=pl.when(pl.col("position") == 1).then(pl.col("time_s") + 0.5).otherwise("time_s"))
        .sort("user", "time_s", maintain_order=True)
    )  # fmt: skip
    train, test = split_by_time(late, 0.4)
    cut = test.frame.filter(pl.col("slate").is_null())["time_s"].min()
    assert train.frame["time_s"].max() < cut  # type: ignore[operator]
    assert not set(train.frame["slate"].drop_nulls()) & set(test.frame["slate"].drop_nulls())


@pytest.mark.parametrize("seed", SEEDS)
def test_each_user_and_leave_one_out_never_go_back_within_a_user(seed: int) -> None:
    log = random_log(seed)
    for parts in (split_each_user(log, 0.3), leave_one_out(log)):
        for earlier, later in itertools.pairwise(parts):
            last = earlier.frame.group_by("user").agg(last=pl.col("time_s").max())
            first = later.frame.group_by("user").agg(first=pl.col("time_s").min())
            both = last.join(first, on="user")
            assert both.height
            assert (both["last"] <= both["first"]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_leave_one_out_against_a_loop(seed: int) -> None:
    log = random_log(seed)
    train, validation, test = leave_one_out(log)
    rows = log.frame.with_columns(consumed=log.consumed).with_row_index("row")
    expected: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for user in range(log.n_users):
        units: list[list[dict[str, object]]] = []
        for row in rows.filter(pl.col("user") == user).iter_rows(named=True):
            if units and row["slate"] is not None and row["slate"] == units[-1][-1]["slate"]:
                units[-1].append(row)
            else:
                units.append([row])
        taken = [index for index, unit in enumerate(units) if any(row["consumed"] for row in unit)]
        cuts = (taken[-2], taken[-1]) if len(taken) >= 3 else (len(units), len(units))
        for index, unit in enumerate(units):
            part = "train" if index < cuts[0] else "validation" if index < cuts[1] else "test"
            expected[part] += [row["row"] for row in unit]  # type: ignore[misc]
    for name, found in (("train", train), ("validation", validation), ("test", test)):
        assert found.frame.equals(rows.filter(pl.col("row").is_in(expected[name])).drop("row", "consumed"))


def test_leave_one_out_of_a_plain_sequence_takes_the_last_two() -> None:
    log = iid_log(5, 6, zipf_popularity(4), seed=0)
    train, validation, test = leave_one_out(log)
    assert test.frame["time_s"].to_list() == [5.0] * 5
    assert validation.frame["time_s"].to_list() == [4.0] * 5
    assert train.n_rows == 20


def test_by_user_is_decided_by_the_seed() -> None:
    log = random_log(3, n_users=40)
    first, again, other = (split_by_user(log, 0.25, seed).test.frame["user"].unique() for seed in (1, 1, 2))
    assert first.to_list() == again.to_list() != other.to_list()
    users = log.frame["user"].n_unique()
    assert len(first) == round(0.25 * users)
    assert not set(first) & set(split_by_user(log, 0.25, 1).train.frame["user"])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction: float) -> None:
    for split in (split_by_time, split_each_user):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            split(random_log(0), fraction)


def test_what_cannot_be_split_is_refused(tmp_path: Path) -> None:
    order = read_log(write(tmp_path / "s.txt", "1 2 3 4 5\n2 4\n"), "sequences")
    with pytest.raises(ValueError, match=r"no times, so it has no common moment.*split_each_user"):
        split_by_time(order)
    assert split_each_user(order, 0.25).test.frame["user"].to_list() == [0]
    with pytest.raises(ValueError, match="sessions cannot be cut by a gap"):
        sessionise(order, 60)
    single = order.with_frame(order.frame.filter(pl.col("user") == 1))
    with pytest.raises(ValueError, match="no rows for"):
        split_by_user(single, 0.5, seed=0)
    with pytest.raises(ValueError, match="at least three consumptions"):
        leave_one_out(single)
    log = iid_log(3, 1, zipf_popularity(4), seed=0)
    with pytest.raises(ValueError, match="no rows for train"):
        split_by_time(log)


def test_sessions_start_after_a_gap_and_with_each_user() -> None:
    log = random_log(5, ties=False, n_users=30)
    gap = 5e7
    found = sessionise(log, gap).frame["session"].to_list()
    expected, session = [], -1
    previous: tuple[int, float] | None = None
    for user, time in log.frame.select("user", "time_s").iter_rows():
        if previous is None or previous[0] != user or time - previous[1] > gap:
            session += 1
        expected.append(session)
        previous = (user, time)
    assert found == expected
    with pytest.raises(ValueError, match="positive number of seconds"):
        sessionise(log, 0)
