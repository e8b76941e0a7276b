"""Estimators for episodes on a tabular world whose values are known exactly."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from recgym.ope.base import Estimator, Trajectories, value_of
from recgym.ope.distributional import ReturnDistribution, return_distribution
from recgym.ope.intervals import Bootstrap, IntervalMethod, StudentT
from recgym.ope.magic import MAGIC, step_estimates
from recgym.ope.marginal import DRL, MIS, minimax_weights, state_ratios, weighted_value
from recgym.ope.sequential import NCIS, PDIS, SNPDIS, TIS, WDR, WIS, TrajectoryDM, TrajectoryDR

STATES, ACTIONS, HORIZON, GAMMA = 4, 3, 5, 0.9
LOGS, EPISODES = 1000, 400


class World(NamedTuple):
    """Transitions ``[S, A, S + 1]`` (the last state is the end), rewards ``[S, A]``, first states, both policies."""

    step: np.ndarray
    reward: np.ndarray
    first: np.ndarray
    target: np.ndarray
    logging: np.ndarray


def _world() -> World:
    rng = np.random.default_rng(0)
    step = rng.dirichlet(np.ones(STATES + 1) * 0.7, (STATES, ACTIONS))
    target = rng.dirichlet(np.ones(ACTIONS), STATES)
    logging = 0.5 * target + 0.5 * rng.dirichlet(np.ones(ACTIONS) * 2, STATES)
    return World(step, rng.normal(1, 1, (STATES, ACTIONS)), rng.dirichlet(np.ones(STATES)), target, logging)


WORLD = _world()


def _values(world: World) -> tuple[np.ndarray, np.ndarray]:
    """``Q_t(s, a)``, ``[T, S, A]``, and ``V_t(s)``, ``[T + 1, S + 1]``, of the target policy by dynamic programming."""
    q, v = np.zeros((HORIZON, STATES, ACTIONS)), np.zeros((HORIZON + 1, STATES + 1))
    for t in reversed(range(HORIZON)):
        q[t] = world.reward + GAMMA * world.step @ v[t + 1]
        v[t, :STATES] = (world.target * q[t]).sum(1)
    return q, v


Q, V = _values(WORLD)
TRUTH = float(WORLD.first @ V[0, :STATES])


class Log(NamedTuple):
    data: Trajectories
    state: np.ndarray
    action: np.ndarray


def _draw(rng: np.random.Generator, probability: np.ndarray) -> np.ndarray:
    drawn: np.ndarray = (rng.random((*probability.shape[:-1], 1)) > probability.cumsum(-1)[..., :-1]).sum(-1)
    return drawn


def _log(seed: int, episodes: int = EPISODES, error: float = 0.0, policy: np.ndarray | None = None) -> Log:
    """Episodes of the logging policy; the model of values is the truth plus an error of its own for each cell."""
    world, rng = WORLD, np.random.default_rng([1, seed])
    policy = world.logging if policy is None else policy
    state, action = np.full((episodes, HORIZON), STATES), np.zeros((episodes, HORIZON), np.int64)
    reward = np.zeros((episodes, HORIZON))
    now = _draw(rng, np.tile(world.first, (episodes, 1)))
    for t in range(HORIZON):
        alive = now < STATES
        state[:, t] = now
        at = np.where(alive, now, 0)
        action[:, t] = np.where(alive, _draw(rng, policy[at]), 0)
        reward[:, t] = np.where(alive, world.reward[at, action[:, t]] + rng.normal(0, 0.5, episodes), 0.0)
        now = np.where(alive, _draw(rng, world.step[at, action[:, t]]), STATES)
    mask = state < STATES
    at = np.where(mask, state, 0)
    ratio = np.where(mask, world.target[at, action] / policy[at, action], 1.0)
    wrong = error * np.random.default_rng(9).normal(size=(HORIZON, STATES, ACTIONS))
    q_all = Q + wrong
    steps = np.arange(HORIZON)
    q = np.where(mask, q_all[steps, at, action], 0.0)
    v = np.where(mask, (world.target[at] * q_all[steps, at]).sum(-1), 0.0)
    return Log(Trajectories(reward, ratio, mask, GAMMA, q, v), state, action)


@pytest.fixture(scope="module")
def estimates() -> dict[str, np.ndarray]:
    """Every estimator on 1,000 logs, with a model of values that is somewhat wrong."""
    plain: tuple[Estimator[Trajectories], ...] = (
        TIS(), WIS(), PDIS(), SNPDIS(), NCIS(5.0), TrajectoryDR(), WDR(), MAGIC(), TrajectoryDM(),
    )  # fmt: skip
    found: dict[str, list[float]] = {}
    for seed in range(LOGS):
        log = _log(seed, error=0.3)
        for estimator in plain:
            found.setdefault(estimator.name, []).append(float(value_of(estimator.fractions(log.data))[0]))
        marginal = state_ratios(log.state, log.data)
        crossed = state_ratios(log.state, log.data, 2, np.random.default_rng(seed))
        found.setdefault("MIS", []).append(float(value_of(MIS(marginal).fractions(log.data))[0]))
        found.setdefault("DRL", []).append(float(value_of(DRL(crossed).fractions(log.data))[0]))
        good = _log(seed).data
        found.setdefault("DR, good model", []).append(float(value_of(TrajectoryDR().fractions(good))[0]))
        planted = Trajectories(
            log.data.reward, log.data.ratio * np.where(log.data.mask, 1.01, 1.0), log.data.mask, GAMMA
        )
        found.setdefault("planted", []).append(float(value_of(PDIS().fractions(planted))[0]))
    return {name: np.array(values) for name, values in found.items()}


UNBIASED = ("TIS", "PDIS", "DR", "DR, good model")


def test_the_unbiased_ones_are(estimates: dict[str, np.ndarray]) -> None:
    edge = stats.norm.ppf(1 - 0.005 / len(UNBIASED))
    for name in UNBIASED:
        error = estimates[name].std(ddof=1) / LOGS**0.5
        assert error < 0.01 * abs(TRUTH), name
        assert abs(estimates[name].mean() - TRUTH) < edge * error, name


def test_a_planted_bias_is_detected(estimates: dict[str, np.ndarray]) -> None:
    """Ratios 1 % too large: 2 to 3 % of the value."""
    error = estimates["planted"].std(ddof=1) / LOGS**0.5
    assert (estimates["planted"].mean() - TRUTH) / error > 5


def test_the_others_are_nearly_unbiased(estimates: dict[str, np.ndarray]) -> None:
    for name in ("WIS", "SNPDIS", "WDR", "MAGIC", "MIS", "DRL"):
        assert abs(estimates[name].mean() - TRUTH) < 0.02 * abs(TRUTH), name
    assert abs(estimates["DM"].mean() - TRUTH) > 0.01 * abs(TRUTH)  # the model is wrong, and nothing corrects it


def test_what_lowers_the_variance_does(estimates: dict[str, np.ndarray]) -> None:
    spread = {name: values.std() for name, values in estimates.items()}
    assert spread["PDIS"] < spread["TIS"]
    assert spread["WIS"] < spread["TIS"]
    assert spread["DR, good model"] < 0.8 * spread["PDIS"]
    assert spread["MIS"] < spread["PDIS"]
    assert spread["DRL"] < 1.05 * spread["DR"]


def test_on_policy_all_are_the_mean_return() -> None:
    log = _log(3, policy=WORLD.target)
    assert np.all(log.data.ratio == 1)
    mean = (log.data.reward @ log.data.discount).mean()
    for estimator in (TIS(), WIS(), PDIS(), SNPDIS(), NCIS(1.0), MIS(state_ratios(log.state, log.data))):
        assert value_of(estimator.fractions(log.data))[0] == pytest.approx(mean), estimator.name


def test_normalised_estimates_stay_within_the_rewards() -> None:
    for seed in range(50):
        data = _log(seed, episodes=20).data
        returns = data.reward @ data.discount
        assert returns.min() - 1e-12 <= value_of(WIS().fractions(data))[0] <= returns.max() + 1e-12
        low, high = ((side * data.discount).sum() for side in (data.reward.min(0), data.reward.max(0)))
        for estimator in (SNPDIS(), NCIS(2.0)):
            assert low - 1e-12 <= value_of(estimator.fractions(data))[0] <= high + 1e-12


def test_magic_blends_its_step_estimates() -> None:
    for seed in range(100):
        data = _log(seed, episodes=40, error=0.5).data
        parts = step_estimates(data, np.arange(HORIZON + 1)).mean(0)
        assert parts[0] == pytest.approx(value_of(TrajectoryDM().fractions(data))[0])
        assert parts[-1] == pytest.approx(value_of(WDR().fractions(data))[0])
        value = value_of(MAGIC().fractions(data))[0]
        assert parts.min() - 1e-9 <= value <= parts.max() + 1e-9
        once = MAGIC().rerun(data, np.ones((1, data.n)))
        assert once[0] == pytest.approx(value)


def test_ratios_of_states_are_those_of_the_policies() -> None:
    log = _log(0, episodes=100_000)
    ratios = state_ratios(log.state, log.data)
    reach = {name: WORLD.first for name in ("target", "logging")}
    for t in range(HORIZON):
        for state in range(STATES):
            here = log.state[:, t] == state
            assert ratios[here, t].mean() == pytest.approx(reach["target"][state] / reach["logging"][state], rel=0.08)
        policies = {"target": WORLD.target, "logging": WORLD.logging}
        reach = {name: np.einsum("s,sa,sax->x", reach[name], policies[name], WORLD.step)[:STATES] for name in reach}


def test_occupancy_weights_give_the_value() -> None:
    """With a feature for every cell and step, they are exact but for the noise of the log."""
    log = _log(1, episodes=50_000)
    cells = HORIZON * STATES * ACTIONS
    at = np.where(log.data.mask, log.state, 0)
    index = (np.arange(HORIZON) * STATES + at) * ACTIONS + log.action
    features = np.eye(cells)[index[log.data.mask]]
    following = np.zeros((*log.data.mask.shape, cells))
    for t in range(HORIZON - 1):
        alive = log.data.mask[:, t + 1]
        for action in range(ACTIONS):
            cell = ((t + 1) * STATES + at[:, t + 1]) * ACTIONS + action
            following[alive, t, cell[alive]] = WORLD.target[at[alive, t + 1], action]
    first = np.zeros((len(at), cells))
    for action in range(ACTIONS):
        first[np.arange(len(at)), at[:, 0] * ACTIONS + action] = WORLD.target[at[:, 0], action]
    weight = minimax_weights(features, following[log.data.mask], first, GAMMA)
    value = weighted_value(weight, log.data.reward[log.data.mask])
    assert value == pytest.approx(TRUTH, rel=0.03)
    # Their mean is how long an episode lasts under the target policy; rewards of a step are shared by its episode.
    occupancy = sum(GAMMA**t * (_reach(t)).sum() for t in range(HORIZON))
    assert weight.mean() == pytest.approx(occupancy, rel=0.05)


def _reach(t: int) -> np.ndarray:
    """How likely the target policy is in each state at step t."""
    reach = WORLD.first
    for _ in range(t):
        reach = np.einsum("s,sa,sax->x", reach, WORLD.target, WORLD.step)[:STATES]
    return reach


def test_distributions_of_returns() -> None:
    log, mine = _log(2, episodes=100_000).data, _log(4, episodes=100_000, policy=WORLD.target).data
    found = return_distribution(log)
    true = np.sort(mine.reward @ mine.discount)
    assert found.mean == pytest.approx(value_of(WIS().fractions(log))[0])
    assert found.mean == pytest.approx(true.mean(), rel=0.03)
    assert found.variance == pytest.approx(true.var(), rel=0.06)
    grid = np.quantile(true, [0.1, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(found.cdf(grid), [0.1, 0.3, 0.5, 0.9], atol=0.02)
    np.testing.assert_allclose(return_distribution(log, normalised=False).cdf(grid), [0.1, 0.3, 0.5, 0.9], atol=0.02)
    assert found.quantile(0.3) == pytest.approx(grid[1], abs=0.05)
    assert found.cvar(0.1) == pytest.approx(true[: len(true) // 10].mean(), abs=0.08)


@pytest.mark.parametrize("method", [StudentT(), Bootstrap(resamples=400)], ids=["t", "bootstrap"])
def test_intervals_cover_the_value_as_often_as_they_say(method: IntervalMethod) -> None:
    estimators = (PDIS(), TrajectoryDR()) if isinstance(method, StudentT) else (PDIS(), TrajectoryDR(), SNPDIS(), WDR())
    inside = np.zeros((LOGS, len(estimators)))
    for seed in range(LOGS):
        data = _log(seed, error=0.3).data
        assert np.unique(data.weight[:, -1]).size > 1
        found = method.intervals(estimators, data, np.random.default_rng([2, seed]))
        inside[seed] = [each.low <= TRUTH <= each.high for each in found]
    error = 2 * (0.95 * 0.05 / LOGS) ** 0.5
    assert (inside.mean(0) > 0.93 - error).all()
    assert (inside.mean(0) < 0.97 + error).all()


def test_risk_by_hand() -> None:
    made = ReturnDistribution(np.array([1.0, 2.0, 4.0]), np.array([0.25, 0.5, 1.0]))
    assert (made.mean, made.quantile(0.25), made.quantile(0.26)) == (2.75, 1.0, 2.0)
    assert made.cvar(0.5) == pytest.approx(1.5)
    assert made.cvar(0.4) == pytest.approx((0.25 * 1 + 0.15 * 2) / 0.4)
    assert made.cvar(1.0) == pytest.approx(made.mean)


def test_what_is_wrong_is_told() -> None:
    data = _log(0, episodes=5).data
    bare = Trajectories(data.reward, data.ratio, data.mask)
    with pytest.raises(ValueError, match="the estimator needs 'q', which the data do not have"):
        TrajectoryDR().fractions(bare)
    holes = data.mask.copy()
    holes[0] = [True, False, True, False, False]
    with pytest.raises(ValueError, match="must begin with a step and have no holes"):
        Trajectories(data.reward, data.ratio, holes)
    with pytest.raises(ValueError, match="ratio must not be negative"):
        Trajectories(data.reward, np.where(data.mask, -1.0, 1.0), data.mask)
    with pytest.raises(ValueError, match="cap must be positive"):
        NCIS(0)
    with pytest.raises(ValueError, match="folds need a generator"):
        state_ratios(np.zeros((5, HORIZON), np.int64), data, folds=2)
