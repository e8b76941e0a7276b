import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import Policy, RandomPolicy
from recgym.agents.base import ActionSpec, NoState
from recgym.agents.sb3 import DQNConfig, PPOConfig, SACConfig, SB3Agent, SB3Policy, TD3Config
from recgym.agents.sb3.configs import AnyConfig
from recgym.arrays import to_numpy
from recgym.envs import Simulation, Task
from recgym.envs.sb3 import SB3VecEnv
from recgym.evaluation.rollout import rollout
from recgym.files import read_json
from recgym.progress import Tick
from recgym.seeding import child_seed, make_generator
from tests.agents.sb3.tasks import CASES, CATALOGUE, FLAT, PREFERENCE, SLATES


def _observation(task: Task, users: int = 6, device: str = "cpu") -> Any:
    simulation = Simulation(task, users, device=device, seed=3)
    simulation.reset()
    return simulation.observation()


def _act(
    policy: SB3Policy, observation: Any, device: str = "cpu", greedy: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    decision, _ = policy.act(observation, NoState(), make_generator(0, "policy", device=device), greedy)
    return to_numpy(decision.action), to_numpy(decision.log_propensity)


@pytest.mark.parametrize("name", CASES)
def test_every_agent_learns_acts_and_survives_a_checkpoint(name: str, tmp_path: Path) -> None:
    config, task = CASES[name]
    agent = SB3Agent(config, task, 8, seed=1)
    curve = agent.learn(500, log_every=100)
    assert 500 <= agent.steps < 500 + 8 * 30
    assert [p.steps for p in curve.points] == sorted({p.steps for p in curve.points})
    agent.save(tmp_path / "saved")
    loaded = SB3Agent.load(tmp_path / "saved", task)
    assert loaded.config == config
    assert loaded.steps == agent.steps
    assert loaded.curve == curve
    observation = _observation(task)
    for greedy in (True, False):
        mine, theirs = (_act(a.policy(), observation, greedy=greedy) for a in (agent, loaded))
        np.testing.assert_array_equal(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])
    assert loaded.learn(900).points[: len(curve.points)] == curve.points
    assert loaded.steps >= 900


@pytest.mark.parametrize("name", ["ppo flat", "dqn flat"])
def test_users_have_a_seed_of_their_own(name: str) -> None:
    config, task = CASES[name]
    agent = SB3Agent(config, task, 8, seed=1)
    agent._env.reset()
    env = SB3VecEnv(task, 8)
    env.seed(child_seed(1, "users"))
    np.testing.assert_array_equal(agent._env.get_original_obs(), env.reset())


@pytest.mark.parametrize("name", ["ppo slates", "ppo catalogue", "dqn catalogue", "dqn flat", "a2c one"])
def test_propensities_of_all_actions_sum_to_one(name: str) -> None:
    config, task = CASES[name]
    distribution = SB3Agent(config, task, 4).policy().distribution(_observation(task))
    slates = itertools.product(range(task.num_candidates), repeat=task.slate_size)
    total = sum(
        distribution.log_prob(
            torch.tensor(slate).expand(6, -1) if task.slate_size > 1 else torch.full((6,), slate[0])
        ).exp()
        for slate in slates
    )
    assert torch.allclose(torch.as_tensor(total), torch.ones(6), atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_propensity_of_a_draw_is_that_of_its_action(name: str) -> None:
    config, task = CASES[name]
    policy = SB3Agent(config, task, 4).policy()
    observation = _observation(task)
    action, log_propensity = _act(policy, observation)
    np.testing.assert_array_equal(
        log_propensity, policy.distribution(observation).log_prob(torch.as_tensor(action)).numpy()
    )
    _, greedy = _act(policy, observation, greedy=True)
    if task.action == "preference":
        assert np.isnan(greedy).all()
        assert np.isnan(log_propensity).all() == isinstance(config, TD3Config)
        assert (np.abs(action) <= 1).all()
    else:
        assert (greedy == 0).all()
        assert (log_propensity < 0).all()


def test_numpy_in_numpy_out() -> None:
    policy = SB3Agent(*CASES["ppo flat"], 4).policy()
    assert isinstance(policy, Policy)
    action, log_propensity = _act(policy, _observation(FLAT, device="numpy"), device="numpy")
    assert action.dtype == np.int64
    assert log_propensity.dtype == np.float32
    assert action.shape == log_propensity.shape == (6,)


def test_consumed_items_are_not_chosen_where_the_task_masks_them() -> None:
    for name in ("ppo catalogue", "dqn catalogue"):
        policy = SB3Agent(CASES[name][0], CATALOGUE, 4).policy()
        rolled = rollout(policy, CATALOGUE, users=40, seeds=(0,), max_steps=15, record=True).steps[0]
        pairs = rolled.user * CATALOGUE.model.num_items + rolled.slate[:, 0]
        eaten = (rolled.feedback != 0).any((1, 2))
        assert np.unique(pairs[eaten]).size == eaten.sum()


def test_a_policy_is_a_snapshot() -> None:
    agent = SB3Agent(PPOConfig(n_steps=30, learning_rate=0.05), FLAT, 8)
    agent.learn(240)
    policy, observation = agent.policy(), _observation(FLAT)
    before = policy.distribution(observation).log_prob(torch.zeros(6).long())
    agent.learn(2000)
    assert torch.equal(before, policy.distribution(observation).log_prob(torch.zeros(6).long()))
    assert not torch.allclose(before, agent.policy().distribution(observation).log_prob(torch.zeros(6).long()))


def test_learning_depends_on_the_seed_alone_and_leaves_global_randomness_as_it_was() -> None:
    def draws() -> tuple[float, float]:
        return float(np.random.rand()), torch.rand(1).item()  # noqa: NPY002

    def disturb(seed: int) -> None:
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)

    def run(seed: int, other: int) -> np.ndarray:
        disturb(other)
        agent = SB3Agent(PPOConfig(n_steps=30, batch_size=60), FLAT, 8, seed)
        agent.learn(720)
        after = draws()
        disturb(other)
        assert after == draws()
        return agent.policy().distribution(_observation(FLAT)).log_prob(torch.zeros(6).long()).numpy()

    np.testing.assert_array_equal(run(1, 5), run(1, 6))
    assert not np.array_equal(run(1, 5), run(2, 5))


