"""Levels, bounds and power against closed forms, published tables and simulation."""

import numpy as np
import pytest
from scipy import stats

from recgym.abtest import (
    MSPRT,
    ConfidenceSequence,
    FixedHorizon,
    GroupSequential,
    Looks,
    Spending,
    StitchedSequence,
    benjamini_hochberg,
    boundaries,
    crossing,
    cuped,
    decide,
    group_sequential_users,
    looks_of,
    power,
    regression_adjusted,
    required_users,
    sample_ratio_p_value,
)
from recgym.abtest.decisions import Analysis

USERS, EVERY = 4000, 100
AT = np.arange(EVERY, USERS + 1, EVERY)
EFFECT = 0.12


def _experiments(replications: int, effect: float, seed: int) -> Looks:
    """Two arms of skewed values with variance 1; the treatment is better by the effect."""
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=(replications, USERS))
    arm = rng.integers(2, size=values.shape)
    return looks_of(values + effect * arm, arm, AT)


def _upper(p: float, n: int) -> float:
    """Upper end of the 99.9 % binomial interval of a rate."""
    return float(stats.binom.ppf(0.9995, n, p)) / n


def _lower(p: float, n: int) -> float:
    return float(stats.binom.ppf(0.0005, n, p)) / n


PLANNED = GroupSequential(tuple(AT[7::8].tolist()))
ANALYSES: dict[str, Analysis] = {
    "fixed": FixedHorizon(),
    "obrien-fleming": PLANNED,
    "pocock": GroupSequential(PLANNED.users, Spending.POCOCK),
    "msprt": MSPRT(EFFECT),
    "confidence sequence": ConfidenceSequence(EFFECT),
    "stitched": StitchedSequence(),
}


@pytest.fixture(scope="module")
def null() -> Looks:
    return _experiments(3000, 0.0, 0)


@pytest.mark.parametrize("name", ANALYSES)
def test_levels_hold_where_there_is_no_difference(name: str, null: Looks) -> None:
    analysis = ANALYSES[name]
    rate = decide(analysis, null).rejected.mean()
    assert rate <= _upper(0.05, 3000)
    if name in ("fixed", "obrien-fleming", "pocock"):  # the others bound all times, and stop here
        assert rate >= _lower(0.05, 3000)
    low, high = analysis.interval(null)
    if analysis.peeking:
        low, high = low.max(1), high.min(1)
        assert ((low > 0) | (high < 0)).mean() <= _upper(0.05, 3000)


def test_peeking_at_a_fixed_horizon_inflates_its_level(null: Looks) -> None:
    assert decide(FixedHorizon(), null, peek=True).rejected.mean() > 0.25


@pytest.mark.parametrize("name", ANALYSES)
def test_effects_are_found(name: str) -> None:
    looks = _experiments(400, EFFECT, 1)
    rejected = decide(ANALYSES[name], looks).rejected.mean()
    alone = power(USERS, EFFECT, 1.0)
    assert rejected > {"stitched": 0.3}.get(name, 0.75)
    assert rejected <= _upper(alone, 400)
    if name == "fixed":
        assert rejected >= _lower(alone, 400)


@pytest.mark.parametrize("name", ["msprt", "confidence sequence", "stitched"])
def test_bounds_and_p_values_agree(name: str) -> None:
    looks = _experiments(200, EFFECT, 2)
    analysis = ANALYSES[name]
    p = analysis.p_values(looks)
    low, high = analysis.interval(looks)
    outside = (low > 0) | (high < 0)
    if name == "msprt":
        outside = np.logical_or.accumulate(outside, axis=1)
    assert np.array_equal(p <= 0.05, outside)
    assert (np.diff(p, axis=1) <= 0).all()


def test_bounds_of_group_sequential_tests_are_the_published_ones() -> None:
    # Jennison and Turnbull (2000), tables 2.1 and 2.3: alpha = 0.05, five looks; and 0.1, three looks.
    five, three = (tuple((k + 1) / n for k in range(n)) for n in (5, 3))
    assert boundaries(Spending.POCOCK, five, 0.05)[0] == pytest.approx(2.413, abs=1e-3)
    assert boundaries(Spending.OBRIEN_FLEMING, five, 0.05)[-1] == pytest.approx(2.040, abs=1e-3)
    assert boundaries(Spending.POCOCK, three, 0.1)[0] == pytest.approx(1.992, abs=1e-3)
    assert boundaries(Spending.OBRIEN_FLEMING, three, 0.1)[-1] == pytest.approx(1.710, abs=1e-3)


def test_one_look_is_a_z_test() -> None:
    assert boundaries(Spending.POCOCK, (1.0,), 0.05)[0] == pytest.approx(stats.norm.ppf(0.975), abs=1e-8)
    assert crossing((1.96,), (1.0,), 2.8) == pytest.approx(power(100, 0.56, 1.0, 2 * stats.norm.sf(1.96)), abs=1e-6)


def test_crossing_is_what_walks_do() -> None:
    share, bound, drift = (0.25, 0.5, 1.0), (3.0, 2.5, 2.0), 1.3
    rng = np.random.default_rng(3)
    steps = np.diff((0.0, *share))
    walk = np.cumsum(rng.normal(drift * steps, np.sqrt(steps), (400_000, 3)), 1) / np.sqrt(share)
    rate = (np.abs(walk) >= bound).any(1).mean()
    assert crossing(bound, share, drift) == pytest.approx(rate, abs=4 * np.sqrt(0.25 / 400_000))


