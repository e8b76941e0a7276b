"""Replications of experiments on pools of users."""

import numpy as np
import pytest

from recgym.abtest import (
    CarryOver,
    Clustered,
    ClusterEffect,
    Guardrail,
    Method,
    Pools,
    Spillover,
    Split,
    Switchback,
    binomial_interval,
    pools_of,
    power,
    replicate,
    verdicts,
)

N = 20_000
EFFECT = 0.2


@pytest.fixture(scope="module")
def pools() -> Pools:
    rng = np.random.default_rng(0)
    before = rng.normal(size=(N, 1))
    values = np.stack([before[:, 0] + rng.exponential(size=N), rng.normal(size=N), np.ones(N)], -1)
    control = Pools(("a", "b"), ("main", "other", "same"), np.stack([values] * 2), np.stack([before] * 2), paired=True)
    return control.planted("main", EFFECT, name="b")


def test_power_is_as_planned_and_bounds_cover(pools: Pools) -> None:
    result = replicate(pools, (400,), 1500, metrics=("main",), methods=(Method.FIXED,))
    found = result.of("b", "main", Method.FIXED)
    sd = float(pools.column("main")[0].std())
    planned = power(400, EFFECT, sd)
    assert found.decisions.rejected.mean() == pytest.approx(planned, abs=4 * (0.25 / 1500) ** 0.5)
    summary = found.summary(result.users)
    assert summary["truth"] == pytest.approx(EFFECT)
    assert summary["bias"] == pytest.approx(0, abs=4 * 2 * sd / 400**0.5 / 1500**0.5)
    assert summary["coverage"] == pytest.approx(0.95, abs=4 * (0.0475 / 1500) ** 0.5)
    assert (result.sample_ratio() < 0.001).mean() < 0.01
    assert replicate(pools, (400,), 300, methods=(Method.FIXED,)).constant == ("same",)


def test_stopping_early_biases_what_is_seen(pools: Pools) -> None:
    looks = tuple(range(50, 801, 50))
    result = replicate(pools, looks, 400, metrics=("main",), methods=(Method.PEEKING, Method.CONFIDENCE_SEQUENCE))
    peeked = result.of("b", "main", Method.PEEKING).summary(result.users)
    always = result.of("b", "main", Method.CONFIDENCE_SEQUENCE).summary(result.users)
    assert peeked["bias"] > 0.05
    assert always["coverage"] > 0.95 > peeked["coverage"]
    assert peeked["users"] < always["users"] <= 800
    assert (np.diff(peeked["rejected_by"]) >= 0).all()
    assert peeked["rejected_by"][-1] == pytest.approx(peeked["rejected"])


def test_the_result_does_not_depend_on_the_workers(pools: Pools) -> None:
    alone, shared = (
        replicate(pools, (100, 200), 70, methods=(Method.MSPRT,), seed=3, workers=workers) for workers in (1, 2)
    )
    assert alone.summary() == shared.summary()
    assert np.array_equal(alone.found[0].decisions.difference, shared.found[0].decisions.difference)
    other = replicate(pools, (100, 200), 70, methods=(Method.MSPRT,), seed=4)
    assert not np.array_equal(alone.found[0].decisions.difference, other.found[0].decisions.difference)


def test_covariates_cut_the_users_needed(pools: Pools) -> None:
    plain, adjusted = (
        replicate(source, (300,), 400, metrics=("main",)).found[0].decisions for source in (pools, pools.adjusted())
    )
    assert adjusted.difference.var() / plain.difference.var() == pytest.approx(0.5, abs=0.12)
    assert adjusted.rejected.mean() > plain.rejected.mean() + 0.1


def test_three_arms_are_each_compared_with_the_control() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 5000, 1)) + np.array([0.0, 0.0, 0.5])[:, None, None]
    pools = Pools(("control", "same", "better"), ("x",), values, np.zeros((3, 5000, 0)))
    result = replicate(pools, (150, 300), 300, methods=(Method.FIXED, Method.MSPRT), allocation=Split((0.4, 0.3, 0.3)))
    rates = {arm: result.of(arm, "x", Method.FIXED).decisions.rejected.mean() for arm in ("same", "better")}
    assert rates["same"] < 0.12
    assert rates["better"] > 0.85
    with pytest.raises(ValueError, match="group sequential tests plan the users of two arms"):
        replicate(pools, (150, 300), 10, methods=(Method.POCOCK,))
    with pytest.raises(ValueError, match="found shares of 2 arms, expected 3: control, same, better"):
        replicate(pools, (150,), 10, allocation=Split())


