"""The Stable-Baselines3 face."""

import numpy as np
import pytest

from recgym.envs import SB3VecEnv, VectorReward
from recgym.envs.long_term_satisfaction import task as long_term_satisfaction
from tests.testing.tasks import clicks, small

ACTIONS = np.tile([0, 1], (3, 1))


def test_episodes_are_reported_as_they_end() -> None:
    env = SB3VecEnv(small(horizon=4, reward=clicks), 3, seed=0)
    env.reset()
    total = np.zeros(3)
    for step in range(1, 5):
        _, reward, done, infos = env.step(ACTIONS)
        total += reward
        assert done.all() == (step == 4)
    for row, info in enumerate(infos):
        assert info["episode"]["r"] == pytest.approx(total[row])
        assert info["episode"]["l"] == 4
        assert info["episode"]["t"] > 0
        assert info["TimeLimit.truncated"] is True
        assert info["terminal_observation"]["history_items"].shape == (5,)
    env.step(ACTIONS)
    *_, infos = env.step(ACTIONS)
    assert infos == [{}, {}, {}]


def test_the_end_of_long_term_satisfaction_is_no_time_limit() -> None:
    env = SB3VecEnv(long_term_satisfaction(), 2, seed=0)
    env.reset()
    for _ in range(140):
        observation, _, done, infos = env.step(np.array([3, 4]))
    assert isinstance(observation, np.ndarray)
    assert done.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False, False]
    np.testing.assert_allclose(infos[0]["terminal_observation"][-1], 0.0)
    np.testing.assert_allclose(observation[:, -1], 1.0)


def test_step_infos_hold_slates_and_feedback() -> None:
    env = SB3VecEnv(small(horizon=1), 3, seed=0, step_infos=True)
    env.reset()
    *_, infos = env.step(ACTIONS)
    assert all({"slate", "feedback", "episode"} <= set(info) for info in infos)
    assert infos[1]["slate"].shape == (2,)
    assert sorted(infos[1]["feedback"]) == ["click", "watch_time"]


def test_seeds_are_used_once() -> None:
    env = SB3VecEnv(small(), 3, seed=0)
    env.seed(5)
    first = env.reset()["profile"]
    second = env.reset()["profile"]
    env.seed(5)
    np.testing.assert_array_equal(first, env.reset()["profile"])
    assert (first != second).any()


def test_a_vector_reward_is_refused() -> None:
    env = SB3VecEnv(small(reward=VectorReward((clicks, clicks))), 3, seed=0)
    env.reset()
    with pytest.raises(ValueError, match=r"Stable-Baselines3 needs a scalar reward, found shape \(2,\)"):
        env.step(ACTIONS)


def test_an_action_outside_the_space_is_refused() -> None:
    env = SB3VecEnv(small(), 3, seed=0)
    env.reset()
    with pytest.raises(ValueError, match="found action 8"):
        env.step(ACTIONS + 7)


def test_attributes_and_methods() -> None:
    env = SB3VecEnv(small(), 3, seed=0)
    env.reset()
    assert env.get_attr("num_envs") == [3, 3, 3]
    assert env.get_attr("num_envs", indices=[0]) == [3]
    assert env.has_attr("step_infos")
    assert not env.has_attr("no_such_thing")
    env.set_attr("step_infos", True)
    assert env.step_infos
    masks = env.env_method("action_masks")
    assert [mask.shape for mask in masks] == [(16,)] * 3
    assert env.env_method("close", indices=[1]) == [None]
    assert env.env_is_wrapped(object) == [False, False, False]