def test_plans_reach_their_power() -> None:
    assert required_users(0.2, 1.0).users == pytest.approx(785, abs=1)  # 2 x 392.4: the textbook's 16 s^2 / d^2
    plan = required_users(0.05, 0.3, wanted=0.9, alpha=0.01, treated=0.2)
    assert plan.power >= 0.9 > power(plan.users - 1, 0.05, 0.3, 0.01, 0.2)
    longer = group_sequential_users(0.2, 1.0, 5, Spending.OBRIEN_FLEMING)
    # Jennison and Turnbull (2000), table 2.4: 1.028 times the fixed sample for power 0.8.
    assert longer.users / required_users(0.2, 1.0).users == pytest.approx(1.028, abs=0.003)
    assert group_sequential_users(0.2, 1.0, 5, Spending.POCOCK).users / 785 == pytest.approx(1.229, abs=0.003)


def test_summaries_are_those_of_each_look() -> None:
    rng = np.random.default_rng(4)
    values, arm = 1e6 + rng.normal(size=(3, 50)), rng.integers(2, size=(3, 50))
    looks = looks_of(values, arm, np.array([7, 20, 50]))
    for row in range(3):
        for index, at in enumerate((7, 20, 50)):
            for which in (0, 1):
                mine = values[row, :at][arm[row, :at] == which]
                assert looks.users[row, index, which] == len(mine)
                assert looks.mean[row, index, which] == pytest.approx(mine.mean(), rel=1e-12)
                assert looks.variance[row, index, which] == pytest.approx(mine.var(ddof=1), rel=1e-6)
    last = Looks(*(part[:, -1:] for part in looks))
    for row in range(3):
        parts = [values[row][arm[row] == which] for which in (1, 0)]
        expected = stats.ttest_ind(*parts, equal_var=False).pvalue
        assert FixedHorizon().p_values(last)[row, 0] == pytest.approx(expected, rel=1e-5)
        interval = stats.ttest_ind(*parts, equal_var=False).confidence_interval()
        assert [bound[row, 0] for bound in FixedHorizon().interval(last)] == pytest.approx(list(interval), rel=1e-5)


def test_adjusting_takes_away_what_was_known() -> None:
    rng = np.random.default_rng(5)
    n, effect = 200_000, 0.1
    before = rng.normal(size=n)
    arm = rng.integers(2, size=n)
    values = 0.8 * before + 0.6 * rng.normal(size=n) + effect * arm
    adjusted = cuped(values, before)
    assert adjusted.var() / values.var() == pytest.approx(1 - 0.8**2, abs=0.01)
    difference = adjusted[arm == 1].mean() - adjusted[arm == 0].mean()
    assert difference == pytest.approx(effect, abs=4 * 0.6 * 2 / n**0.5)
    assert np.array_equal(cuped(values, np.ones(n)), values)
    found, error = regression_adjusted(values, arm, before[:, None])
    assert error == pytest.approx(0.6 * 2 / n**0.5, rel=0.02)
    assert abs(found - effect) < 4 * error


def test_standard_errors_of_regression_hold_where_effects_differ() -> None:
    rng = np.random.default_rng(6)
    scores = []
    for _ in range(400):
        before = rng.normal(size=(400, 1))
        arm = rng.integers(2, size=400)
        values = before[:, 0] ** 2 + arm * (0.5 + before[:, 0]) + rng.normal(size=400) * (1 + arm)
        found, error = regression_adjusted(values, arm, before)
        scores.append((found - 0.5) / error)
    assert np.std(scores) == pytest.approx(1.0, abs=0.12)


def test_false_discoveries_are_bounded() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
    rng = np.random.default_rng(7)
    null = rng.random((2000, 10))
    null[:, :3] = 0.0  # three true effects
    found = benjamini_hochberg(null) <= 0.1
    share = found[:, 3:].sum(1) / np.maximum(found.sum(1), 1)
    assert 0.04 < share.mean() <= 0.1  # 0.1 x 7/10 for independent metrics


def test_lost_users_are_noticed() -> None:
    shares = np.array([0.5, 0.5])
    rng = np.random.default_rng(8)
    treated = rng.binomial(100_000, 0.5, size=20_000)
    p = sample_ratio_p_value(np.stack([100_000 - treated, treated], -1), shares)
    assert (p < 0.01).mean() == pytest.approx(0.01, abs=4 * np.sqrt(0.0099 / 20_000))
    assert sample_ratio_p_value(np.array([50_000, 48_500]), shares) < 1e-5


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ValueError, match=r"looks must ascend within 1..10 users, found \[5, 5\]"):
        looks_of(np.zeros((1, 10)), np.zeros((1, 10), np.int64), np.array([5, 5]))
    with pytest.raises(ValueError, match="tau must be positive, found 0"):
        MSPRT(0.0)
    with pytest.raises(ValueError, match="planned looks must ascend"):
        GroupSequential((10, 5))
    with pytest.raises(ValueError, match="effect and standard deviation must be positive"):
        required_users(0.0, 1.0)
    with pytest.raises(ValueError, match="each arm needs 3 users for 1 covariates"):
        regression_adjusted(np.zeros(4), np.array([0, 0, 0, 1]), np.zeros((4, 1)))
    with pytest.raises(ValueError, match="planned shares must be positive and sum to 1"):
        sample_ratio_p_value(np.array([1, 1]), np.array([0.5, 0.6]))
