import numpy as np
import pytest
from scipy import stats as scipy_stats

from recgym.stats import (
    Interval,
    auc,
    auc_replicates,
    bootstrap_mean,
    cluster_weights,
    expected_calibration_error,
    few_clusters,
    kendall_tau,
    ks_distance,
    log_loss,
    paired_bootstrap_mean,
    percentile_interval,
    rank_correlation,
    reliability_curve,
    survival_curves,
    t_interval,
    wasserstein_distance,
)


def pairwise_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    above, below = scores[labels == 1][:, None], scores[labels == 0][None, :]
    return float(((above > below) + 0.5 * (above == below)).mean())


@pytest.mark.parametrize("decimals", [1, 8])
def test_auc_counts_pairs_and_halves_ties(decimals: int) -> None:
    generator = np.random.default_rng(0)
    scores = generator.random(300).round(decimals)
    labels = (generator.random(300) < scores).astype(float)
    assert auc(scores, labels) == pytest.approx(pairwise_auc(scores, labels))


def test_auc_of_one_kind_is_not_defined() -> None:
    assert np.isnan(auc(np.arange(3.0), np.ones(3)))
    assert np.isnan(auc(np.arange(3.0), np.zeros(3)))


def test_auc_replicates_are_those_of_repeated_rows() -> None:
    generator = np.random.default_rng(1)
    n, clusters = 400, 30
    scores = generator.random(n)
    labels = (generator.random(n) < scores).astype(float)
    cluster = generator.integers(clusters, size=n)
    weights = cluster_weights(clusters, 20, generator)
    fast = auc_replicates(scores, labels, cluster, weights, bins=n)
    for drawn, value in zip(weights, fast, strict=True):
        rows = np.repeat(np.arange(n), drawn[cluster].astype(int))
        assert value == pytest.approx(auc(scores[rows], labels[rows]), abs=1e-9)
    coarse = auc_replicates(scores, labels, cluster, weights, bins=50)
    assert np.abs(coarse - fast).max() < 0.01


def test_log_loss_in_closed_form() -> None:
    assert log_loss(np.array([0.8, 0.3]), np.array([1, 0])) == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)
    assert np.isfinite(log_loss(np.array([0.0, 1.0]), np.array([1, 0])))
    assert np.isnan(log_loss(np.zeros(0), np.zeros(0)))


def test_calibrated_predictions_have_a_small_error_and_shifted_ones_their_shift() -> None:
    generator = np.random.default_rng(2)
    predicted = generator.random(200_000) * 0.8
    labels = generator.random(predicted.size) < predicted
    assert expected_calibration_error(predicted, labels) < 0.01
    assert expected_calibration_error(predicted + 0.2, labels) == pytest.approx(0.2, abs=0.01)


def test_bins_have_equal_mass_and_equal_predictions_stay_together() -> None:
    curve = reliability_curve(np.arange(150) / 150, np.ones(150), bins=15)
    assert [point.n for point in curve] == [10] * 15
    flat = reliability_curve(np.full(100, 0.3), np.arange(100) % 2, bins=15)
    assert len(flat) == 1
    assert flat[0].predicted == pytest.approx(0.3)
    assert (flat[0].observed, flat[0].n) == (0.5, 100)
    mixed = reliability_curve(np.repeat([0.1, 0.9], [90, 10]), np.zeros(100), bins=15)
    assert sum(point.n for point in mixed) == 100
    assert reliability_curve(np.zeros(0), np.zeros(0)) == ()


def test_distances_agree_with_scipy_on_samples() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.poisson(3.0, 500), generator.poisson(4.0, 700)
    size = max(first.max(), second.max()) + 1
    a, b = (np.bincount(sample, minlength=size).astype(float) for sample in (first, second))
    assert wasserstein_distance(a, b) == pytest.approx(scipy_stats.wasserstein_distance(first, second))
    assert ks_distance(a, b) == pytest.approx(scipy_stats.ks_2samp(first, second).statistic)
    assert ks_distance(a, 7 * a) == pytest.approx(0.0, abs=1e-12)


