"""Bandits that serve environments, and replay of logs."""

from typing import Any

import numpy as np
import pytest

from recgym.agents.bandits import (
    BanditPolicy,
    BernoulliTS,
    CascadeUCB,
    EpsilonGreedy,
    LinTS,
    LinUCB,
    SharedLinUCB,
    replay,
)
from recgym.agents.base import ActionSpec
from recgym.data.replay import ReplayRounds
from recgym.envs import Simulation
from recgym.envs.bandit_cascade import task as cascade
from recgym.envs.bandit_contextual import task as contextual
from recgym.envs.interest_exploration import task as interest_exploration
from recgym.evaluation import rollout
from recgym.seeding import make_generator
from recgym.simulators import InterestExplorationConfig
from recgym.testing import check_agent

CLICKS = {"click": 1.0}


def clicks(policy: Any, task: Any, rows: int, steps: int, device: str = "numpy") -> np.ndarray:
    """Rewards, one row a step."""
    simulation = Simulation(task, rows, device=device, seed=1)
    simulation.reset()
    generator, state, rewards = make_generator(0, "policy", device=device), policy.init_state(rows, device), []
    for _ in range(steps):
        decision, state = policy.act(simulation.observation(), state, generator)
        rewards.append(np.asarray(simulation.step(decision.action).reward))
    return np.stack(rewards)


@pytest.mark.parametrize("apart", [False, True])
def test_a_policy_learns_as_it_serves(apart: bool) -> None:
    task = contextual(arms=4, width=3, seed=0)
    rewards = clicks(BanditPolicy(LinUCB(0.5), task, CLICKS, apart=apart), task, 20, 200)
    assert rewards[0].mean() < 0.7
    assert rewards[-100:].mean() > 0.75, "one who knows the weights gets about 0.82"


def test_learners_apart_do_not_teach_each_other() -> None:
    task = contextual(arms=4, width=3, seed=0)
    together = clicks(BanditPolicy(LinUCB(0.5), task, CLICKS), task, 50, 12)
    apart = clicks(BanditPolicy(LinUCB(0.5), task, CLICKS, apart=True), task, 50, 12)
    assert together[6:].mean() > apart[6:].mean() + 0.05


def test_what_the_policy_learns_is_what_users_answered() -> None:
    task = contextual(arms=4, width=3, seed=0)
    policy = BanditPolicy(EpsilonGreedy(0.5), task, CLICKS)
    rewards = clicks(policy, task, 30, 21, "cpu")
    assert policy.learned.number.sum() == 30 * 20, "all steps but the last"
    assert policy.learned.total.sum() == pytest.approx(rewards[:-1].sum())


def test_candidates_and_slates() -> None:
    task = interest_exploration(6, 1, config=InterestExplorationConfig(num_documents=30))
    rewards = clicks(BanditPolicy(SharedLinUCB(), task, CLICKS), task, 20, 20)
    assert np.isfinite(rewards).all()
    lists = cascade(arms=10, slate_size=3)
    rewards = clicks(BanditPolicy(CascadeUCB(3, alpha=0.3), lists, CLICKS, apart=True), lists, 100, 200)
    assert rewards[-100:].mean() > rewards[:50].mean() + 0.05


@pytest.mark.parametrize("bandit", [EpsilonGreedy(0.3), LinTS()])
def test_the_contract_of_policies(bandit: Any) -> None:
    task = contextual(arms=4, width=3)
    simulation = Simulation(task, 5, device="numpy", seed=0)
    simulation.reset()
    check_agent(BanditPolicy(bandit, task, CLICKS), ActionSpec(4, 1, 4), simulation.observation())


def test_rollouts_of_a_bandit_have_propensities() -> None:
    task = contextual(arms=4, width=3, seed=0)
    log = rollout(BanditPolicy(BernoulliTS(), task, CLICKS), task, users=20, seeds=(0,), max_steps=30, record=True)
    propensity = log.to_log().frame["propensity"]
    assert propensity.is_between(0, 1, closed="right").all()
    assert propensity.n_unique() > 20


def test_without_propensities_the_first_choices_are_the_same_and_nobody_knows_how_likely_they_were() -> None:
    task = contextual(arms=4, width=3, seed=0)
    simulation = Simulation(task, 20, device="numpy", seed=1)
    simulation.reset()
    found = []
    for propensities in (True, False):
        policy = BanditPolicy(BernoulliTS(), task, CLICKS, propensities=propensities)
        generator = make_generator(0, "policy", device="numpy")
        found.append(policy.act(simulation.observation(), policy.init_state(20, "numpy"), generator)[0])
    assert np.array_equal(found[0].action, found[1].action)
    assert np.isfinite(found[0].log_propensity).all()
    assert np.isnan(found[1].log_propensity).all()
    slates = cascade(arms=6, slate_size=2)
    policy = BanditPolicy(CascadeUCB(2), slates, CLICKS, propensities=False)
    played = rollout(policy, slates, users=3, seeds=(0,), max_steps=4)
    assert np.isfinite(played.episodes.reward).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="the bandit chooses slates of 2 items"):
        BanditPolicy(CascadeUCB(2), contextual(), CLICKS)
    with pytest.raises(ValueError, match="there is no feedback channel 'like'"):
        BanditPolicy(LinUCB(), contextual(), {"like": 1.0})


def logged(n: int, seed: int, arms: int = 3) -> ReplayRounds:
    """Uniform draws; item a is clicked with probability 0.2 + 0.3 a."""
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, arms, (n, 1))
    reward = (rng.random((n, 1)) < 0.2 + 0.3 * shown).astype(np.float32)
    return ReplayRounds(np.ones((n, 1), np.float32), shown, reward, np.full(n, 1 / arms), None, arms)


def test_replay_estimates_what_a_bandit_would_earn() -> None:
    rng = np.random.default_rng(0)
    values = [replay(EpsilonGreedy(1.0), logged(300, seed), rng).value[0] for seed in range(20)]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / 20**0.5)
    learned = replay(BernoulliTS(), logged(1500, 0), rng, replications=10)
    assert learned.uniform
    assert learned.matched == pytest.approx(500, rel=0.2)
    assert learned.value.mean() > 0.7


def test_the_bootstrapped_form_lives_through_as_many_rounds_as_the_log_has() -> None:
    found = replay(BernoulliTS(), logged(500, 0), np.random.default_rng(0), 20, bootstrap=1500, jitter=0.1)
    assert found.matched.mean() == pytest.approx(500, rel=0.2)
    assert found.value.std() > 0


def test_weights_undo_propensities_that_differ() -> None:
    rng = np.random.default_rng(0)
    n, chance = 6000, np.array([0.6, 0.3, 0.1])
    shown = rng.choice(3, (n, 1), p=chance)
    reward = (rng.random((n, 1)) < 0.2 + 0.3 * shown).astype(np.float32)
    rounds = ReplayRounds(np.ones((n, 1), np.float32), shown, reward, chance[shown[:, 0]], None, 3)
    found = replay(EpsilonGreedy(1.0), rounds, rng)
    assert not found.uniform
    assert found.value[0] == pytest.approx(0.5, abs=0.05)
    unweighted = ReplayRounds(rounds.context, shown, reward, None, None, 3)
    assert replay(EpsilonGreedy(1.0), unweighted, rng).value[0] < 0.4
