"""REINFORCE on logs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.agents.offline import OfflineAgent, ReinforceConfig, load_offline
from recgym.agents.offline.returns import discounted_returns
from recgym.evaluation import action_spec, rollout
from recgym.testing import check_agent
from tests.agents.offline.cases import TASKS, liking, log_of, task_of


def test_returns_are_discounted_within_episodes() -> None:
    store = log_of("items")
    reward = np.random.default_rng(0).normal(size=len(store))
    found = discounted_returns(store, reward, 0.7)
    ends = np.cumsum(store.lengths)
    for episode in (0, 5, len(store.episodes) - 1):
        first, last = ends[episode] - store.lengths[episode], ends[episode]
        for row in range(first, last):
            expected = sum(0.7 ** (other - row) * reward[other] for other in range(row, last))
            assert found[row] == pytest.approx(expected)


@pytest.mark.parametrize("kind", TASKS)
def test_the_policy_keeps_the_contract(kind: str) -> None:
    store = log_of(kind)
    agent = OfflineAgent.of(ReinforceConfig(), store).fit(store, 10)
    check_agent(agent.policy(), action_spec(task_of(kind)), store.observations(store.steps[:3]))


def test_it_betters_the_policy_that_wrote_the_log() -> None:
    store, task = log_of("slates"), task_of("slates")
    agent = OfflineAgent.of(ReinforceConfig(gamma=0.0), store).fit(store, 400)
    scores = [
        rollout(policy, task, users=512, seeds=(0, 1), max_steps=6).episodes.reward.mean()
        for policy in (agent.policy(), liking(task))
    ]
    assert scores[0] > scores[1]


def test_items_may_earn_their_own_feedback() -> None:
    store = log_of("slates")
    agent = OfflineAgent.of(ReinforceConfig(gamma=0.0, item_rewards=(("watch_time", 1.0), ("hate", -5.0))), store)
    returns = agent.learner._returns_of(store)  # type: ignore[attr-defined]
    feedback = store.columns["feedback"][store.steps]
    schema = store.problem.schema
    expected = feedback[:, :, schema.index("watch_time")] - 5 * feedback[:, :, schema.index("hate")]
    np.testing.assert_allclose(returns, expected, rtol=1e-6)


def test_it_comes_back_from_disk(tmp_path: Path) -> None:
    store = log_of("slates")
    agent = OfflineAgent.of(ReinforceConfig(), store, seed=1).fit(store, 20, stretch=10, folder=tmp_path)
    loaded = load_offline(tmp_path)
    assert loaded.config == agent.config
    agent.fit(store, 30, stretch=10)
    loaded.fit(store, 30, stretch=10)
    for name, value in agent.learner.module.state_dict().items():
        assert torch.equal(value, loaded.learner.module.state_dict()[name]), name


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\], found 2"):
        ReinforceConfig(gamma=2)
    with pytest.raises(ValueError, match="there is no feedback channel 'joy'"):
        OfflineAgent.of(ReinforceConfig(item_rewards=(("joy", 1.0),)), log_of("items"))
