"""Popularity bias and coverage by hand, and the coverage of the jackknife's interval."""

import numpy as np
import pytest

from recgym.evaluation.ranking.popularity import catalogue_coverage, popularity_metrics

POPULARITY = np.array([9, 0, 3, 3])


def test_bias_by_hand() -> None:
    lists = np.array([[0, 2, 4], [1, 4, 4], [4, 4, 4]])
    found = popularity_metrics(lists, np.array([2, 0, 1, 1]), np.array([0, 0, 1, 2]), POPULARITY, (1, 3))
    percentile, log = [0.875, 0.125, 0.5, 0.5], np.log1p(POPULARITY)
    assert found["consumed_popularity_percentile"] == pytest.approx([(0.875 + 0.5) / 2, 0.125, 0.125])
    assert found["popularity_percentile@1"] == pytest.approx([percentile[0], percentile[1], np.nan], nan_ok=True)
    assert found["popularity_percentile@3"] == pytest.approx([(0.875 + 0.5) / 2, 0.125, np.nan], nan_ok=True)
    assert found["popularity_percentile_bias@3"] == pytest.approx([0, 0, np.nan], nan_ok=True)
    assert found["log_popularity@3"] == pytest.approx([(log[0] + log[2]) / 2, log[1], np.nan], nan_ok=True)


def test_coverage_by_hand() -> None:
    lists = np.array([[0, 2, 4], [0, 1, 4], [4, 4, 4]])
    assert catalogue_coverage(lists, np.array([0, 1, 2]), 4, 1).mean == 1 / 4
    assert catalogue_coverage(lists, np.array([0, 1, 2]), 4, 3).mean == 3 / 4
    assert np.isnan(catalogue_coverage(lists, np.array([5, 5, 5]), 4, 3).low)


def test_coverage_that_no_single_user_decides_is_certain() -> None:
    lists = np.tile(np.array([[0, 1]]), (50, 1))
    interval = catalogue_coverage(lists, np.arange(50), 10, 2)
    assert interval == (0.2, 0.2, 0.2)


def test_interval_of_coverage_is_as_wide_as_coverage_varies() -> None:
    """Fresh users each time: the estimate's spread is what the intervals claim."""
    generator = np.random.default_rng(0)
    weight = 1 / np.arange(1, 401)
    intervals = [
        catalogue_coverage(generator.choice(400, (200, 2), p=weight / weight.sum()), np.arange(200), 400, 2)
        for _ in range(60)
    ]
    spread = np.std([interval.mean for interval in intervals])
    claimed = np.mean([interval.high - interval.low for interval in intervals]) / (2 * 1.96)
    assert 0.8 < claimed / spread < 1.6
