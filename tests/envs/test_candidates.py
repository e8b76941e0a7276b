"""Candidate sources: distinct, uniform, and refused where there are too few items."""

import numpy as np
import pytest
from scipy import stats

from recgym.arrays import to_numpy
from recgym.envs import CandidateSource, FullCatalogue, SampledCandidates
from recgym.seeding import make_generator

SIZES = [(1, 1), (2, 1), (2, 2), (7, 3), (7, 7), (12, 5), (12, 12), (30, 10), (97, 10), (100, 33)]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize(("items", "count"), SIZES)
def test_candidates_are_distinct_items(items: int, count: int, device: str) -> None:
    drawn = SampledCandidates(count).draw(500, items, make_generator(0, "candidates", device=device))
    rows = to_numpy(drawn)
    assert rows.shape == (500, count)
    assert rows.dtype == np.int64
    assert 0 <= rows.min() <= rows.max() < items
    assert (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()


@pytest.mark.parametrize(("items", "count"), [(7, 3), (12, 5), (12, 12), (30, 10), (97, 10)])
def test_every_item_is_equally_likely_at_every_position(items: int, count: int) -> None:
    rows = SampledCandidates(count).draw(60_000, items, make_generator(1, "candidates", device="numpy"))
    for position in {0, count // 2, count - 1}:
        counts = np.bincount(rows[:, position], minlength=items)
        assert stats.chisquare(counts).pvalue > 1e-4
    # Items of one row are distinct, so these counts vary less than those of independent draws: the bound holds.
    assert stats.chisquare(np.bincount(rows.ravel(), minlength=items)).pvalue > 1e-4


def test_draws_follow_the_generator() -> None:
    first, again, other = (
        SampledCandidates(4).draw(20, 50, make_generator(seed, "candidates", device="numpy")) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_sizes() -> None:
    assert FullCatalogue().size(9) == 9
    source: CandidateSource = FullCatalogue()
    assert source.draw(3, 9, make_generator(0, "candidates")) is None
    assert SampledCandidates(4).size(9) == 4
    assert isinstance(FullCatalogue(), CandidateSource)
    assert isinstance(SampledCandidates(4), CandidateSource)


def test_errors() -> None:
    with pytest.raises(ValueError, match="at least 1 candidate is needed, found num_candidates=0"):
        SampledCandidates(0)
    with pytest.raises(ValueError, match="10 distinct candidates cannot be drawn from 9 items"):
        SampledCandidates(10).size(9)
    with pytest.raises(ValueError, match="10 distinct candidates cannot be drawn from 9 items"):
        SampledCandidates(10).draw(2, 9, make_generator(0, "candidates"))