def test_cluster_weights_draw_as_many_as_there_are() -> None:
    weights = cluster_weights(50, 200, np.random.default_rng(0))
    assert weights.shape == (200, 50)
    assert (weights.sum(1) == 50).all()
    assert weights.std() == pytest.approx(1.0, abs=0.1)


def test_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        effect = generator.normal(0, 1, 40)
        cluster = np.repeat(np.arange(40), 5)
        interval = bootstrap_mean(effect[cluster] + generator.normal(0, 0.1, 200), cluster, generator, 300)
        covered += interval.low < 0 < interval.high
    assert 0.87 <= covered / 200 <= 0.99


def test_bootstrap_by_cluster_is_wider_than_by_row_where_rows_of_a_cluster_agree() -> None:
    generator = np.random.default_rng(5)
    cluster = np.repeat(np.arange(30), 20)
    values = generator.normal(0, 1, 30)[cluster]
    by_cluster = bootstrap_mean(values, cluster, generator)
    by_row = bootstrap_mean(values, np.arange(600), generator)
    assert by_cluster.high - by_cluster.low > 3 * (by_row.high - by_row.low)


def test_pairing_removes_what_both_share() -> None:
    generator = np.random.default_rng(6)
    shared = generator.normal(0, 10, 500)
    interval = paired_bootstrap_mean(shared + 0.1, shared, np.arange(500), generator)
    assert interval.mean == pytest.approx(0.1)
    assert interval.low == pytest.approx(interval.high)


def test_too_little_to_say() -> None:
    generator = np.random.default_rng(0)
    assert np.isnan(bootstrap_mean(np.zeros(0), np.zeros(0, dtype=int), generator)).all()
    alone = bootstrap_mean(np.array([2.0, 4.0]), np.zeros(2, dtype=int), generator)
    assert alone.mean == 3.0
    assert np.isnan(alone.low)
    assert np.isnan(percentile_interval(1.0, np.array([np.nan, np.nan, 2.0])).low)


def test_t_interval_in_closed_form() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    expected = scipy_stats.t.interval(0.95, 3, loc=2.5, scale=values.std(ddof=1) / 2)
    assert t_interval(values) == pytest.approx((2.5, *expected))
    single = t_interval(np.array([3.0]))
    assert isinstance(single, Interval)
    assert single.mean == 3.0
    assert np.isnan(single.high)


def test_rank_correlation() -> None:
    x = np.array([0.1, 0.4, 0.35, 0.8])
    assert rank_correlation(x, x**3) == pytest.approx(1.0)
    assert rank_correlation(x, -x) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(x, np.ones(4)))


def test_survival_curves_are_kaplan_and_meiers() -> None:
    generator = np.random.default_rng(0)
    time, seen = generator.exponential(size=60).round(1), generator.random(60) < 0.6
    grid = np.linspace(0, 2, 9)
    data = scipy_stats.CensoredData(uncensored=time[seen], right=time[~seen])
    expected = scipy_stats.ecdf(data).sf.evaluate(grid)
    curves = survival_curves(time, seen, grid, np.stack([np.ones(60), np.full(60, 3.0)]))
    np.testing.assert_allclose(curves, [expected, expected])
    twice = survival_curves(np.repeat(time, 2), np.repeat(seen, 2), grid, np.ones((1, 120)))
    np.testing.assert_allclose(survival_curves(time, seen, grid, np.full((1, 60), 2.0)), twice)


def test_an_event_that_never_comes_leaves_the_curve_up() -> None:
    curve = survival_curves(np.array([1.0, np.inf]), np.array([True, True]), np.array([0.0, 2.0]), np.ones((1, 2)))
    assert curve.tolist() == [[1.0, 0.5]]


def test_kendall_tau_with_ties_is_scipys() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(5, 10)), generator.integers(4, size=(5, 10)).astype(float)
    expected = [scipy_stats.kendalltau(a, b).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(kendall_tau(first, second), expected)
    assert np.isnan(kendall_tau(np.ones(4), np.arange(4.0)))


def test_many_clusters_are_put_together() -> None:
    index, count = few_clusters(np.arange(25_000) * 7)
    assert count == 10_000
    assert np.bincount(index).max() == 3
    index, count = few_clusters(np.array([5, 9, 5]))
    assert (index.tolist(), count) == ([0, 1, 0], 2)
