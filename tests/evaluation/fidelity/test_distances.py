from dataclasses import replace

import numpy as np
import pytest

from recgym.evaluation.fidelity.distances import gap_distance, length_distance
from recgym.stats import cluster_weights
from tests.evaluation.fidelity.sessions import made_up, many


def weights(users: int) -> np.ndarray:
    return cluster_weights(users, 200, np.random.default_rng(0))


def test_lengths_by_hand() -> None:
    found = length_distance(made_up([1, 2, 2]), made_up([1, 1, 3]), weights(2), 0.95)
    assert found.grid.tolist() == [0, 1, 2, 3]
    assert found.real == pytest.approx([1, 2 / 3, 0, 0])
    assert found.simulated == pytest.approx([1, 1 / 3, 1 / 3, 0])
    assert found.ks.mean == pytest.approx(1 / 3)
    assert found.wasserstein.mean == pytest.approx(2 / 3)
    assert [found.real_mean.mean, found.simulated_mean.mean] == pytest.approx([5 / 3, 5 / 3])
    assert found.relative.mean == pytest.approx(0.4)
    assert found.censored == 0


def test_censored_gaps_do_not_look_short() -> None:
    # The log ends at random while users are away, which hides half of the returns; the users are the same.
    real, simulated = many(3000, seed=0), many(3000, seed=1)
    end = np.random.default_rng(2).exponential(3600.0, 3000)
    hidden = replace(real, gap_s=np.minimum(real.gap_s, end), gap_seen=real.gap_s <= end)
    found = gap_distance(hidden, simulated, weights(100), 0.95)
    assert found.censored == pytest.approx(0.5, abs=0.05)
    assert found.relative.mean < 0.08
    naive = gap_distance(replace(hidden, gap_seen=np.ones(3000, dtype=bool)), simulated, weights(100), 0.95)
    assert naive.relative.low > 0.3


def test_users_who_come_back_too_late_or_never_are_found() -> None:
    real = many(1000, seed=0)
    late = replace(real, gap_s=2 * real.gap_s)
    found = gap_distance(real, late, weights(100), 0.95)
    assert found.relative.low > 0.3
    assert found.ks.mean == pytest.approx(0.25, abs=0.04)  # max of exp(-x/2) - exp(-x)
    never = gap_distance(real, replace(real, gap_s=np.full(1000, np.inf)), weights(100), 0.95)
    assert never.simulated[-1] == 1.0
    assert np.isfinite(never.wasserstein.mean)
