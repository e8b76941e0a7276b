"""Behaviour logs: what is put together from a store is what the policy saw, to the bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import MixturePolicy, NoState, RandomPolicy, ScoredPolicy
from recgym.agents.offline import problem_of
from recgym.data.transitions import TransitionStore
from recgym.envs import Task, make_task
from recgym.evaluation import action_spec, record, rollout
from recgym.evaluation.rollout import BLOCK

TASKS: dict[str, dict[str, Any]] = {
    "recgym/ShortVideo-v0": {"slate_size": 3, "window": 5, "level": "retention"},
    "recgym/Retention-v0": {"num_candidates": 5},
    "recgym/OrganicBandit-v0": {},
    "recgym/LongTermSatisfaction-v0": {},
    "recgym/InterestEvolution-v0": {"num_candidates": 4},
}
MAX_STEPS = 8


class _Watched:
    """A random policy that keeps all that it was shown."""

    def __init__(self, task: Task) -> None:
        self.policy = RandomPolicy(action_spec(task))
        self.seen: list[Any] = []

    def init_state(self, users: int, device: str) -> Any:
        return self.policy.init_state(users, device)

    def act(self, observation: Any, state: Any, generator: Any, greedy: bool = False) -> Any:
        self.seen.append(observation)
        decision, state = self.policy.act(observation, state, generator, greedy)
        return decision, state


def _shown(seen: list[Any], step: torch.Tensor, user: torch.Tensor, name: str | None) -> torch.Tensor:
    return torch.stack([torch.as_tensor(o[name] if name else o) for o in seen])[step, user]


@pytest.mark.parametrize("env", TASKS)
def test_observations_are_those_that_were_shown(env: str) -> None:
    task = make_task(env, TASKS[env])
    policy = _Watched(task)
    store = record(policy, task, 1, seed=3, max_steps=MAX_STEPS)
    # A step ends at the next point, the one before a closing point at the closing point.
    steps = store.steps
    step = torch.as_tensor(store.columns["step"][steps]).long()
    user = torch.as_tensor(store.columns["user"][steps])
    batch = store.batch(steps)
    names = list(batch.observation) if isinstance(batch.observation, dict) else [None]
    for name in names:
        found = batch.observation[name] if name else batch.observation
        assert torch.equal(found, _shown(policy.seen, step, user, name)), name
    inner = ~torch.as_tensor(store.columns["terminated"][steps] | store.columns["truncated"][steps])
    for name in names:
        found = batch.next_observation[name] if name else batch.next_observation
        assert torch.equal(found[inner], _shown(policy.seen, step[inner] + 1, user[inner], name)), name


def test_rewards_and_ends_are_those_of_a_rollout() -> None:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": 2})
    policy = RandomPolicy(action_spec(task))
    store = record(policy, task, 1, seed=5, max_steps=30)
    played = rollout(policy, task, users=BLOCK, seeds=(5,), max_steps=30, record=True)
    steps, columns = store.steps, store.columns
    assert np.array_equal(store.lengths, played.episodes.length[0])
    assert np.array_equal(columns["slate"][steps], played.steps[0].slate)
    assert np.array_equal(columns["log_propensity"][steps], played.steps[0].log_propensity)
    per_user = np.add.reduceat(columns["reward"][steps], np.cumsum(store.lengths) - store.lengths)
    np.testing.assert_allclose(per_user, played.episodes.reward[0], rtol=1e-4, atol=1e-4)
    left = columns["terminated"][store.episodes[:, 1] - 1]
    assert left.mean() == pytest.approx(played.episodes.left[0])
    assert np.array_equal(left, ~columns["truncated"][store.episodes[:, 1] - 1])


def test_the_action_shows_the_slate() -> None:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": 2})
    store = record(RandomPolicy(action_spec(task)), task, 1, max_steps=3)
    seen = store.observations(store.steps)
    assert torch.equal(seen["candidates"].gather(1, store.actions(store.steps)), torch.as_tensor(
        store.columns["slate"][store.steps]).long())  # fmt: skip


def test_a_written_store_is_the_one_in_memory(tmp_path: Path) -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    policy = RandomPolicy(action_spec(task))
    kept = record(policy, task, 3 * BLOCK, seed=1, max_steps=2)
    written = record(policy, task, 3 * BLOCK, tmp_path / "log", seed=1, max_steps=2)
    assert len(written) == len(kept) == 4 * BLOCK
    assert len(np.unique(kept.columns["user"])) == 2 * BLOCK
    for name, column in kept.columns.items():
        np.testing.assert_array_equal(column, written.columns[name], err_msg=name)
    assert written.problem == kept.problem == problem_of(task)
    rows = torch.Generator().manual_seed(0)
    one, other = kept.sample(64, rows), written.sample(64, torch.Generator().manual_seed(0))
    assert torch.equal(one.action, other.action)
    assert torch.equal(one.responses, other.responses)


def test_a_mixture_serves_each_user_by_one_policy() -> None:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 4})
    spec = action_spec(task)
    first: ScoredPolicy[NoState] = ScoredPolicy(
        spec, lambda seen: -torch.arange(4.0).expand(len(seen["candidates"]), 4)
    )
    last: ScoredPolicy[NoState] = ScoredPolicy(spec, lambda seen: torch.arange(4.0).expand(len(seen["candidates"]), 4))
    store = record(MixturePolicy((first, last), (0.75, 0.25)), task, 1, max_steps=6)
    action = store.columns["action"][store.steps, 0]
    assert set(action.tolist()) == {0, 3}
    starts = np.cumsum(store.lengths) - store.lengths
    assert np.array_equal(action, np.repeat(action[starts], store.lengths))
    share = (action[starts] == 3).mean()
    assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / BLOCK)


def test_subsets_and_splits_keep_whole_users() -> None:
    task = make_task("recgym/Retention-v0", {})
    store = record(RandomPolicy(action_spec(task)), task, 1, max_steps=5)
    train, test = store.split(0.25, seed=0)
    user = store.columns["user"]
    assert len(test.episodes) == BLOCK // 4
    assert len(train) + len(test) == len(store)
    assert not set(user[train.steps]) & set(user[test.steps])
    points, mask = test.windows(np.arange(len(test)), 4)
    assert np.array_equal(points[:, -1], test.steps)
    assert np.array_equal(mask.sum(1), np.minimum(test.columns["step"][test.steps] + 1, 4))
    assert np.all(user[points] == user[test.steps][:, None])


def test_what_cannot_be_recorded_is_told(tmp_path: Path) -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    policy = RandomPolicy(action_spec(task))
    with pytest.raises(ValueError, match="at least 1 step must be recorded, found steps=0"):
        record(policy, task, 0)
    with pytest.raises(ValueError, match="a reward that is a number"):
        record(policy, replace(task, reward=lambda outcome: outcome.response.feedback[:, 0]), 1)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other things"):
        record(policy, task, 1, tmp_path, max_steps=1)
    record(policy, task, 1, tmp_path / "log", max_steps=1)
    with (tmp_path / "log" / "reward.bin").open("ab") as file:
        file.write(b"0")
    with pytest.raises(ValueError, match=r"reward.bin: found \d+ bytes, expected \d+ bytes"):
        TransitionStore.open(tmp_path / "log")
    with pytest.raises(ValueError, match="holds no steps to learn from"):
        TransitionStore.open(tmp_path / "nothing")
