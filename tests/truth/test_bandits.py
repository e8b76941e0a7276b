"""Bandits against closed forms and hand calculation; wrong variants are told from right ones."""

import numpy as np
import pytest
from scipy import stats

from recgym.agents.bandits import (
    EXP3,
    EXP4,
    GPUCB,
    KLUCB,
    TVUCB,
    BanditSpec,
    BernoulliTS,
    ClusterTS,
    Context,
    DiscountedLinUCB,
    DriftPrior,
    GaussianTS,
    HybridLinUCB,
    LinTS,
    LinUCB,
    LogisticTS,
    RankedBandit,
    SlidingLinUCB,
    SlidingWindowUCB,
    TopKLinUCB,
    TreeTS,
)
from recgym.agents.bandits.counting import Counts
from recgym.agents.bandits.ridge import Ridge, learn, predict, start
from recgym.agents.bandits.slates import looked_at
from tests.agents.bandits.cases import TAXONOMY

GENERATOR = np.random.default_rng(0)
PLAIN = np.zeros((1, 1, 0))


def rounds(n: int, arms: int, width: int, users: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arms, features and rewards of one replication, ``[n, 1, U, ...]``."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, arms, (n, 1, users)), rng.standard_normal((n, 1, users, width)), rng.random((n, 1, users))


def closed_form(arm: np.ndarray, x: np.ndarray, y: np.ndarray, a: int, precision: float) -> tuple[np.ndarray, ...]:
    """Mean and covariance of ridge regression on the rows of one arm."""
    rows, rewards = x[arm == a], y[arm == a]
    cover = np.linalg.inv(precision * np.eye(x.shape[-1]) + rows.T @ rows)
    return cover @ rows.T @ rewards, cover


@pytest.mark.parametrize("users", [1, 5])
@pytest.mark.parametrize("replications", [1, 3])
def test_the_posterior_of_linear_bandits_after_1000_updates_is_a_fresh_inverse(users: int, replications: int) -> None:
    arm, x, y = rounds(1000 // users, 4, 6, users)
    state = start(BanditSpec(4, 6, replications=replications), 4, 6, 0.5)
    for a, features, reward in zip(arm, x, y, strict=True):
        tiled = (np.repeat(part, replications, 0) for part in (a, features, reward))
        state = learn(state, *tiled)
    for a in range(4):
        mean, cover = closed_form(arm.ravel(), x.reshape(-1, 6), y.ravel(), a, 0.5)
        assert np.allclose(state.mean[:, a], mean, rtol=0, atol=1e-10)
        assert np.allclose(state.inverse[:, a], cover, rtol=0, atol=1e-10)


def test_single_precision_stays_near_double() -> None:
    arm, x, y = rounds(1000, 4, 6)
    states = [start(BanditSpec(4, 6, replications=2, single=single), 4, 6, 1.0) for single in (False, True)]
    for a, features, reward in zip(arm, x, y, strict=True):
        states = [learn(state, *(np.repeat(part, 2, 0) for part in (a, features, reward))) for state in states]
    assert states[1].inverse.dtype == np.float32
    assert np.abs(states[0].mean - states[1].mean).max() < 1e-4


def test_lints_draws_from_its_posterior() -> None:
    arm, x, y = rounds(50, 2, 3)
    state = LinTS().init_state(BanditSpec(2, 3))
    for a, features, reward in zip(arm, x, y, strict=True):
        state = LinTS().update(state, Context(features), a, reward)
    probe = np.array([0.5, -1.0, 2.0])
    moments = []
    for a in range(2):
        mean, cover = closed_form(arm.ravel(), x.reshape(-1, 3), y.ravel(), a, 1.0)
        moments.append((probe @ mean, probe @ cover @ probe))
    (m0, v0), (m1, v1) = moments
    truth = stats.norm.cdf((m0 - m1) / (v0 + v1) ** 0.5)
    context = Context(np.broadcast_to(probe, (1, 1, 3)))
    assert LinTS().probabilities(state, context, GENERATOR)[0, 0, 0] == pytest.approx(truth, abs=2e-3)
    drawn = LinTS().choose(state, Context(np.broadcast_to(probe, (1, 40_000, 3))), GENERATOR)
    assert (drawn == 0).mean() == pytest.approx(truth, abs=0.012)
    wrong = stats.norm.cdf((m0 - m1) / (v0**0.5 + v1**0.5))
    assert abs(wrong - truth) > 0.02, "adding standard deviations in place of variances shows"


@pytest.mark.parametrize("users", [1, 4])
def test_hybrid_linucb_is_algorithm_2_of_the_paper(users: int) -> None:
    arms, d, k, alpha = 3, 4, 2, 0.7
    rng = np.random.default_rng(1)
    bandit = HybridLinUCB(alpha)
    state = bandit.init_state(BanditSpec(arms, d, k))
    a0, b0 = np.eye(k), np.zeros(k)
    a, b = np.tile(np.eye(d), (arms, 1, 1)), np.zeros((arms, d))
    cross = np.zeros((arms, d, k))
    for _ in range(30):
        context = Context(rng.standard_normal((1, users, d)), rng.standard_normal((1, users, arms, k)))
        assert context.items is not None
        beta = np.linalg.solve(a0, b0)
        for user in range(users):
            x = context.user[0, user]
            for arm in range(arms):
                z, inv0, inv = context.items[0, user, arm], np.linalg.inv(a0), np.linalg.inv(a[arm])
                theta = inv @ (b[arm] - cross[arm] @ beta)
                s = z @ inv0 @ z - 2 * z @ inv0 @ cross[arm].T @ inv @ x + x @ inv @ x
                s += x @ inv @ cross[arm] @ inv0 @ cross[arm].T @ inv @ x
                expected = z @ beta + x @ theta + alpha * s**0.5
                assert bandit.index(state, context)[0, user, arm] == pytest.approx(expected, abs=1e-9)
        action, reward = rng.integers(0, arms, (1, users)), rng.random((1, users))
        for user in range(users):
            arm, x, r = int(action[0, user]), context.user[0, user], reward[0, user]
            z = context.items[0, user, arm]
            inv = np.linalg.inv(a[arm])
            a0, b0 = a0 + cross[arm].T @ inv @ cross[arm], b0 + cross[arm].T @ inv @ b[arm]
            a[arm] += np.outer(x, x)
            cross[arm] += np.outer(x, z)
            b[arm] += r * x
            inv = np.linalg.inv(a[arm])
            a0 = a0 + np.outer(z, z) - cross[arm].T @ inv @ cross[arm]
            b0 = b0 + r * z - cross[arm].T @ inv @ b[arm]
        state = bandit.update(state, context, action, reward)


def test_the_index_of_kl_ucb_solves_its_equation() -> None:
    number = np.array([[5.0, 40.0, 200.0, 1.0]])
    state = Counts(number, number * np.array([0.2, 0.5, 0.9, 0.0]))
    index, mean = KLUCB(c=3).index(state), np.array([0.2, 0.5, 0.9, 0.0])
    t = np.log(number.sum())
    room = (t + 3 * np.log(t)) / number[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(mean > 0, mean * np.log(mean / index[0]), 0.0)
        high = (1 - mean) * np.log((1 - mean) / (1 - index[0]))
    assert (index[0] > mean).all()
    assert np.allclose(low + high, room, atol=1e-6)


@pytest.mark.parametrize(
    ("state", "bandit"),
    [
        (Counts(np.array([[20.0, 30.0, 5.0]]), np.array([[10.0, 18.0, 3.0]])), BernoulliTS()),
        (Counts(np.array([[20.0, 30.0, 5.0]]), np.array([[10.0, 18.0, 3.0]])), GaussianTS(2.0, 0.5)),
    ],
)
def test_propensities_of_thompson_sampling_are_frequencies(state: Counts, bandit: BernoulliTS | GaussianTS) -> None:
    draws = 100_000
    share = np.bincount(bandit.choose(state, Context(np.zeros((1, draws, 0))), GENERATOR)[0], minlength=3) / draws
    claimed = bandit.probabilities(state, Context(PLAIN), GENERATOR)[0, 0]
    assert np.abs(share - claimed).max() < 0.008


def test_exp3_by_hand() -> None:
    bandit = EXP3(gamma=0.3)
    context = Context(PLAIN)
    state = bandit.init_state(BanditSpec(3))
    state = bandit.update(state, context, np.array([[1]]), np.array([[0.5]]))
    # p = 1/3, so the estimate is 1.5 and the weight exp(0.3 * 1.5 / 3); then p = 0.7 w / sum + 0.1.
    w = np.exp(0.15)
    chance = 0.7 * np.array([1, w, 1]) / (2 + w) + 0.1
    assert np.allclose(bandit.probabilities(state, context, GENERATOR)[0, 0], chance)
    state = bandit.update(state, context, np.array([[0]]), np.array([[1.0]]))
    w0 = np.exp(0.3 / 3 / chance[0])
    assert np.allclose(state.log_weight - state.log_weight[0, 2], np.log([[w0, w, 1]]))
    assert not np.allclose(w0, np.exp(0.3 / 3)), "a reward without its propensity would show"


def test_exp4_by_hand() -> None:
    advice = np.array([[[[1.0, 0.0], [0.25, 0.75]]]])
    bandit = EXP4(lambda context: advice, 2, gamma=0.2)
    context = Context(PLAIN)
    state = bandit.init_state(BanditSpec(2))
    chance = 0.8 * np.array([0.625, 0.375]) + 0.1
    assert np.allclose(bandit.probabilities(state, context, GENERATOR)[0, 0], chance)
    state = bandit.update(state, context, np.array([[1]]), np.array([[1.0]]))
    assert state.log_weight[0, 1] - state.log_weight[0, 0] == pytest.approx(0.1 * 0.75 / chance[1])


@pytest.mark.parametrize("users", [1, 6])
def test_logistic_ts_is_the_laplace_approximation(users: int) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((1, users, 3)), rng.integers(0, 2, (1, users)).astype(np.float64)
    bandit = LogisticTS(precision=2.0)
    state = bandit.update(bandit.init_state(BanditSpec(1, 3)), Context(x), np.zeros((1, users), np.int64), y)
    p = 1 / (1 + np.exp(-x[0] @ state.mean[0, 0]))
    gradient = x[0].T @ (y[0] - p) - 2.0 * state.mean[0, 0]
    assert np.abs(gradient).max() < 1e-8, "the mode, where the slope of the log posterior is 0"
    curvature = 2.0 * np.eye(3) + (x[0].T * (p * (1 - p))) @ x[0]
    assert np.allclose(state.inverse[0, 0], np.linalg.inv(curvature), atol=1e-8)


def test_the_posterior_of_gp_ucb() -> None:
    places, noise = np.array([[0.0], [0.5], [3.0]]), 0.5
    bandit = GPUCB(places, length=1.0, sd=2.0, noise_sd=noise)
    state, arm, y = bandit.init_state(BanditSpec(3)), [0, 0, 1], np.array([1.0, 2.0, 0.5])
    for a, reward in zip(arm, y, strict=True):
        state = bandit.update(state, Context(PLAIN), np.array([[a]]), np.array([[reward]]))
    kernel = 4.0 * np.exp(-((places - places.T) ** 2) / 2)
    gain = kernel[:, arm] @ np.linalg.inv(kernel[np.ix_(arm, arm)] + noise**2 * np.eye(3))
    assert np.allclose(noise * state.posterior.mean[0, 0], gain @ y)
    assert np.allclose(noise**2 * state.posterior.inverse[0, 0], kernel - gain @ kernel[arm])


def test_the_posterior_of_clusters() -> None:
    bandit = ClusterTS(np.array([0, 0, 1]), between=1.0, within=0.5, noise_sd=2.0)
    arm, y = np.array([0, 0, 1, 2]), np.array([1.0, 3.0, -1.0, 2.0])
    state = bandit.init_state(BanditSpec(3))
    for a, reward in zip(arm, y, strict=True):
        state = bandit.update(state, Context(PLAIN), np.array([[a]]), np.array([[reward]]))
    # Means of clusters and rewards are jointly normal: cov(y_i, y_j) by what they share.
    cluster = np.array([0, 0, 1])[arm]
    cover = 1.0 * (cluster[:, None] == cluster) + 0.25 * (arm[:, None] == arm) + 4.0 * np.eye(4)
    to_cluster = (np.arange(2)[:, None] == cluster) * 1.0
    mean = to_cluster @ np.linalg.solve(cover, y)
    variance = 1 - np.diagonal(to_cluster @ np.linalg.solve(cover, to_cluster.T))
    found, sd = bandit.cluster_posterior(state)
    assert np.allclose(found[0], mean)
    assert np.allclose(sd[0] ** 2, variance)


def test_probabilities_of_a_tree_are_products_along_the_path() -> None:
    rng = np.random.default_rng(0)
    state = TreeTS(TAXONOMY).init_state(BanditSpec(5))
    for _ in range(15):
        action = TreeTS(TAXONOMY).choose(state, Context(PLAIN), rng)
        state = TreeTS(TAXONOMY).update(state, Context(PLAIN), action, rng.integers(0, 2, (1, 1)).astype(float))
    assert state.number[0, 7] == 15, "the root learns every round, once"
    assert state.number[0, 5] == state.number[0, :2].sum()
    claimed = TreeTS(TAXONOMY).probabilities(state, Context(PLAIN), rng)[0, 0]
    drawn = TreeTS(TAXONOMY).choose(state, Context(np.zeros((1, 60_000, 0))), rng)[0]
    assert np.abs(np.bincount(drawn, minlength=5) / 60_000 - claimed).max() < 0.01


def test_windows_and_discounts_forget_what_they_should() -> None:
    arm, x, y = rounds(60, 3, 4)
    sliding, discounted, plain = SlidingLinUCB(20), DiscountedLinUCB(0.9), SlidingWindowUCB(20)
    spec = BanditSpec(3, 4)
    states = [sliding.init_state(spec), discounted.init_state(spec)]
    window = plain.init_state(spec)
    for a, features, reward in zip(arm, x, y, strict=True):
        context = Context(features)
        states = [sliding.update(states[0], context, a, reward), discounted.update(states[1], context, a, reward)]
        window = plain.update(window, context, a, reward)
    flat_arm, flat_x, flat_y = arm.ravel(), x.reshape(-1, 4), y.ravel()
    fade = 0.9 ** np.arange(59, -1, -1)
    for a in range(3):
        last = np.flatnonzero(flat_arm == a)
        recent = last[last >= 40]
        assert np.allclose(states[0].gram[0, a], flat_x[recent].T @ flat_x[recent])
        assert np.allclose(states[0].pull[0, a], flat_x[recent].T @ flat_y[recent])
        assert np.allclose(states[1].gram[0, a], (flat_x[last].T * fade[last]) @ flat_x[last])
        assert np.allclose(states[1].square[0, a], (flat_x[last].T * fade[last] ** 2) @ flat_x[last])
        assert window.number[0, a] == recent.size
        assert window.total[0, a] == pytest.approx(flat_y[recent].sum())


def test_without_drift_a_time_varying_bandit_finds_the_regression() -> None:
    """Where the only drift rate is 0, the particle is ridge regression with an unknown noise."""
    rng = np.random.default_rng(0)
    truth, prior = np.array([0.4, -0.3]), DriftPrior(rates=(0.0,), weight_sd=0.5)
    bandit = TVUCB(prior)
    state = bandit.init_state(BanditSpec(1, 2))
    x = rng.standard_normal((400, 1, 1, 2))
    y = x @ truth + 0.3 * rng.standard_normal((400, 1, 1))
    for features, reward in zip(x, y, strict=True):
        state = bandit.update(state, Context(features), np.zeros((1, 1), np.int64), reward)
    flat, rewards = x.reshape(-1, 2), y.ravel()
    gram = flat.T @ flat + 4 * np.eye(2)
    ridge = np.linalg.solve(gram, flat.T @ rewards)
    assert np.allclose(state.mean[0, 0, 0], ridge, atol=1e-12)
    assert np.allclose(state.cover[0, 0, 0], np.linalg.inv(gram), atol=1e-12)
    rest = rewards @ rewards - ridge @ gram @ ridge
    assert state.scale[0, 0] == pytest.approx(prior.noise_scale + rest / 2)
    assert state.shape[0] == prior.noise_shape + 200


def test_a_time_varying_bandit_follows_weights_that_walk() -> None:
    rng = np.random.default_rng(1)
    walk = np.cumsum(0.05 * rng.standard_normal((1500, 2)), 0)
    x = rng.standard_normal((1500, 1, 1, 2))
    y = np.einsum("nijd,nd->nij", x, walk) + 0.2 * rng.standard_normal((1500, 1, 1))
    bandit, errors = TVUCB(), []
    state = bandit.init_state(BanditSpec(1, 2))
    steady = LinUCB().init_state(BanditSpec(1, 2))
    for step, (features, reward) in enumerate(zip(x, y, strict=True)):
        if step >= 300:
            weights = state.weights()[0] @ state.mean[0, 0]
            errors.append([np.abs(weights - walk[step]).mean(), np.abs(steady.mean[0, 0] - walk[step]).mean()])
        state = bandit.update(state, Context(features), np.zeros((1, 1), np.int64), reward)
        steady = learn(steady, np.zeros((1, 1), np.int64), features, reward)
    following, staying = np.mean(errors, 0)
    assert following < 0.5 * staying
    rates = np.array(bandit.prior.rates)
    assert state.weights()[0, rates == 0.0] < 1e-6, "a step of 0.05 over noise of 0.2 is a rate of 0.25"
    assert state.weights()[0].argmax() == rates.argmax()


def test_what_a_cascade_says() -> None:
    reward = np.array([[[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]], dtype=np.float64)
    seen = looked_at(reward)[0]
    assert seen.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
    bandit = TopKLinUCB(4)
    context = Context(np.zeros((1, 3, 0)), np.broadcast_to(np.eye(4), (1, 3, 4, 4)))
    state = bandit.update(bandit.init_state(BanditSpec(4, 0, 4)), context, np.tile(np.arange(4), (1, 3, 1)), reward)
    assert np.allclose(np.diagonal(state.inverse[0, 0]), 1 / (1 + np.array([3, 2, 1, 1])))


def test_the_probability_of_a_ranked_slate() -> None:
    bandit = RankedBandit(EXP3(0.3), 2)
    state = bandit.init_state(BanditSpec(3))
    for shown, reward in (([0, 1], [1.0, 0.0]), ([2, 0], [0.0, 1.0])):
        state = bandit.update(state, Context(PLAIN), np.array([[shown]]), np.array([[reward]]))
    drawn = bandit.choose(state, Context(np.zeros((1, 60_000, 0))), GENERATOR)[0]
    total = 0.0
    for first in range(3):
        for second in range(3):
            slate = np.array([[[first, second]]])
            claimed = float(bandit.probability(state, Context(PLAIN), slate, GENERATOR)[0, 0])
            if first != second:
                total += claimed
                assert (drawn == slate[0]).all(-1).mean() == pytest.approx(claimed, abs=0.01)
    assert total == pytest.approx(1)


def test_linucb_by_hand() -> None:
    state: Ridge = LinUCB(alpha=2.0).init_state(BanditSpec(2, 1))
    state = LinUCB(2.0).update(state, Context(np.array([[[1.0]]])), np.array([[0]]), np.array([[1.0]]))
    mean, variance = predict(state, np.array([[[3.0]]]))
    assert mean[0, 0].tolist() == [1.5, 0.0]
    assert variance[0, 0].tolist() == [4.5, 9.0]
    assert LinUCB(2.0).choose(state, Context(np.array([[[3.0]]])), GENERATOR)[0, 0] == 1
    assert LinUCB(0.5).choose(state, Context(np.array([[[3.0]]])), GENERATOR)[0, 0] == 0
