"""Sampled negatives follow their law, without replacement, whatever the batches."""

import numpy as np
import pytest

from recgym.evaluation import NegativeLaw, SampledNegatives
from recgym.evaluation.ranking.negatives import NegativeSampler

POPULARITY = np.array([8, 4, 2, 1, 1, 0])
NOTHING = np.zeros(0, dtype=np.int64)


def draw(config: SampledNegatives, batches: list[int]) -> np.ndarray:
    sampler = NegativeSampler(config, POPULARITY)
    drawn = [sampler.draw(size, NOTHING, NOTHING, np.full(size, -1)) for size in batches]
    return np.concatenate(drawn)


def test_batches_do_not_matter() -> None:
    config = SampledNegatives(3)
    whole, pieces = draw(config, [12]), draw(config, [5, 1, 6])
    assert (np.sort(whole) == np.sort(pieces)).all()


@pytest.mark.parametrize("law", NegativeLaw)
def test_first_draws_follow_the_law(law: NegativeLaw) -> None:
    drawn = draw(SampledNegatives(1, law), [20_000])[:, 0]
    weight = np.ones(6) if law is NegativeLaw.UNIFORM else POPULARITY
    assert np.bincount(drawn, minlength=6) / len(drawn) == pytest.approx(weight / weight.sum(), abs=0.015)


@pytest.mark.parametrize("law", NegativeLaw)
def test_no_item_twice_and_none_that_is_barred(law: NegativeLaw) -> None:
    sampler = NegativeSampler(SampledNegatives(4, law, seed=1), POPULARITY)
    rows, items = np.repeat(np.arange(500), 2), np.tile([0, 3], 500)
    drawn = sampler.draw(500, rows, items, np.full(500, 3))
    eligible = {1, 2, 4, 5} if law is NegativeLaw.UNIFORM else {1, 2, 4}
    assert all(set(row.tolist()) - {3} == eligible for row in drawn), "those that are left are all taken"
    assert ((drawn == 3).sum(1) == 4 - len(eligible)).all()
