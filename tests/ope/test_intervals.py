"""Intervals against closed forms, against other programs' definitions, and against each other."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from recgym.ope import (
    DM,
    DR,
    IPW,
    SNDR,
    SNIPW,
    Bootstrap,
    Clipped,
    EmpiricalBernstein,
    EmpiricalLikelihood,
    Fraction,
    Hoeffding,
    IntervalMethod,
    Replay,
    Slope,
    StudentT,
    Tuned,
    WeightedLoggers,
    resample,
    take,
    value_of,
)
from recgym.ope.intervals import influence
from recgym.ope.resampling import COUNT_THRESHOLDS, MULTINOMIAL_ROWS, resample_fractions
from tests.ope.cases import synthetic_rounds, world

ROUNDS = synthetic_rounds()
METHODS = (StudentT(), Hoeffding(), EmpiricalBernstein(), EmpiricalLikelihood(), Bootstrap(resamples=400))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def test_counts_of_a_byte_are_like_poisson_s_with_mean_and_variance_exact() -> None:
    counts = (np.arange(256)[:, None] >= COUNT_THRESHOLDS).sum(1)
    assert counts.mean() == 1.0
    assert counts.var() == 1.0
    often = np.bincount(counts) / 256
    assert often == pytest.approx(stats.poisson.pmf(np.arange(often.size), 1.0), abs=0.5 / 100)
    assert ((counts - 1.0) ** 3).mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("n", [MULTINOMIAL_ROWS, MULTINOMIAL_ROWS + 7_000])
def test_both_ways_to_draw_have_the_error_of_a_mean_and_of_a_quotient(n: int) -> None:
    data = world().draw(n, generator(1))
    for estimator in (IPW(), SNIPW(), SNDR()):
        estimate, psi = influence(estimator.fractions(data))
        drawn = resample(estimator, data, 1000, generator(2))
        error = psi.std() / np.sqrt(n)
        assert drawn.std() == pytest.approx(error, rel=0.1)
        assert drawn.mean() == pytest.approx(estimate, abs=5 * error / np.sqrt(1000) + 1e-4)


def test_large_data_are_summed_as_exactly_as_small() -> None:
    # A large constant would swamp single precision were parts not centred before they are summed.
    values = generator(3).normal(size=MULTINOMIAL_ROWS + 1) + 1e6
    drawn = resample_fractions([(Fraction(values),)], 300, generator(4))[0]
    assert drawn.std() == pytest.approx(1 / np.sqrt(values.size), rel=0.15)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.01)


def test_a_chosen_estimator_is_chosen_anew_in_each_resample() -> None:
    data = take(ROUNDS, np.arange(400))
    tuned = Tuned(tuple(IPW(Clipped(limit)) for limit in (1000.0, 5.0, 2.0, 0.5)), Slope())
    drawn = resample(tuned, data, 200, generator(5))
    each = np.stack([resample(one, data, 200, generator(5)) for one in tuned.candidates])
    chosen = np.abs(each - drawn).argmin(0)
    assert np.take_along_axis(each, chosen[None], 0)[0] == pytest.approx(drawn, abs=1e-9)
    assert len(set(chosen.tolist())) > 1


def test_clusters_are_drawn_whole() -> None:
    data, copies = take(ROUNDS, np.arange(500)), 4
    many = take(data, np.repeat(np.arange(data.n), copies))
    cluster = np.repeat(np.arange(data.n), copies)
    for estimator in (IPW(), SNIPW(), WeightedLoggers()):
        alone = resample(estimator, data, 300, generator(6)).std()
        assert resample(estimator, many, 300, generator(6), cluster).std() == pytest.approx(alone, rel=1e-6)
        assert resample(estimator, many, 300, generator(6)).std() < 0.7 * alone
    for method in METHODS:
        (one,), (other,) = (
            method.intervals([IPW()], rows, generator(7), group) for rows, group in ((data, None), (many, cluster))
        )
        assert tuple(one) == pytest.approx(tuple(other), rel=1e-9)


def test_t_of_a_mean_is_the_textbook_s() -> None:
    values = IPW().fractions(ROUNDS)[0].numerator
    low, high = stats.t.interval(0.9, values.size - 1, values.mean(), stats.sem(values))
    assert tuple(StudentT(0.9).intervals([IPW()], ROUNDS, generator())[0]) == pytest.approx((values.mean(), low, high))


def test_hoeffding_and_bernstein_by_hand() -> None:
    values = IPW().fractions(ROUNDS)[0].numerator
    n, width = values.size, 30.0
    half = width * np.sqrt(np.log(2 / 0.05) / (2 * n))
    assert Hoeffding(width=width).intervals([IPW()], ROUNDS, generator())[0].high == pytest.approx(values.mean() + half)
    half = np.sqrt(2 * values.var(ddof=1) * np.log(4 / 0.05) / n) + 7 * width * np.log(4 / 0.05) / (3 * (n - 1))
    found = EmpiricalBernstein(width=width).intervals([IPW()], ROUNDS, generator())[0]
    assert found.low == pytest.approx(values.mean() - half)
    narrow = EmpiricalBernstein().intervals([IPW()], ROUNDS, generator())[0]
    assert found.low < narrow.low < narrow.mean < narrow.high < found.high


def test_empirical_likelihood_is_where_the_best_weights_are_as_likely_as_the_quantile_says() -> None:
    values = IPW().fractions(take(ROUNDS, np.arange(60)))[0].numerator
    interval = EmpiricalLikelihood().intervals([IPW()], take(ROUNDS, np.arange(60)), generator())[0]
    limit = stats.f.ppf(0.95, 1, values.size - 1)
    for bound in (interval.low, interval.high):
        # The dual by another solver: the largest sum of log(1 + lambda (x - bound)).
        z = values - bound
        best = optimize.minimize_scalar(
            lambda multiplier, z=z: -np.log1p(multiplier * z).sum(),
            bounds=(-0.999999 / z.max(), -0.999999 / z.min()), method="bounded", options={"xatol": 1e-12},
        )  # fmt: skip
        assert -2 * best.fun == pytest.approx(limit, rel=1e-4)
    # It leans towards the long tail, to the right.
    assert interval.high - interval.mean > interval.mean - interval.low
    assert values.min() < interval.low < interval.high < values.max()


def test_all_methods_agree_on_many_rounds() -> None:
    data = world(spread=0.5).draw(20_000, generator(8))
    for estimator in (IPW(), SNIPW(), DR(), SNDR()):
        t, hoeffding, bernstein, likelihood, bootstrap = (
            method.intervals([estimator], data, generator(9))[0] for method in METHODS
        )
        half = t.high - t.mean
        for other in (likelihood, bootstrap):
            assert (other.low, other.high) == pytest.approx((t.low, t.high), abs=0.15 * half)
        assert hoeffding.high - hoeffding.mean > 1.2 * half
        assert bernstein.high - bernstein.mean > 1.2 * half


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
def test_little_data_give_no_bounds_and_no_noise(method: IntervalMethod) -> None:
    one = take(ROUNDS, np.zeros(1, dtype=np.int64))
    interval = method.intervals([IPW()], one, generator())[0]
    assert interval.mean == pytest.approx(float(value_of(IPW().fractions(one))[0]))
    same = replace(ROUNDS, q=np.full_like(ROUNDS.target, 0.25))
    assert tuple(method.intervals([DM()], same, generator())[0]) == pytest.approx((0.25, 0.25, 0.25))


def test_nothing_agrees_with_replay() -> None:
    never = np.eye(6)[np.where(ROUNDS.action == 0, 1, 0)]
    for method in METHODS:
        interval = method.intervals([Replay()], replace(ROUNDS, target=never), generator())[0]
        assert np.isnan(interval).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = (Bootstrap(resamples=50).intervals([IPW(), DR()], ROUNDS, generator(seed)) for seed in (3, 3))
    assert first == second
    assert first != Bootstrap(resamples=50).intervals([IPW(), DR()], ROUNDS, generator(4))


def test_a_level_outside_the_unit_interval_is_refused() -> None:
    for make in (StudentT, Hoeffding, EmpiricalBernstein, EmpiricalLikelihood, Bootstrap):
        with pytest.raises(ValueError, match=r"level must be in \(0, 1\), found 95"):
            make(95.0)
