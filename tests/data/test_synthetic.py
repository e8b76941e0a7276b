"""Synthetic logs follow the law they are drawn from."""

import numpy as np
import pytest

from recgym.data import iid_log, markov_log, random_transitions, zipf_popularity


def test_independent_draws_follow_the_popularity() -> None:
    popularity = zipf_popularity(20)
    log = iid_log(500, 100, popularity, seed=0)
    counts = np.bincount(log.frame["item"].to_numpy(), minlength=20)
    expected = popularity * 50_000
    assert ((counts - expected) ** 2 / expected).sum() < 43.8, "chi-square with 19 degrees of freedom, 0.1 %"
    steps = log.frame["item"].to_numpy().reshape(500, 100)
    same = (steps[:, 1:] == steps[:, :-1]).mean()
    assert same == pytest.approx((popularity**2).sum(), abs=0.01)


def test_a_markov_log_follows_its_transitions() -> None:
    transitions = random_transitions(6, 0.5, seed=1)
    steps = markov_log(400, 200, transitions, seed=2).frame["item"].to_numpy().reshape(400, 200)
    counts = np.zeros((6, 6))
    np.add.at(counts, (steps[:, :-1].ravel(), steps[:, 1:].ravel()), 1)
    assert np.abs(counts / counts.sum(axis=1, keepdims=True) - transitions).max() < 0.02
    assert (counts[transitions == 0] == 0).all()


def test_the_seed_decides() -> None:
    popularity = zipf_popularity(5)
    first, again, other = (iid_log(3, 9, popularity, seed).frame for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="popularity must be probabilities that sum to 1, found a sum of 2"):
        iid_log(1, 1, np.array([1.0, 1.0]), seed=0)
    with pytest.raises(ValueError, match="transitions must be probabilities"):
        markov_log(1, 1, np.array([[1.5, -0.5], [0.5, 0.5]]), seed=0)
    with pytest.raises(ValueError, match="at least one user and one event"):
        iid_log(0, 1, zipf_popularity(2), seed=0)
    with pytest.raises(ValueError, match="at least one item"):
        zipf_popularity(0)
