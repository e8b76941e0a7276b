"""The stock of users from which experiments are drawn."""

import numpy as np
import pytest

from recgym.abtest import GroupSequential, Method, Pools, analysis_for, detectable_effect, pools_of, power


def test_a_planted_effect_is_known() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(5, 1, size=(2, 100, 2))
    pools = Pools(("a", "b"), ("x", "y"), values, np.zeros((2, 100, 0)))
    planted = pools.planted("y", shift=1.0, scale=2.0)
    assert planted.arms == ("a", "planted")
    assert np.array_equal(planted.column("x")[0], planted.column("x")[1])
    assert planted.truth("y")[1] == pytest.approx(2 * planted.truth("y")[0] + 1)
    assert planted.effect("x", "planted").mean == 0
    assert np.array_equal(pools.values, values)


def test_the_interval_of_an_effect_covers() -> None:
    rng = np.random.default_rng(1)
    hits = [
        interval.low <= 0.5 <= interval.high
        for interval in (
            pools_of(rng.normal(size=50), rng.normal(0.5, 2, size=50)).effect("value", "treatment") for _ in range(600)
        )
    ]
    assert np.mean(hits) == pytest.approx(0.95, abs=4 * (0.0475 / 600) ** 0.5)


def test_the_detectable_effect_has_its_power() -> None:
    effect = detectable_effect(2.0, 300, 700, 0.05, 0.8)
    assert power(1000, effect, 2.0, 0.05, treated=0.7) == pytest.approx(0.8, abs=1e-4)


def test_groups_are_spread_over_the_looks() -> None:
    looks = tuple(range(100, 2001, 100))
    planned, fewer = analysis_for(Method.POCOCK, looks, 0.1), analysis_for(Method.OBRIEN_FLEMING, (50, 90), 0.1)
    assert isinstance(planned, GroupSequential)
    assert isinstance(fewer, GroupSequential)
    assert planned.users == (400, 800, 1200, 1600, 2000)
    assert fewer.users == (50, 90)


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ValueError, match="two arms of different names, found"):
        Pools(("a", "a"), ("x",), np.zeros((2, 3, 1)), np.zeros((2, 3, 0)))
    with pytest.raises(ValueError, match=r"found outcomes of shape \(2, 3, 2\), expected 2 arms and 1 metrics"):
        Pools(("a", "b"), ("x",), np.zeros((2, 3, 2)), np.zeros((2, 3, 0)))
    with pytest.raises(ValueError, match="outcomes must be finite"):
        pools_of(np.array([np.nan]), np.array([0.0]))
