from pathlib import Path
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401 - registers the environments
from recgym.agents.base import RandomPolicy
from recgym.envs import Level, RecVectorEnv
from recgym.envs.learned_users import FidelityWarning, shown_items, task
from recgym.envs.pool import PooledCandidates
from recgym.evaluation.baselines import action_spec, greedy_by_model
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.rollout import rollout
from recgym.seeding import make_generator
from recgym.simulators.learned import record_gate
from tests.learned_fixture import small_simulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_simulator().save(tmp_path / "simulator")
    return tmp_path / "simulator"


def test_made_from_a_folder_by_id(folder: Path) -> None:
    env = gym.make("recgym/LearnedUsers-v0", simulator=folder, disable_env_checker=True)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for _ in range(5):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert reward == info["feedback"]["click"].sum()
        if terminated or truncated:
            break


def test_starts_with_the_record_of_a_logged_user(folder: Path) -> None:
    env = gym.make_vec("recgym/LearnedUsers-v0", num_envs=8, vectorization_mode="vector_entry_point", simulator=folder)
    observation, _ = env.reset(seed=1)
    assert observation["profile"].shape == (8, 40), "20 standardised numbers and 20 flags of what is missing"
    assert (observation["history_gap_s"] >= 0).all()


def test_a_failed_gate_warns(folder: Path) -> None:
    record_gate(folder, ("click: ECE 0.2 is above 0.03",))
    with pytest.warns(FidelityWarning, match="ECE 0.2"):
        task(folder)


@pytest.mark.parametrize("simulator", [None, "nowhere"])
def test_without_a_simulator_one_sentence_says_what_to_do(simulator: str | None) -> None:
    with pytest.raises(ValueError, match="recgym simulator fit"):
        task(simulator)


def test_preference_actions_rank_by_item_features() -> None:
    world = task(small_simulator(), action="preference", slate_size=2, num_candidates=6)
    made = RecVectorEnv(world, 3, seed=0)
    assert made.action_space.shape is not None
    observation, _ = made.reset(seed=0)
    preference = np.random.default_rng(0).uniform(-1, 1, made.action_space.shape).astype(np.float32)
    info = made.step(preference)[-1]
    features = np.asarray(world.model.item_features)
    for row in range(3):
        scores = features[observation["candidates"][row]] @ preference[row]
        assert info["slate"][row].tolist() == observation["candidates"][row][np.argsort(-scores)[:2]].tolist()


def test_greedy_by_model_lies_between_random_and_the_oracle_of_one_step() -> None:
    world = task(small_simulator(), slate_size=1, num_candidates=10, reward={"click": 1.0}, horizon=1)
    spec = action_spec(world)
    policies: dict[str, Any] = {
        "random": RandomPolicy(spec),
        "greedy": greedy_by_model(small_simulator(), world),
        "oracle": OneStepOracle,
    }
    returns = {
        name: rollout(policy, world, users=4000, seeds=(0, 1)).summary()["return"] for name, policy in policies.items()
    }
    assert returns["random"] < returns["greedy"] <= returns["oracle"] + 0.01


def test_pool_offers_its_items_only_and_each_as_often() -> None:
    pool = np.array([3, 5, 8, 13, 21])
    drawn = PooledCandidates(2, pool).draw(5000, 30, make_generator(0, "t"))
    assert (drawn[:, 0] != drawn[:, 1]).all()
    counts = np.bincount(drawn.numpy().ravel(), minlength=30)
    assert set(np.flatnonzero(counts)) == set(pool)
    assert counts[pool] == pytest.approx(2000, rel=0.1)
    with pytest.raises(ValueError, match="without repeats"):
        PooledCandidates(2, np.array([1, 1]))
    with pytest.raises(ValueError, match="outside"):
        PooledCandidates(2, pool).size(10)
    assert shown_items(small_simulator()).size == 300


def test_every_level() -> None:
    for level in get_args(Level):
        made = RecVectorEnv(task(small_simulator(), level=level), 16, seed=0, autoreset_mode="SameStep")
        observation, _ = made.reset()
        assert ("progress" in observation) == (level == "retention")
        made.action_space.seed(0)
        _, _, terminated, _, info = made.step(made.action_space.sample())
        assert ("session" in info) == (level == "retention")
        assert terminated.all() if level == "request" else not terminated.all()
