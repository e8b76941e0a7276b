"""Queries ask for what comes next, and histories never hold the answer."""

import itertools

import numpy as np
import polars as pl
import pytest

from recgym.data import InteractionLog, consumed_events, iid_log, leave_one_out, split_by_time, zipf_popularity
from recgym.evaluation import (
    RankingQueries,
    TimeTargets,
    Together,
    leave_one_out_queries,
    make_queries,
    time_split_queries,
)
from tests.data.samples import random_log
from tests.evaluation.ranking.controls import log_of

SEEDS = range(8)


def histories_of(queries: RankingQueries) -> list[list[int]]:
    return [queries.events.items[start:end].tolist() for start, end in zip(queries.start, queries.end, strict=True)]


def targets_of(queries: RankingQueries) -> list[set[int]]:
    bounds = queries.target_start
    return [set(queries.targets[bounds[q] : bounds[q + 1]].tolist()) for q in range(len(queries))]


def consumed(log: InteractionLog, user: int) -> list[int]:
    return log.frame.filter(log.consumed & (log.frame["user"] == user))["item"].to_list()


@pytest.mark.parametrize("seed", SEEDS)
def test_leave_one_out_asks_for_the_last_two(seed: int) -> None:
    log = random_log(seed, slates=seed % 2 == 0)
    parts = leave_one_out(log)
    train, validation, test = leave_one_out_queries(log)
    assert train.frame.equals(parts.train.frame)
    for queries, asked, before in (
        (validation, parts.validation, (parts.train,)), (test, parts.test, (parts.train, parts.validation)),
    ):  # fmt: skip
        assert len(set(queries.users.tolist())) == len(queries)
        for user, history, targets in zip(queries.users, histories_of(queries), targets_of(queries), strict=True):
            assert targets == set(consumed(asked, user))
            assert history == [item for part in before for item in consumed(part, user)]
    assert (test.popularity == np.bincount(consumed_events(parts.train).items, minlength=log.n_items)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_time_split_first_and_every(seed: int) -> None:
    log = random_log(seed, slates=seed % 2 == 0)
    train, test = split_by_time(log, 0.4)
    first = time_split_queries(log, 0.4, TimeTargets.FIRST).test
    every = time_split_queries(log, 0.4, TimeTargets.EVERY).test
    for user in np.unique(every.users):
        rows = np.flatnonzero(every.users == user)
        before = consumed(train, user)
        assert histories_of(every)[rows[0]] == before
        for row, following in itertools.pairwise(rows):
            grown = histories_of(every)[following]
            assert set(grown[len(histories_of(every)[row]) :]) == targets_of(every)[row]
        asked = [item for row in rows for item in sorted(targets_of(every)[row])]
        assert set(asked) == set(consumed(test, user))
        (only,) = np.flatnonzero(first.users == user)
        assert histories_of(first)[only] == before
        assert targets_of(first)[only] == targets_of(every)[rows[0]]
    assert (np.diff(every.query_time_s)[np.diff(every.users) == 0] >= 0).all()
    assert every.later == (0.0, 0.0), "nothing in training is later than the cut"
    assert every.split != first.split


def test_items_of_one_slate_are_one_query_and_not_its_history() -> None:
    log = log_of(
        [
            (0, 1, 1.0, None, None, 1), (0, 2, 2.0, None, None, 1),
            (0, 3, 3.0, None, 7, 1), (0, 4, 3.0, None, 7, 0), (0, 1, 3.0, None, 7, 1),
            (1, 0, 1.0, None, None, 1), (1, 0, 5.0, None, None, 1), (1, 0, 6.0, None, None, 1),
        ],
        2, 5,
    )  # fmt: skip
    test = leave_one_out_queries(log).test
    assert targets_of(test) == [{1, 3}, {0}]
    assert histories_of(test) == [[1, 2], [0, 0]]
    assert test.repeated.tolist() == [True, False, True]
    assert test.query_time_s.tolist() == [3.0, 6.0]


def test_queries_by_session() -> None:
    rows = [
        (0, 0, 0.0, 0, None, 1), (0, 1, 1.0, 0, None, 1), (0, 2, 10.0, 1, None, 1), (0, 2, 11.0, 1, None, 1),
        (0, 0, 12.0, 1, None, 1), (0, 3, 20.0, 2, None, 1), (1, 3, 0.0, 3, None, 1),
    ]  # fmt: skip
    log = log_of(rows, 2, 4)
    early = log.frame["time_s"] < 5
    train, test = log.with_frame(log.frame.filter(early)), log.with_frame(log.frame.filter(~early))
    queries = make_queries(log, train, test, "last sessions", together=Together.SESSION)
    assert targets_of(queries) == [{0, 2}, {3}]
    assert histories_of(queries) == [[0, 1], [0, 1, 2, 2, 0]]
    assert queries.repeated.tolist() == [True, False, False]
    no_sessions = test.with_frame(test.frame.with_columns(session=pl.lit(None, dtype=pl.Int64)))
    with pytest.raises(ValueError, match="column 'session'"):
        make_queries(log, train, no_sessions, "last sessions", together=Together.SESSION)


def test_nothing_to_ask_is_an_error() -> None:
    log = log_of([(0, 0, 0.0, None, None, 1), (0, 1, 1.0, None, 0, 0)], 1, 2)
    train, test = (log.with_frame(log.frame.filter(log.frame["time_s"] == time)) for time in (0.0, 1.0))
    with pytest.raises(ValueError, match="nothing was consumed"):
        make_queries(log, train, test, "by hand")


@pytest.mark.parametrize("seed", SEEDS)
def test_later_training_is_what_a_loop_finds(seed: int) -> None:
    log = random_log(seed, slates=False)
    train, _, test = leave_one_out_queries(log)
    frame = train.frame.filter(train.consumed)
    shares = [
        frame.filter((pl.col("user") != user) & (pl.col("time_s") > time)).height / frame.height
        for user, time in zip(test.users, test.query_time_s, strict=True)
    ]
    assert test.later is not None
    assert test.later.queries == pytest.approx(np.mean(np.array(shares) > 0))
    assert test.later.events == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("window", [1, 3, 50, None])
def test_history_is_right_aligned_and_no_wider_than_needed(window: int | None) -> None:
    queries = time_split_queries(random_log(3), 0.4, TimeTargets.EVERY).test
    rows = np.arange(len(queries))[::-1]
    history = queries.history(rows, window)
    longest = max(len(events) for events in histories_of(queries))
    assert history.items.shape[1] == (longest if window is None else min(window, longest))
    for row, items, mask in zip(rows, history.items, history.mask, strict=True):
        expected = histories_of(queries)[row][-history.items.shape[1] :]
        assert items[mask].tolist() == expected
        assert bool((items[~mask] == queries.num_items).all())
        assert mask.tolist() == sorted(mask.tolist())


def test_take_keeps_queries_whole() -> None:
    queries = time_split_queries(random_log(4), 0.5, TimeTargets.EVERY).test
    rows = np.array([5, 0, 3])
    some = queries.take(rows, "three of them")
    assert targets_of(some) == [targets_of(queries)[row] for row in rows]
    assert histories_of(some) == [histories_of(queries)[row] for row in rows]
    assert some.split.endswith("three of them")
    every = queries.repeated
    assert some.repeated.tolist() == [
        flag for row in rows for flag in every[queries.target_start[row] : queries.target_start[row + 1]]
    ]


def test_users_without_history_are_all_padding() -> None:
    log = log_of([(0, 0, 0.0, None, None, 1), (1, 1, 9.0, None, None, 1)], 2, 2)
    queries = time_split_queries(log, 0.5).test
    history = queries.history(np.arange(1), None)
    assert history.items.tolist() == [[2]]
    assert not bool(history.mask.any())


def test_popularity_of_a_large_log_needs_no_loop() -> None:
    log = iid_log(3000, 20, zipf_popularity(50), seed=0)
    queries = leave_one_out_queries(log).test
    assert len(queries) == 3000
    assert queries.popularity.sum() == 3000 * 18


def test_slates_that_interleave_stay_whole() -> None:
    log = log_of(
        [
            (0, 0, 0.0, None, None, 1), (0, 1, 1.0, None, 5, 1), (0, 2, 2.0, None, 6, 1), (0, 3, 3.0, None, 5, 1),
        ],
        1, 4,
    )  # fmt: skip
    train, test = (log.with_frame(part) for part in (log.frame.head(1), log.frame.tail(3)))
    queries = make_queries(log, train, test, "by hand")
    assert targets_of(queries) == [{1, 3}, {2}], "in the order in which they began"
    assert histories_of(queries) == [[0], [0, 1, 3]]
