"""From logs of simulated users to estimates, against what the target policy earns there."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import MixturePolicy, RandomPolicy, ScoredPolicy
from recgym.agents.offline import BCConfig, OfflineAgent
from recgym.agents.recurrent import RecurrentPPO, RecurrentPPOConfig
from recgym.data.transitions import TransitionStore
from recgym.envs import Task, make_task
from recgym.evaluation import action_spec, record, rollout
from recgym.ope.base import value_of
from recgym.ope.dice import fitted_dice
from recgym.ope.fitted_q import fitted_q
from recgym.ope.importance import SNIPW
from recgym.ope.logged import by_episode, log_ratios, rounds_of, trajectories_of, with_behaviour
from recgym.ope.marginal import DICE
from recgym.ope.sequential import PDIS, WDR, WIS, TrajectoryDM

TASK = make_task("recgym/ShortVideo-v0", {"num_candidates": 4, "window": 5, "reward": None})


def _liking(task: Task, temperature: float) -> ScoredPolicy[Any]:
    feature = torch.as_tensor(task.model.item_features)[:, -1]
    feature = (feature - feature.mean()) / feature.std()
    return ScoredPolicy(action_spec(task), lambda seen: feature[seen["candidates"]], temperature)


TARGET, LOGGING = _liking(TASK, 1.0), _liking(TASK, 3.0)


@pytest.fixture(scope="module")
def log() -> TransitionStore:
    return record(LOGGING, TASK, 15_000, seed=1, max_steps=3)


@pytest.fixture(scope="module")
def truth() -> float:
    played = rollout(TARGET, TASK, users=4096, seeds=(5, 6), max_steps=3)
    return float(played.episodes.reward.mean())


def test_a_policy_is_as_likely_as_itself(log: TransitionStore) -> None:
    assert np.abs(log_ratios(log, LOGGING)).max() < 1e-5
    task = make_task("recgym/LongTermSatisfaction-v0", {})
    agent = RecurrentPPO(RecurrentPPOConfig(rollout_steps=5, hidden=(8,)), task, 16)
    remembering = agent.policy()
    store = record(remembering, task, 1, seed=2, max_steps=4)
    assert np.abs(log_ratios(store, remembering)).max() < 1e-4


def test_estimates_agree_with_what_the_policy_earns(log: TransitionStore, truth: float) -> None:
    model = fitted_q(log, TARGET, updates=400, seed=3)
    data = trajectories_of(log, TARGET, q=model.q, v=model.v)
    logged = (data.reward.sum(1)).mean()
    assert abs(logged - truth) > 0.05 * abs(truth)  # so that there is something to find
    spread = (data.weight * data.reward).sum(1).std() / data.n**0.5
    for estimator in (PDIS(), WIS(), WDR()):
        assert value_of(estimator.fractions(data))[0] == pytest.approx(truth, abs=5 * spread), estimator.name
    assert value_of(TrajectoryDM().fractions(data))[0] == pytest.approx(truth, abs=0.3 * abs(truth))
    corrected = (data.weight * (data.reward - data.q)).sum(1)
    assert corrected.std() < (data.weight * data.reward).sum(1).std()  # the model knows something


def test_a_cloned_policy_stands_for_the_logging_one(log: TransitionStore, truth: float) -> None:
    columns = {**log.columns, "log_propensity": np.full_like(log.columns["log_propensity"], np.nan)}
    bare = dataclasses.replace(log, columns=columns)
    train, test = bare.split(0.5, seed=0)
    cloned = OfflineAgent.of(BCConfig(), train).fit(train, 300).policy()
    found = log_ratios(with_behaviour(test, cloned), TARGET)
    true = log_ratios(dataclasses.replace(log, episodes=test.episodes), TARGET)
    assert np.corrcoef(found, true)[0, 1] > 0.85
    value = value_of(PDIS().fractions(trajectories_of(with_behaviour(test, cloned), TARGET)))[0]
    assert value == pytest.approx(truth, rel=0.25)


def test_rounds_know_the_chance_of_every_candidate(log: TransitionStore) -> None:
    rounds = rounds_of(log, TARGET)
    first = log.steps[:5]
    seen = log.observations(first)
    expected = torch.softmax(TARGET.score(seen) / TARGET.temperature, 1)
    np.testing.assert_allclose(rounds.target[:5], expected, rtol=1e-4)
    assert rounds.weight.mean() == pytest.approx(1.0, abs=0.05)
    certain = rounds_of(log, TARGET, greedy=True)
    assert set(np.unique(certain.target)) == {0.0, 1.0}
    assert value_of(SNIPW().fractions(certain))[0] > 0


def test_weights_of_visits_find_the_value_without_propensities(log: TransitionStore, truth: float) -> None:
    columns = {**log.columns, "log_propensity": np.full_like(log.columns["log_propensity"], np.nan)}
    bare = dataclasses.replace(log, columns=columns)
    weight = fitted_dice(bare, TARGET, updates=500, seed=1)
    data = trajectories_of(log, TARGET)
    logged = data.reward.sum(1).mean()
    found = value_of(DICE(by_episode(log, weight)).fractions(data))[0]
    assert abs(found - truth) < 0.4 * abs(logged - truth)
    assert np.corrcoef(weight, np.exp(log_ratios(log, TARGET)))[0, 1] > 0.5
    same = fitted_dice(bare, TARGET, updates=2, seed=1)
    assert np.array_equal(same, fitted_dice(bare, TARGET, updates=2, seed=1))
    exact = np.cumprod(data.ratio, 1)  # the weights of histories are one exact solution
    assert value_of(DICE(exact).fractions(data))[0] == pytest.approx(truth, abs=0.1 * abs(truth))


def test_what_cannot_be_evaluated_is_told(log: TransitionStore) -> None:
    slates = make_task("recgym/ShortVideo-v0", {"slate_size": 2, "num_candidates": 4})
    store = record(RandomPolicy(action_spec(slates)), slates, 1, max_steps=1)
    with pytest.raises(ValueError, match="rounds need actions of one item, found slates of 2"):
        rounds_of(store, RandomPolicy(action_spec(slates)))
    columns = {**log.columns, "log_propensity": np.full_like(log.columns["log_propensity"], np.nan)}
    with pytest.raises(ValueError, match=r"steps have no propensity"):
        trajectories_of(dataclasses.replace(log, columns=columns), TARGET)
    with pytest.raises(ValueError, match="cannot tell how likely an action is"):
        log_ratios(log, MixturePolicy((TARGET, LOGGING), (0.5, 0.5)))
    with pytest.raises(ValueError, match="cross-fitting needs 2 folds or more"):
        fitted_q(log, TARGET, folds=1)
    with pytest.raises(ValueError, match="at least 1 update and 1 draw are needed, found 0 and 4"):
        fitted_q(log, TARGET, updates=0)
    with pytest.raises(ValueError, match="at least 2 updates are needed, found 1"):
        fitted_dice(log, TARGET, updates=1)
    assert np.isfinite(fitted_q(log, TARGET, updates=1).loss)