def test_neighbours_who_share_an_effect_hide_it_unless_clusters_are_randomised(pools: Pools) -> None:
    spill = Spillover(0.5, neighbours=20)
    by_user = replicate(pools, (2000,), 300, metrics=("main",), outcome=spill).found[0].decisions.difference
    by_cluster = replicate(
        pools, (2000,), 300, metrics=("main",), outcome=spill, allocation=Clustered(np.zeros(20, dtype=np.int64))
    ).found[0]  # fmt: skip
    assert by_user.mean() == pytest.approx(0.75 * EFFECT, abs=0.02)
    assert by_cluster.decisions.difference.mean() == pytest.approx(EFFECT, abs=0.025)
    low, high = by_cluster.decisions.low, by_cluster.decisions.high
    assert ((low <= EFFECT) & (EFFECT <= high)).mean() == pytest.approx(0.95, abs=4 * (0.0475 / 300) ** 0.5)


def test_blocks_that_work_on_hide_an_effect_unless_their_start_is_left_out(pools: Pools) -> None:
    leak = CarryOver(50, leak=0.8, fades_after=10.0)
    whole, burnt = (
        replicate(pools, (4000,), 200, metrics=("main",), outcome=leak, allocation=Switchback(50, burn=burn)).found[0]
        for burn in (0, 40)
    )  # fmt: skip
    # The mean weight of the old arm, and half the blocks follow one of the other arm.
    lost = 0.8 * np.exp(-np.arange(50) / 10).mean()
    assert whole.decisions.difference.mean() == pytest.approx(EFFECT * (1 - lost), abs=0.02)
    assert burnt.decisions.difference.mean() == pytest.approx(EFFECT, abs=0.04)


def test_users_who_are_alike_must_not_be_taken_for_independent() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=5000)
    alike = ClusterEffect(0.5, size=25)
    design = Clustered(np.zeros(25, dtype=np.int64))
    level = replicate(pools_of(x, x), (2500,), 600, outcome=alike, allocation=design).found[0].decisions.rejected
    assert level.mean() == pytest.approx(0.05, abs=4 * (0.0475 / 600) ** 0.5)


def test_verdicts_need_an_improvement_and_every_guardrail() -> None:
    rng = np.random.default_rng(3)
    values = np.stack([rng.normal(size=(5000, 3))] * 2)
    values[1] += np.array([0.4, 0.0, -0.4])
    pools = Pools(("a", "b"), ("gain", "flat", "loss"), values, np.zeros((2, 5000, 0)))
    result = replicate(pools, (600,), 200)
    good = verdicts(result, "b", ("gain", "flat"), (Guardrail("flat", 0.5),))
    assert good.better[:, 0].mean() > 0.95
    assert good.better[:, 1].mean() < 0.1
    assert good.ship.mean() > 0.9
    bad = verdicts(result, "b", ("gain", "flat"), (Guardrail("loss", 0.3),))
    assert bad.guarded.mean() < 0.05
    assert not bad.ship[~bad.guarded].any()
    assert verdicts(result, "b", ("gain", "loss")).worse[:, 1].mean() > 0.95
    turned = verdicts(result, "b", ("gain",), (Guardrail("loss", 0.3, more_is_better=False),))
    assert turned.guarded.all()


def test_a_guardrail_at_its_margin_passes_rarely() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=5000)
    result = replicate(pools_of(x, x - 0.2), (400,), 2000)
    decided = verdicts(result, "treatment", ("value",), (Guardrail("value", 0.2),))
    assert decided.guarded.mean() == pytest.approx(0.025, abs=4 * (0.025 / 2000) ** 0.5)


def test_rates_have_exact_bounds() -> None:
    assert list(binomial_interval(np.arange(10) < 3)) == pytest.approx([0.3, 0.0667, 0.6525], abs=1e-4)
    assert binomial_interval(np.zeros(10, dtype=bool))[:2] == (0.0, 0.0)


def test_what_is_wrong_is_told(pools: Pools) -> None:
    with pytest.raises(ValueError, match=r"looks must ascend from 2 users or more, found \[5, 5\]"):
        replicate(pools, (5, 5), 10)
    with pytest.raises(ValueError, match="at least 1 replication is needed, found 0"):
        replicate(pools, (10,), 0)
    with pytest.raises(ValueError, match="every user has the same same"):
        replicate(pools, (10,), 10, metrics=("same",))
    with pytest.raises(ValueError, match="there is no metric 'x'; there are: main, other, same"):
        replicate(pools, (10,), 10, metrics=("x",))
    with pytest.raises(ValueError, match="fewer than 2 units are complete"):
        replicate(pools, (10,), 10, allocation=Switchback(20))
    with pytest.raises(ValueError, match="these users were not seen before the experiment"):
        pools_of(np.arange(3.0), np.arange(3.0)).adjusted()
    with pytest.raises(ValueError, match="the margin of the guardrail x must be positive"):
        Guardrail("x", 0)
