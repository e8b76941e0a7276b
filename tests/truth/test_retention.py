"""Retention against closed forms: the gap to the next session, what it is worth, and what drives it."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recgym.agents import Policy, RandomPolicy, ScoredPolicy
from recgym.arrays import take_rows, to_numpy, zeros
from recgym.envs import RetentionLimits, Simulation
from recgym.envs.levels import DAY_S
from recgym.envs.retention import task
from recgym.evaluation import rollout
from recgym.evaluation.baselines import action_spec
from recgym.seeding import make_generator
from recgym.simulators import Retention, RetentionConfig
from recgym.simulators.retention import RetentionState


def in_mood(model: Retention, n: int, satisfaction: float, habit: float, device: str) -> RetentionState:
    """As many users as wanted, all alike."""
    one = model.sample_users(1, make_generator(0, "users", device=device))
    one = one._replace(satisfaction=one.satisfaction * 0 + satisfaction, habit=one.habit * 0 + habit)
    return take_rows(one, zeros((n,), "int64", device))


def rate(satisfaction: float, habit: float) -> float:
    return 0.4 * math.exp(2.5 * satisfaction + 1.5 * habit)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("mood", [(0.0, 0.0), (0.6, 0.4), (-0.5, 0.1)])
def test_gaps_are_exponential(mood: tuple[float, float], device: str) -> None:
    model, n = Retention(device=device), 20_000
    state = in_mood(model, n, *mood, device)
    np.testing.assert_allclose(to_numpy(model.return_rate(state)), rate(*mood), rtol=1e-5)
    days = to_numpy(model.return_gap(state, make_generator(1, "gaps", device=device))) / DAY_S
    assert stats.kstest(days, stats.expon(scale=1 / rate(*mood)).cdf).pvalue > 1e-4
    assert stats.kstest(days, stats.expon(scale=1 / rate(mood[0] + 0.05, mood[1])).cdf).pvalue < 1e-4


def test_the_reward_of_a_session_in_closed_form() -> None:
    """Users who all end their session now: E[min(gap, 30 days)] = (1 - exp(-30 rate)) / rate; the gone as stated."""
    mood, users = (-0.9, 0.0), 20_000
    world = task(config=RetentionConfig(leave=1.0, satisfaction_rate=0.0))
    simulation = Simulation(world, users, device="numpy", seed=0)
    simulation.reset()
    model = simulation.model
    assert isinstance(model, Retention)
    simulation.users = in_mood(model, users, *mood, "numpy")
    transition = simulation.step(np.zeros(users, dtype=np.int64))
    daily = rate(*mood)
    expected = (1 - math.exp(-30 * daily)) / daily
    error = transition.reward.std() / math.sqrt(users)
    assert abs(-float(transition.reward.mean()) - expected) < 4 * error
    assert abs(1 / daily - expected) > 20 * error, "leaving out the cut at 30 days would be noticed"
    gone = int(transition.terminated.sum())
    assert stats.binomtest(gone, users, math.exp(-30 * daily)).pvalue > 1e-4


def test_sessions_have_geometric_lengths_whatever_is_shown() -> None:
    for action in (0, 3):
        simulation = Simulation(task(level="session"), 4000, device="numpy", seed=action)
        simulation.reset()
        length, alive = np.zeros(4000, dtype=np.int64), np.ones(4000, dtype=bool)
        while alive.any():
            length += alive
            alive &= ~simulation.step(np.full(4000, action)).terminated
        counts = np.bincount(np.minimum(length, 30), minlength=31)[1:]
        chances = np.append(stats.geom(0.125).pmf(np.arange(1, 30)), stats.geom(0.125).sf(29))
        assert stats.chisquare(counts, chances * 4000).pvalue > 1e-4


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_coming_back_makes_a_habit(device: str) -> None:
    model = Retention(device=device)
    state = in_mood(model, 5, 0.5, 0.2, device)
    gap = zeros((5,), "float64", device) + 7 * DAY_S
    back = model.come_back(state, gap, make_generator(0, "return", device=device))
    np.testing.assert_allclose(to_numpy(back.habit), (0.2 + 0.15 * 0.8) / math.e, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(back.satisfaction), 0.5 * math.exp(-0.5), rtol=1e-5)


def test_satisfaction_in_plain_numbers() -> None:
    model = Retention(device="numpy")
    generator, rng = make_generator(0, "users", device="numpy"), np.random.default_rng(0)
    state = model.sample_users(30, generator)
    slate = np.stack([rng.permutation(200)[:3] for _ in range(30)])
    response = model.respond(state, slate, generator)
    after = model.advance(state, slate, response, generator).satisfaction
    glitter = model.item_features[:, -1]
    for user in range(30):
        worth = []
        for position, item in enumerate(slate[user]):
            quality = float(model._merit[item] + glitter[item])
            liking = float(state.taste[user, model.topic[item]]) + quality - float(glitter[item])
            worth.append(math.tanh(liking) if response.feedback[user, position, 0] else -0.2)
        assert after[user] == pytest.approx(0.1 * np.mean(worth), rel=1e-4, abs=1e-6)


def by_score(*, worth: bool) -> Any:
    """A policy that knows the users: it shows what is clicked most, or what satisfies most."""

    def maker(simulation: Simulation) -> Policy[Any]:
        model = simulation.model
        assert isinstance(model, Retention)

        def score(observation: dict[str, np.ndarray]) -> np.ndarray:
            items = observation["candidates"]
            liking = np.take_along_axis(simulation.users.taste, model.topic[items], 1)
            click = 1 / (1 + np.exp(-(liking + model._appeal[items])))
            satisfies = click * np.tanh(liking + model._merit[items]) - (1 - click) * model.config.boredom
            return np.asarray(satisfies if worth else click)

        return ScoredPolicy(action_spec(simulation.task), score)

    return maker


def test_clicks_do_not_bring_users_back() -> None:
    world = task(retention=RetentionLimits(max_sessions=10))
    policies = {
        "clicks": by_score(worth=False), "worth": by_score(worth=True), "random": RandomPolicy(action_spec(world)),
    }  # fmt: skip
    played = {n: rollout(p, world, users=300, seeds=(0,), device="numpy").episodes for n, p in policies.items()}
    away = {name: -episodes.reward.mean() for name, episodes in played.items()}
    clicks = {name: episodes.feedback.sum() / episodes.length.sum() for name, episodes in played.items()}
    assert away["worth"] < 0.5 * away["random"]
    assert clicks["clicks"] > 1.2 * clicks["worth"] > 1.2 * clicks["random"]
    assert away["clicks"] > away["random"]
    harmless = task(retention=RetentionLimits(max_sessions=10), config=RetentionConfig(glitter_regret=0.0))
    control = rollout(by_score(worth=False), harmless, users=300, seeds=(0,), device="numpy").episodes
    assert -control.reward.mean() < 0.7 * away["random"], "where glitter costs nothing, clicks are as good a guide"


def test_a_probability_of_leaving_is_needed() -> None:
    with pytest.raises(ValueError, match=r"leave must be a probability above 0, found 0\.0"):
        Retention(RetentionConfig(leave=0.0))
