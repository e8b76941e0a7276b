"""The environments in Gymnasium's registry, through each of its doors."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from recgym.envs import AutoresetMode, RecEnv, RecVectorEnv, make_task, register_environments, registered

NEEDS_FILES = ("recgym/LearnedUsers-v0", "recgym/OpenBandit-v0")
IDS = [env_id for env_id in registered() if env_id not in NEEDS_FILES]


def test_the_ids() -> None:
    assert set(registered()) >= {
        "recgym/CascadeBandit-v0",
        "recgym/ClusteredBandit-v0",
        "recgym/ContextualBandit-v0",
        "recgym/DriftingBandit-v0",
        "recgym/OpenBandit-v0",
        "recgym/InterestEvolution-v0",
        "recgym/InterestExploration-v0",
        "recgym/LearnedUsers-v0",
        "recgym/LongTermSatisfaction-v0",
        "recgym/LongTermSatisfactionRecSim-v0",
        "recgym/OrganicBandit-v0",
        "recgym/Relisten-v0",
        "recgym/Retention-v0",
        "recgym/ShortVideo-v0",
    }
    before = registered()
    register_environments()
    assert registered() == before


def test_wrong_settings_are_told_with_those_that_there_are() -> None:
    assert make_task("recgym/ShortVideo-v0").name == "recgym/ShortVideo-v0"
    with pytest.raises(ValueError, match=r"there is no setting 'nun_candidates'; there are: .*num_candidates"):
        make_task("recgym/ShortVideo-v0", {"nun_candidates": 5})
    with pytest.raises(ValueError, match="num_candidates is 'abc', expected a value of type int"):
        make_task("recgym/ShortVideo-v0", {"num_candidates": "abc"})
    with pytest.raises(TypeError, match="there is no setting 'slates'"):
        gym.make("recgym/ShortVideo-v0", slates=2)


@pytest.mark.parametrize("env_id", registered())
def test_no_step_limit_is_registered(env_id: str) -> None:
    assert gym.spec(env_id).max_episode_steps is None


@pytest.mark.parametrize("env_id", IDS)
def test_gym_make(env_id: str) -> None:
    env = gym.make(env_id)
    assert isinstance(env.unwrapped, RecEnv)
    assert not any("TimeLimit" in str(wrapper) for wrapper in (env, getattr(env, "env", None)))
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.action_space.sample())


@pytest.mark.parametrize("env_id", IDS)
def test_the_vector_entry_point(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, vectorization_mode="vector_entry_point")
    assert isinstance(env.unwrapped, RecVectorEnv)
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    env.step(env.action_space.sample())


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_own_vector_of_single_ones(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=2, vectorization_mode="sync")
    ours: Any = gym.make_vec(env_id, num_envs=2, vectorization_mode="vector_entry_point")
    assert env.single_observation_space == ours.single_observation_space
    assert env.single_action_space == ours.single_action_space
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(5):
        _, reward, *_ = env.step(env.action_space.sample())
        assert np.isfinite(reward).all()


def test_settings_reach_the_task() -> None:
    env: Any = gym.make_vec(
        "recgym/LongTermSatisfaction-v0", num_envs=2, vectorization_mode="vector_entry_point",
        choc=6, autoreset_mode="SameStep", device="cpu", seed=3,
    ).unwrapped  # fmt: skip
    assert env.task.model.config.choc == 6.0
    assert env.autoreset_mode is AutoresetMode.SAME_STEP
    assert env.simulation.device == "cpu"
    assert env.action_space == gym.spaces.MultiDiscrete([30, 30])
    other: Any = gym.make("recgym/InterestEvolution-v0", num_candidates=7, slate_size=3, num_documents=40).unwrapped
    assert other.action_space == gym.spaces.MultiDiscrete([7, 7, 7])
    assert other.task.model.num_items == 40


def test_long_term_satisfaction_ends_after_140_steps_by_itself() -> None:
    env = gym.make("recgym/LongTermSatisfaction-v0")
    env.reset(seed=0)
    ends = [env.step(3)[2:4] for _ in range(140)]
    assert ends == [(False, False)] * 139 + [(True, False)]
