"""Logs of real behaviour as transitions."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recgym.data import InteractionLog, LeftOut, consumed_events, history_before, read_log
from recgym.data.transitions import (
    EventReading,
    LogTransitions,
    PickReading,
    Reading,
    SlateReading,
    TransitionStore,
    transitions_from_log,
)
from tests.data.samples import SCHEMA, random_log
from tests.shared import shared_data

CLICK = {"click": 1.0}
# user, item, time, session, slate, position, propensity, click, watch
ROWS = [
    (0, 4, 1.0, None, None, None, None, 1, 7.0),  # read unasked, before all sessions
    (0, 0, 2.0, 5, 10, 0, 0.5, 0, None),
    (0, 1, 2.0, 5, 10, 1, 0.5, 1, 3.0),
    (0, 2, 3.0, 5, 11, 0, 0.25, 1, 2.0),
    (0, 3, 3.0, 5, 11, 1, 0.25, 1, 1.0),
    (0, 0, 9.0, 6, 12, 0, None, 0, 0.0),
    (0, 4, 9.0, 6, 12, 1, None, 0, 0.0),
    (1, 3, 0.0, 7, 13, 0, 0.1, 1, 4.0),
    (1, 2, 0.0, 7, 13, 1, 0.1, 0, None),
    (1, 1, 0.0, 7, 13, 2, 0.1, 0, None),
]


def small_log() -> InteractionLog:
    names = ("user", "item", "time_s", "session", "slate", "position", "propensity", "click", "watch")
    types = (pl.Int64, pl.Int64, pl.Float64, pl.Int64, pl.Int64, pl.Int32, pl.Float64, pl.Float32, pl.Float32)
    frame = pl.DataFrame(ROWS, schema=dict(zip(names, types, strict=True)), orient="row")
    ids = pl.Series("id", ["a", "b"]), pl.Series("id", list("vwxyz"))
    ages = pl.DataFrame({"age": [20.0, 40.0]})
    return InteractionLog(frame, SCHEMA, *ids, user_features=ages, source="small")


def column(store: TransitionStore, name: str) -> list[Any]:
    values: list[Any] = store.columns[name][store.steps].tolist()
    return values


def test_slates() -> None:
    store, left_out, notes = transitions_from_log(small_log(), SlateReading(), {"click": 1, "watch": 0.5}, window=3)
    assert left_out == (LeftOut("in no session", 1), LeftOut("in a slate of other than 2 items", 3))
    assert "The propensity of 1 of 3 steps is unknown." in notes
    problem = store.problem
    assert (problem.slate_size, problem.num_candidates, problem.candidates_vary, problem.name) == (2, 5, False, "small")
    assert store.episodes.tolist() == [[0, 2], [3, 4]]
    assert store.actions(store.steps).tolist() == [[0, 1], [2, 3], [0, 4]]
    assert column(store, "slate") == [[0, 1], [2, 3], [0, 4]]
    assert column(store, "reward") == [1 + 1.5, 2 + 1.5, 0]
    assert column(store, "terminated") == [False, True, True]
    assert not any(column(store, "truncated"))
    assert column(store, "step") == [0, 1, 0]
    assert column(store, "time_s") == [2, 3, 9]
    np.testing.assert_allclose(column(store, "log_propensity"), np.log([0.5, 0.25, np.nan]))
    np.testing.assert_array_equal(column(store, "return_gap_s"), [np.nan, 6.0, np.nan])
    seen = store.observations(np.arange(5))
    assert seen["history_items"].tolist() == [[5, 5, 4], [5, 4, 1], [1, 2, 3], [1, 2, 3], [1, 2, 3]]
    assert seen["history_gap_s"].tolist() == [[0, 0, 1], [0, 2, 1], [1, 0, 0], [7, 6, 6], [7, 6, 6]]
    assert seen["history_feedback"][1, 1:].tolist() == [[1, 7], [1, 3]]
    assert seen["profile"].shape == (5, 2)
    # Item 4 was read unasked, the others at the points of their steps; user b's slate is no step.
    assert store.columns["event_point"].tolist() == [-1, 0, 1, 1, -1]


def test_picks() -> None:
    store, left_out, _ = transitions_from_log(small_log(), PickReading(channel="click"), CLICK, window=3)
    reasons = ["in no session", "in a slate that nothing was taken from", "taken from a slate after its first item"]
    assert left_out == tuple(LeftOut(reason, rows) for reason, rows in zip(reasons, (1, 2, 1), strict=True))
    assert (store.problem.slate_size, store.problem.num_candidates, store.problem.candidates_vary) == (1, 3, True)
    assert column(store, "candidates") == [[0, 1, 5], [2, 3, 5], [3, 2, 1]]
    assert store.actions(store.steps).tolist() == [1, 0, 0]
    assert column(store, "slate") == [[1], [2], [3]]
    assert column(store, "feedback") == [[[1, 3]], [[1, 2]], [[1, 4]]]
    assert np.isnan(column(store, "log_propensity")).all()
    assert store.episodes.tolist() == [[0, 2], [3, 4]]
    assert store.observations(np.array([2]))["candidates"].tolist() == [[2, 3, 5]], "the last ones stand once more"
    most = transitions_from_log(small_log(), PickReading(most=2), CLICK)
    assert LeftOut("in a slate of more than 2 items", 3) in most.left_out
    assert most.store.problem.num_candidates == 2


def test_events_of_whole_records() -> None:
    store, left_out, _ = transitions_from_log(small_log(), EventReading(), CLICK, window=2, by_session=False)
    assert left_out == (LeftOut("not consumed", 5),)
    assert store.actions(store.steps).tolist() == [4, 1, 2, 3, 3]
    assert store.episodes.tolist() == [[0, 4], [5, 6]]
    assert column(store, "truncated") == [False, False, False, True, True]
    assert column(store, "session") == [0, 1, 1, 1, 0]
    assert column(store, "session_step") == [0, 0, 1, 2, 0]
    assert column(store, "away_s") == [0, 1, 1, 1, 0]
    assert column(store, "return_gap_s")[0] == 1
    # Both events at time 3 see what was before them alone; the closing point sees both.
    points = np.array([2, 3, 4])
    assert store.observations(points)["history_items"].tolist() == [[4, 1], [4, 1], [2, 3]]
    ended = transitions_from_log(small_log(), EventReading(), CLICK, by_session=False, terminates=True).store
    assert column(ended, "terminated") == [False, False, False, True, True]


def test_candidates_of_slates() -> None:
    offered = pl.DataFrame({"slate": [10, 11, 12], "items": [[1, 4, 0], [3, 2], [1, 2, 3]]})
    store, left_out, _ = transitions_from_log(small_log(), SlateReading(2, offered), CLICK)
    assert left_out[-1] == LeftOut("in a slate with items not on offer", 2)
    assert store.problem.candidates_vary
    assert column(store, "candidates") == [[1, 4, 0], [3, 2, 5]]
    assert store.actions(store.steps).tolist() == [[2, 0], [1, 0]]
    known = transitions_from_log(small_log(), SlateReading(2, offered.head(1)), CLICK)
    assert known.left_out[-1] == LeftOut("in a slate of unknown candidates", 4)


def test_features_of_items() -> None:
    log = small_log()
    given = np.arange(10, dtype=np.float32).reshape(5, 2)
    assert (transitions_from_log(log, EventReading(), CLICK, item_features=given).store.item_features == given).all()
    codes = transitions_from_log(log, EventReading(), CLICK)
    assert len(np.unique(codes.store.item_features, axis=0)) == 5
    assert any("only tell them apart" in note for note in codes.notes)
    with pytest.raises(ValueError, match="small: found features of 4 items, expected 5"):
        transitions_from_log(log, EventReading(), CLICK, item_features=given[:4])


@pytest.mark.parametrize("reading", [SlateReading(2), PickReading(), EventReading()])
@pytest.mark.parametrize("seed", range(3))
def test_histories_are_those_of_the_log(reading: Reading, seed: int) -> None:
    log = random_log(seed)
    store, left_out, _ = transitions_from_log(log, reading, CLICK, window=4)
    check_histories(log, store, store.steps)
    closing = store.episodes[:, 1]
    later = np.nextafter(store.columns["clock_s"][closing], np.inf)
    after = history_before(log, store.columns["user"][closing], later, 4)
    assert torch.equal(store.observations(closing)["history_items"], torch.as_tensor(after.items))
    if not isinstance(reading, PickReading):
        assert sum(entry.rows for entry in left_out) + len(store) * store.problem.slate_size == log.n_rows
    shown = store.columns["event_point"]
    points, items = shown[shown >= 0], store.columns["event_items"][shown >= 0]
    assert (store.columns["slate"][points] == items[:, None]).any(1).all()


def check_histories(log: InteractionLog, store: TransitionStore, points: np.ndarray) -> None:
    columns, window = store.columns, store.problem.window
    history = history_before(log, columns["user"][points], columns["clock_s"][points], window)
    seen = store.observations(points)
    assert torch.equal(seen["history_items"], torch.as_tensor(history.items))
    assert torch.equal(seen["history_feedback"], torch.as_tensor(history.feedback))


def test_a_store_on_disk_is_the_same(tmp_path: Path) -> None:
    log = random_log(1)
    here = transitions_from_log(log, PickReading(), CLICK)
    there = transitions_from_log(log, PickReading(), CLICK, tmp_path / "store")
    assert there.store.problem == here.store.problem
    for name, values in here.store.columns.items():
        np.testing.assert_array_equal(values, there.store.columns[name], err_msg=name)


def test_bad_input() -> None:
    log = small_log()
    with pytest.raises(ValueError, match="there is no feedback channel 'like'; there are: click, watch"):
        transitions_from_log(log, EventReading(), {"like": 1.0})
    with pytest.raises(ValueError, match="there is no feedback channel 'like'"):
        transitions_from_log(log, PickReading(channel="like"), CLICK)
    with pytest.raises(ValueError, match="the window must be at least 1, found 0"):
        transitions_from_log(log, EventReading(), CLICK, window=0)
    with pytest.raises(ValueError, match="no step is left; the last rows went because they were in a slate of other"):
        transitions_from_log(log, SlateReading(7), CLICK)
    with pytest.raises(ValueError, match="the log has no slates; only its events can be read"):
        transitions_from_log(random_log(0, slates=False), PickReading(), CLICK)


def check_real(read: LogTransitions, log: InteractionLog) -> TransitionStore:
    store = read.store
    points = np.random.default_rng(0).choice(store.steps, 400)
    check_histories(log, store, points)
    ends = store.columns["terminated"][store.episodes[:, 1] - 1] | store.columns["truncated"][store.episodes[:, 1] - 1]
    assert ends.all()
    assert ends.sum() == (store.columns["terminated"] | store.columns["truncated"]).sum()
    return store


def test_ebnerd() -> None:
    log = read_log(shared_data("ebnerd"), "ebnerd")
    picks = check_real(transitions_from_log(log, PickReading(channel="click"), CLICK), log)
    assert len(picks) == log.frame.filter(pl.col("click") > 0)["slate"].drop_nulls().n_unique()
    assert len(picks.episodes) == log.frame["session"].drop_nulls().n_unique()
    chosen = np.take_along_axis(picks.columns["candidates"], picks.columns["action"].astype(np.int64), 1)
    assert (chosen[picks.steps] == picks.columns["slate"][picks.steps]).all()
    slates = transitions_from_log(log, SlateReading(), CLICK)
    store = check_real(slates, log)
    assert sum(entry.rows for entry in slates.left_out) + len(store) * store.problem.slate_size == log.n_rows


def test_kuairand_and_movielens() -> None:
    log = read_log(shared_data("kuairand"), "kuairand")
    store = check_real(transitions_from_log(log, SlateReading(), {"like": 1.0}), log)
    assert (len(store), store.problem.slate_size) == (log.n_rows, 1)
    assert store.columns["reward"].sum() == log.frame["like"].sum()
    log = read_log(shared_data("ml-100k"), "movielens")
    store = check_real(transitions_from_log(log, EventReading(), {log.schema.names[0]: 1.0}), log)
    assert (len(store), len(store.episodes)) == (100_000, 943)
    assert len(consumed_events(log).items) == len(store.columns["event_items"])