def test_ppo_learns_long_term_satisfaction() -> None:
    config = PPOConfig(learning_rate=3e-3, n_steps=70, batch_size=2240, gamma=0.95, gae_lambda=0.98)
    agent = SB3Agent(config, FLAT, 128, seed=0)
    agent.learn(400_000)
    spec = ActionSpec(30, 1, 30)
    learned, drawn = (
        rollout(policy, FLAT, users=2000, seeds=(0, 1, 2)).episodes.reward
        for policy in (agent.policy(), RandomPolicy(spec))
    )
    difference = (learned - drawn).mean(1)
    assert difference.mean() > 20
    assert difference.min() > 0


def test_learning_writes_curve_logs_and_checkpoint(tmp_path: Path) -> None:
    agent = SB3Agent(PPOConfig(n_steps=35), FLAT, 8)
    curve = agent.learn(3000, folder=tmp_path, log_every=1)
    rows = read_json(tmp_path / "curve.json")
    assert rows == curve.to_json()
    assert all(row["low"] <= row["return"] <= row["high"] and row["episodes"] >= 2 for row in rows)
    assert sum(row["episodes"] for row in rows) == 8 * (agent.steps // 8 // 140)
    assert rows[0]["return"] == pytest.approx(650, rel=0.3)
    assert list((tmp_path / "tb").glob("events*"))
    assert SB3Agent.load(tmp_path, FLAT).steps == agent.steps
    assert agent.learn(3000) == curve


def test_progress_is_told_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    ticks: list[Tick] = []
    SB3Agent(PPOConfig(n_steps=35), FLAT, 8).learn(2240, progress=ticks.append)
    done = [tick.done for tick in ticks]
    assert (done[0], done[-1], {tick.total for tick in ticks}) == (0, 2240, {2240})
    assert done == sorted(done)
    assert {(tick.stage, tick.unit) for tick in ticks} == {("training", "steps")}
    assert ticks[-1].note.startswith("return ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("config", "task", "sentence"),
    [
        (SACConfig(), FLAT, "sac needs preference vectors"),
        (TD3Config(), SLATES, "td3 needs preference vectors"),
        (DQNConfig(), SLATES, "dqn chooses one item a step"),
        (DQNConfig(), PREFERENCE, "dqn chooses one item a step"),
    ],
)
def test_a_task_that_an_algorithm_cannot_learn(config: AnyConfig, task: Task, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SB3Agent(config, task, 4)


def test_bounds_of_the_curve_are_students() -> None:
    from recgym.agents.sb3 import CurvePoint

    point = CurvePoint.of(10, [1.0, 3.0])
    assert (point.mean, point.episodes) == (2.0, 2)
    assert point.high - point.mean == pytest.approx(12.7062, rel=1e-4)
    assert not math.isnan(point.low)
