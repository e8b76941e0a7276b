"""Experiments that follow what they see."""

import numpy as np
import pytest

from recgym.abtest import (
    AdaptiveData,
    EpsilonGreedy,
    Pools,
    Thompson,
    Weights,
    adaptive_estimates,
    allocate_adaptively,
    plain_estimates,
    regret_curve,
)
from recgym.abtest.bandit import best_probabilities


def arms(*means: float, n: int = 4000) -> Pools:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(means), n, 1)) + np.array(means)[:, None, None]
    return Pools(tuple(f"arm {i}" for i in range(len(means))), ("x",), values, np.zeros((len(means), n, 0)))


def test_probabilities_to_be_best_are_those_of_draws() -> None:
    mean, error = np.array([[0.0, 0.3, 0.1], [1.0, 0.0, 0.9]]), np.array([[0.2, 0.3, 0.1], [0.4, 0.5, 0.2]])
    draws = np.random.default_rng(0).normal(mean, error, (200_000, 2, 3))
    found = (draws.argmax(2)[:, :, None] == np.arange(3)).mean(0)
    assert best_probabilities(mean, error) == pytest.approx(found, abs=0.01)
    two = best_probabilities(mean[:, :2], error[:, :2])
    assert two[0, 1] == pytest.approx((draws[:, 0, 1] > draws[:, 0, 0]).mean(), abs=0.005)


def test_rules_find_the_best_arm_and_lose_less_than_a_split() -> None:
    pools = arms(0.0, 0.5)
    truth = pools.truth("x")
    for rule in (Thompson(), EpsilonGreedy()):
        data = allocate_adaptively(pools, "x", rule, 1000, 64, batches=20)
        assert data.users.sum((1, 2)).tolist() == [1000] * 64
        assert data.probability.sum(-1) == pytest.approx(1.0)
        share = data.users[:, -1] / data.users[:, -1].sum(-1, keepdims=True)
        assert share[:, 1].mean() > 0.8
        # Users get arms as the log says.
        expected = data.probability * data.users.sum(-1, keepdims=True)
        assert abs((data.users - expected).sum((0, 1)) / expected.sum((0, 1))).max() < 0.03
        regret = regret_curve(data, truth).mean(0)
        assert regret[-1] < 0.5 * 0.5 * 0.5 * 1000
        assert (np.diff(regret) >= 0).all()


def test_logs_of_single_users_say_the_same() -> None:
    one = allocate_adaptively(arms(0.0, 0.2, 0.1), "x", Thompson(), 60, 40, batches=60, seed=5)
    arm = one.users.argmax(-1)
    log = AdaptiveData.of_log(one.total.sum(-1), arm, one.probability)
    for weights in Weights:
        for mine, other in zip(adaptive_estimates(one, weights), adaptive_estimates(log, weights), strict=True):
            assert mine == pytest.approx(other)


def test_estimates_are_the_weighted_scores_user_by_user() -> None:
    rng = np.random.default_rng(6)
    values, arm = rng.normal(size=(1, 30)) + 2, rng.integers(2, size=(1, 30))
    probability = rng.uniform(0.2, 0.8, (1, 30, 1)) * np.array([1, 0]) + np.array([0.0, 0.2])
    probability[:, :, 1] = 1 - probability[:, :, 0]
    found = adaptive_estimates(AdaptiveData.of_log(values, arm, probability))
    centre = values.mean()
    for which in (0, 1):
        scores = []
        for t in range(30):
            past = values[0, :t][arm[0, :t] == which]
            m = past.mean() if len(past) else centre
            scores.append(m + (arm[0, t] == which) * (values[0, t] - m) / probability[0, t, which])
        h = np.sqrt(probability[0, :, which])
        mean = (h * scores).sum() / h.sum()
        assert found.mean[0, which] == pytest.approx(mean)
        error = np.sqrt((h**2 * (np.array(scores) - mean) ** 2).sum()) / h.sum()
        assert found.error[0, which] == pytest.approx(error)


def test_a_fixed_split_needs_no_weights() -> None:
    data = allocate_adaptively(arms(0.0, 0.3), "x", EpsilonGreedy(1.0), 4000, 64, batches=10)
    plain, weighted = plain_estimates(data), adaptive_estimates(data)
    assert weighted.mean == pytest.approx(plain.mean, abs=0.02)
    assert weighted.error == pytest.approx(plain.error, rel=0.1)


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ValueError, match="found 20 batches of 10 users in all"):
        allocate_adaptively(arms(0.0, 0.0), "x", Thompson(), 10, 1, batches=20)
    with pytest.raises(ValueError, match=r"epsilon must lie in \(0, 1\], found 0"):
        EpsilonGreedy(0)
    dead = AdaptiveData(np.array([[[1.0, 0.0]]]), np.array([[[2, 0]]]), np.ones((1, 1, 2)), np.ones((1, 1, 2)))
    with pytest.raises(ValueError, match="every arm needs a probability above 0"):
        adaptive_estimates(dead)
