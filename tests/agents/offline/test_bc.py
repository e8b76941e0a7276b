"""Behaviour cloning, and what all agents that learn from logs share."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.agents import PPOConfig, SB3Agent
from recgym.agents.loading import load_policy
from recgym.agents.offline import BCConfig, OfflineAgent, check_served, load_offline, problem_of
from recgym.agents.offline.returns import episode_returns
from recgym.envs import make_task
from recgym.evaluation import action_spec
from recgym.testing import check_agent
from tests.agents.offline.cases import TASKS, log_of, task_of


@pytest.mark.parametrize("kind", TASKS)
def test_it_recovers_the_policy_that_wrote_the_log(kind: str) -> None:
    store = log_of(kind)
    train, test = store.split(0.3, seed=0)
    agent = OfflineAgent.of(BCConfig(), store).fit(train, 400)
    points = test.steps
    true = torch.as_tensor(test.columns["log_propensity"][points])
    with torch.no_grad():
        learned = agent.learner.module(test.observations(points)).log_prob(test.actions(points))
    spec = action_spec(task_of(kind))
    uniform = -sum(np.log(spec.num_candidates - k) for k in range(spec.slate_size))
    # The mean of true - learned is a divergence: 0 for the policy itself, far above for one that knows nothing.
    assert -0.02 < float((true - learned).mean()) < 0.12 * float((true - uniform).mean())


@pytest.mark.parametrize("kind", TASKS)
def test_the_policy_keeps_the_contract(kind: str) -> None:
    store = log_of(kind)
    agent = OfflineAgent.of(BCConfig(), store).fit(store, 20)
    check_agent(agent.policy(), action_spec(task_of(kind)), store.observations(store.steps[:3]))


def test_the_best_episodes_are_imitated() -> None:
    store = log_of("items")
    returns = episode_returns(store)
    agent = OfflineAgent.of(BCConfig(best=0.1), store)
    best = agent.learner._imitated(store)  # type: ignore[attr-defined]
    assert len(best.episodes) == round(0.1 * len(store.episodes))
    assert episode_returns(best).min() >= np.sort(returns)[::-1][len(best.episodes) - 1] - 1e-6
    total = store.columns["reward"][store.steps].sum(dtype=np.float64)
    assert returns.sum() == pytest.approx(total, rel=1e-6)


def test_an_interrupted_agent_learns_the_same(tmp_path: Path) -> None:
    store = log_of("items")
    whole = OfflineAgent.of(BCConfig(), store, seed=3).fit(store, 30, stretch=10)
    OfflineAgent.of(BCConfig(), store, seed=3).fit(store, 20, stretch=10, folder=tmp_path)
    resumed = load_offline(tmp_path).fit(store, 30, stretch=10)
    assert resumed.losses == whole.losses
    for name, value in whole.learner.module.state_dict().items():
        assert torch.equal(value, resumed.learner.module.state_dict()[name]), name


def test_a_policy_is_served_from_its_folder_alone(tmp_path: Path) -> None:
    store = log_of("slates")
    agent = OfflineAgent.of(BCConfig(), store).fit(store, 20, folder=str(tmp_path))
    seen = store.observations(store.steps[:8])
    one = agent.policy().act(seen, agent.policy().init_state(8, "cpu"), torch.Generator().manual_seed(0))[0]
    policy = load_policy(str(tmp_path))
    other = policy.act(seen, policy.init_state(8, "cpu"), torch.Generator().manual_seed(0))[0]
    assert torch.equal(one.action, other.action)
    assert torch.equal(one.log_propensity, other.log_propensity)


def test_what_learned_online_is_told_apart(tmp_path: Path) -> None:
    SB3Agent(PPOConfig(n_steps=8), make_task("recgym/ShortVideo-v0", {}), num_envs=8).save(str(tmp_path / "ppo"))
    with pytest.raises(ValueError, match=r"a checkpoint of 'ppo', expected an agent that learned.*load_agent"):
        load_policy(tmp_path / "ppo")


def test_later_learning_does_not_change_a_policy() -> None:
    store = log_of("items")
    agent = OfflineAgent.of(BCConfig(), store).fit(store, 5)
    policy = agent.policy()
    before = copy.deepcopy(policy.network.state_dict())  # type: ignore[attr-defined]
    agent.fit(store, 10)
    for name, value in before.items():
        assert torch.equal(value, policy.network.state_dict()[name])  # type: ignore[attr-defined]


def test_it_serves_its_own_task_only() -> None:
    problem = problem_of(task_of("items"))
    check_served(problem, make_task("recgym/ShortVideo-v0", {"num_candidates": 9, "window": 6}))
    with pytest.raises(ValueError, match=r"made for window=6, recgym/ShortVideo-v0 has window=7"):
        check_served(problem, make_task("recgym/ShortVideo-v0", {"num_candidates": 5, "window": 7}))
    with pytest.raises(ValueError, match="made for schema="):
        check_served(problem, make_task("recgym/Retention-v0", {}))


def test_bad_input(tmp_path: Path) -> None:
    store = log_of("items")
    with pytest.raises(ValueError, match=r"share of the episodes in \(0, 1\], found 0"):
        BCConfig(best=0)
    agent = OfflineAgent.of(BCConfig(), store)
    with pytest.raises(ValueError, match="the agent was built for"):
        agent.fit(log_of("slates"), 1)
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_offline(tmp_path)
    agent.save(tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "agent.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not readable as safetensors"):
        load_offline(tmp_path)
