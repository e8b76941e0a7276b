"""Transitions as logs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recgym.agents import RandomPolicy
from recgym.data import InteractionLog, read_log
from recgym.data.transitions import (
    EventReading,
    PickReading,
    Reading,
    SlateReading,
    log_from_transitions,
    transitions_from_log,
)
from recgym.envs import make_task
from recgym.evaluation import action_spec, record, rollout
from tests.data.samples import random_log

SHORT = {"num_candidates": 5, "window": 6}


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("recgym/ShortVideo-v0", {**SHORT, "slate_size": 2}),
        ("recgym/Retention-v0", SHORT),
        ("recgym/OrganicBandit-v0", {}),
        ("recgym/LongTermSatisfaction-v0", {}),
    ],
)
def test_it_is_the_log_of_the_rollout(env: str, settings: dict[str, Any]) -> None:
    task = make_task(env, settings)
    policy = RandomPolicy(action_spec(task))
    log = log_from_transitions(record(policy, task, 1, seed=3, max_steps=6))
    other = rollout(policy, task, users=1024, seeds=(3,), max_steps=6, record=True).to_log()
    assert log.frame.equals(other.frame)
    assert log.schema == other.schema
    assert log.user_ids.equals(other.user_ids)
    assert log.item_ids.equals(other.item_ids)
    for mine, theirs in ((log.user_features, other.user_features), (log.item_features, other.item_features)):
        assert (mine is None and theirs is None) or (mine is not None and theirs is not None and mine.equals(theirs))


def test_a_saved_one_is_read(tmp_path: Path) -> None:
    task = make_task("recgym/ShortVideo-v0", SHORT)
    log = log_from_transitions(record(RandomPolicy(action_spec(task)), task, 1, max_steps=3))
    log.save(tmp_path / "log")
    assert read_log(tmp_path / "log", "recgym").frame.equals(log.frame)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by_session", [False, True])
@pytest.mark.parametrize("reading", [SlateReading(2), PickReading(), EventReading()])
def test_all_that_was_consumed_is_still_there(reading: Reading, by_session: bool, seed: int) -> None:
    log = random_log(seed, n_users=20)
    log = replace(log, user_ids=pl.Series("id", np.arange(20)))
    sessions = (pl.col("user") * 1000 + pl.col("time_s") // 15).cast(pl.Int64)
    log = log.with_frame(log.frame.with_columns(session=sessions))
    store = transitions_from_log(log, reading, {"click": 1.0}, by_session=by_session).store
    back = log_from_transitions(store)
    assert back.frame["slate"].n_unique() - (back.frame["slate"].null_count() > 0) == len(store)
    if isinstance(reading, PickReading):
        return  # a pick's slate has one item, so what was passed over is gone
    known = pl.DataFrame({name: store.columns[name][store.steps] for name in ("user", "clock_s", "time_s")})
    spans = known.group_by("user").agg(begin=pl.col("clock_s").min(), end=pl.col("time_s").max())
    mine, theirs = (
        part.join(spans, on="user").filter(pl.col("time_s").is_between("begin", "end")).select("user", "time_s", "item")
        for part in (_consumed(back), _consumed(log))
    )
    assert mine.height > 30
    assert mine.sort(pl.all()).equals(theirs.sort(pl.all()))
    assert set(_consumed(back).rows()) <= set(_consumed(log).rows())


def _consumed(log: InteractionLog) -> pl.DataFrame:
    rows = log.frame.filter(log.consumed)
    return rows.with_columns(user=log.user_ids.gather(rows["user"])).select("user", "time_s", "item")


def test_some_episodes() -> None:
    task = make_task("recgym/Retention-v0", SHORT)
    store = record(RandomPolicy(action_spec(task)), task, 1, max_steps=4)
    part = log_from_transitions(store.subset(np.array([7, 3])))
    assert part.user_ids.to_list() == [3, 7]
    whole = log_from_transitions(store).frame.filter(pl.col("user").is_in([3, 7]))
    assert part.frame["item"].equals(whole["item"])
    assert part.frame["time_s"].equals(whole["time_s"])


def test_an_unknown_propensity_is_null() -> None:
    store = transitions_from_log(random_log(0), EventReading(), {"click": 1.0}).store
    assert log_from_transitions(store).frame["propensity"].null_count() == len(store)
