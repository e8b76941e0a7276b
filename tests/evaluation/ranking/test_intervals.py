"""Intervals resample users, not queries, and paired ones all metrics alike."""

import numpy as np
import pytest

from recgym.evaluation.ranking import UserBootstrap
from recgym.stats import bootstrap_mean


def test_equals_the_shared_bootstrap_up_to_its_draws() -> None:
    generator = np.random.default_rng(0)
    users = generator.integers(0, 80, 400)
    value = generator.normal(size=400) + users / 40
    mine = UserBootstrap(users, 4000).means({"m": value})["m"]
    reference = bootstrap_mean(value, users, generator, 4000)
    assert mine.mean == pytest.approx(reference.mean)
    assert mine.high - mine.low == pytest.approx(reference.high - reference.low, rel=0.08)


def test_queries_that_do_not_count_are_left_out() -> None:
    value = np.array([1.0, np.nan, 0.0, np.nan])
    found = UserBootstrap(np.arange(4), 200).means({"half": value, "none": value * np.nan, "one": value[[0, 1, 1, 1]]})
    assert found["half"].mean == 0.5
    assert np.isnan(found["none"]).all()
    assert found["one"].mean == 1.0
    assert np.isnan(found["one"].low), "one user has no interval"


def test_same_seed_same_interval() -> None:
    users, value = np.arange(50), np.random.default_rng(1).random(50)
    first, again, other = (UserBootstrap(users, 100, seed=seed).means({"m": value})["m"] for seed in (3, 3, 4))
    assert first == again != other
