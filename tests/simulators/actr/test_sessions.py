"""What ACT-R users take by themselves, against the law of choice by hand."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats

from recgym.simulators.actr import (
    ACTRConfig,
    ACTRItems,
    ACTRMemory,
    ACTRRecords,
    Calendar,
    actr_log,
    draw_calendar,
    live,
    make_items,
    make_world,
)

DAY = 86_400.0
N = 7
LAW = ACTRMemory(
    decay=0.5, noise=0.8, spreading=1.5, matching=0.4, satiation=0.6, threshold=-4.5, follow=0.6, appeal=0.7
)
USERS = 20_000
PAST = [(0, 20.0), (1, 12.0), (0, 6.0), (2, 1.5), (3, 1.5)]  # item, days ago; the last two are the session before


def catalogue() -> ACTRItems:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbours = np.array([[1, 4], [0, 5], [3, 6], [2, 4], [0, 1], [N, N], [5, 2]])
    strengths = np.where(neighbours < N, rng.random((N, 2)), 0.0)
    popularity = np.array([1, 1, 1, 1, 3, 2, 1.0])
    return ACTRItems(
        vectors.astype(np.float32), popularity.astype(np.float32), neighbours, strengths.astype(np.float32)
    )


ITEMS = catalogue()
TASTE = np.array([0.5, -1.0, 0.8])


def lived(memory: ACTRMemory, seed: int = 0) -> np.ndarray:
    """The first two items that each of many users of the same past takes in a session that starts now."""
    record = ACTRRecords(
        np.tile([item for item, _ in PAST], (USERS, 1)),
        np.tile([-DAY * ago for _, ago in PAST], (USERS, 1)),
        np.full(USERS, -1.5 * DAY),
        np.tile(TASTE, (USERS, 1)).astype(np.float32),
        np.zeros(USERS, dtype=np.float32),
    )
    calendar = Calendar(
        torch.tensor([[[0.0, 60.0]]], dtype=torch.float64).expand(USERS, 1, 2), torch.full((USERS, 1), 2)
    )
    taken = live(memory, ITEMS, record, calendar, 8, torch.Generator().manual_seed(seed))
    np.testing.assert_array_equal(taken.known, taken.item < 4)
    pairs: np.ndarray = taken.item.reshape(USERS, 2)
    return pairs


def law(memory: ACTRMemory, session: list[int]) -> np.ndarray:
    """Probability of each item as the next of a session, one number at a time."""
    weight = np.zeros(N + 1)
    for item in set(range(4)) - set(session):
        ages = [DAY * ago for other, ago in PAST if other == item]
        activation = math.log(sum(age**-memory.decay for age in ages))
        activation += memory.spreading * sum(
            float(strength)
            for source in session
            for target, strength in zip(ITEMS.neighbours[source], ITEMS.strengths[source], strict=True)
            if target == item
        )
        activation += memory.matching * sum(
            float(ITEMS.embeddings[item] @ ITEMS.embeddings[j]) for j in (2, 3) if j != item
        )
        activation -= memory.satiation * sum(math.exp(-age / memory.satiation_s) for age in ages)
        weight[item] = math.exp(activation / memory.noise)
    weight[N] = math.exp(memory.threshold / memory.noise)
    weight /= weight.sum()
    total: np.ndarray = weight[:N] + weight[N] * new_items(memory, session)
    return total


def new_items(memory: ACTRMemory, session: list[int]) -> np.ndarray:
    fresh = np.array([item > 3 and item not in session for item in range(N)])
    base = np.where(fresh, ITEMS.popularity * np.exp(memory.appeal * ITEMS.embeddings @ TASTE), 0.0)
    base /= base.sum()
    if not session:
        return base
    along, reach = np.zeros(N), 0.0
    for source in session:
        strengths = ITEMS.strengths[source]
        for target, strength in zip(ITEMS.neighbours[source], strengths, strict=True):
            if target < N and fresh[target]:
                along[target] += memory.follow * strength / strengths.sum() / len(session)
    reach = along.sum()
    total: np.ndarray = along + (1 - reach) * base
    return total


def p_value(counts: np.ndarray, shares: np.ndarray) -> float:
    possible = shares > 0
    assert not counts[~possible].any()
    return float(stats.chisquare(counts[possible], shares[possible] * counts.sum()).pvalue)


def test_the_first_two_items_of_a_session_follow_the_law() -> None:
    pairs = lived(LAW)
    first = np.bincount(pairs[:, 0], minlength=N)
    assert first.min() > 50
    assert p_value(first, law(LAW, [])) > 1e-4
    for item in range(N):
        second = np.bincount(pairs[pairs[:, 0] == item, 1], minlength=N)
        assert p_value(second, law(LAW, [item])) > 1e-4


@pytest.mark.parametrize(
    "wrong",
    [{"decay": 0.8}, {"noise": 1.0}, {"matching": 0.0}, {"satiation": 0.3}, {"threshold": -4.2}, {"appeal": 0.0}],
    ids=lambda change: next(iter(change)),
)
def test_another_law_is_told_apart(wrong: dict[str, float]) -> None:
    first = np.bincount(lived(LAW)[:, 0], minlength=N)
    assert p_value(first, law(ACTRMemory(**{**vars(LAW), **wrong}), [])) < 1e-6


@pytest.mark.parametrize("wrong", [{"spreading": 0.0}, {"follow": 0.0}], ids=lambda change: next(iter(change)))
def test_what_works_within_a_session_is_told_apart(wrong: dict[str, float]) -> None:
    pairs = lived(LAW)
    other = ACTRMemory(**{**vars(LAW), **wrong})
    values = [p_value(np.bincount(pairs[pairs[:, 0] == i, 1], minlength=N), law(other, [i])) for i in range(4)]
    assert min(values) < 1e-6


def test_users_who_know_everything_repeat() -> None:
    """There is nothing left to explore, and no session holds an item twice."""
    config = ACTRConfig(num_items=12, num_topics=2, neighbours=3, session=(3, 6), window=100)
    log = actr_log(config, 50, 30, 0)
    assert not log.frame.select("session", "item").is_duplicated().any()
    later = log.frame.filter(pl.col("session").rank("dense").over("user") > 25)
    assert later["item"].n_unique() == 12


def test_the_log_of_many_users() -> None:
    """Sessions of 10, 55 to 75 % repeats, the same for the same seed, and clock and lengths as drawn."""
    config = ACTRConfig(num_items=2000, num_topics=40, session=(10, 10), window=400)
    log = actr_log(config, 64, 40, 5)
    frame = log.frame
    assert frame.group_by("session").len()["len"].unique().to_list() == [10]
    assert frame["session"].n_unique() == 64 * 40
    first = frame.select(pl.struct("user", "item").is_first_distinct()).to_series()
    assert 0.25 < first.sum() / len(first) < 0.45
    assert frame.equals(actr_log(config, 64, 40, 5).frame)
    assert not frame.equals(actr_log(config, 64, 40, 6).frame)
    with pytest.raises(ValueError, match="at least one user and one session are needed, found 0 users"):
        actr_log(config, 0, 40, 5)


def test_a_calendar_keeps_gaps_between_sessions() -> None:
    config = ACTRConfig(session=(2, 5), pace_sd=0.0)
    times = make_world(config).times
    pace = np.array([0.0, math.log(3.0)], dtype=np.float32).repeat(500)
    calendar = draw_calendar(times, pace, 20, torch.Generator().manual_seed(0))
    flat = calendar.time_s.flatten(1)
    assert (calendar.time_s[:, 0, 0] == 0).all()
    last = calendar.time_s.gather(2, calendar.length[:, :, None] - 1)[:, :, 0]
    gaps = (calendar.time_s[:, 1:, 0] - last[:, :-1]).numpy()
    assert (gaps > 0).all()
    ratio = np.log(gaps[500:]).mean() - np.log(gaps[:500]).mean()
    assert ratio == pytest.approx(math.log(3.0), abs=0.05)
    assert set(calendar.length.flatten().tolist()) == {2, 3, 4, 5}
    assert flat.shape == (1000, 100)


def test_people_of_a_world_remember_what_they_took() -> None:
    config = ACTRConfig(num_items=60, people=30, past_sessions=4, window=50)
    records = make_world(config).records
    there = records.items < 60
    assert (np.diff(there.astype(int), axis=1) >= 0).all(), "right-aligned"
    assert (records.time_s[there] < 0).all()
    assert (np.diff(records.time_s, axis=1)[there[:, :-1]] >= 0).all()
    recent = there & (records.time_s >= records.previous_s[:, None])
    assert ((recent.sum(1) >= 5) & (recent.sum(1) <= 15)).all()
    assert make_items(config).neighbours.max() <= 60
