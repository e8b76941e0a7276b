"""The face of one user."""

import gymnasium as gym
import numpy as np
import pytest

from recgym.envs import RecEnv, VectorReward
from recgym.envs.long_term_satisfaction import env as long_term_satisfaction
from tests.testing.tasks import clicks, small


def test_types() -> None:
    env = RecEnv(small(), seed=0)
    observation, info = env.reset(seed=1)
    assert observation in env.observation_space
    assert info == {}
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert info["slate"].shape == (2,)
    assert info["feedback"]["click"].shape == (2,)


def test_a_vector_reward_stays_a_vector() -> None:
    env = RecEnv(small(reward=VectorReward((clicks, clicks))), seed=0)
    env.reset()
    reward = env.step(np.array([0, 1]))[1]
    assert isinstance(reward, np.ndarray)
    assert reward.shape == (2,)


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reset\(\) must be called before step\(\)"):
        RecEnv(small()).step(np.array([0, 1]))


def test_a_state_starts_an_environment_that_was_never_reset() -> None:
    env, other = RecEnv(small(), seed=0), RecEnv(small(), seed=1)
    env.reset()
    other.set_state(env.get_state())
    first, second = env.step(np.array([3, 4])), other.step(np.array([3, 4]))
    assert first[1] == second[1]
    np.testing.assert_array_equal(first[0]["history_items"], second[0]["history_items"])


def test_gymnasium_counts_episodes_of_it() -> None:
    env = gym.wrappers.RecordEpisodeStatistics(long_term_satisfaction(choc=6.0, seed=0))
    env.reset(seed=0)
    total, ended = 0.0, False
    while not ended:
        _, reward, ended, truncated, info = env.step(9)
        assert not truncated
        total += float(reward)
    assert info["episode"]["l"] == 140
    assert info["episode"]["r"] == pytest.approx(total, rel=1e-4)


def test_entry_points_take_their_documentation_from_the_task() -> None:
    assert (long_term_satisfaction.__doc__ or "").startswith("Sim2Rec's long-term satisfaction task.")
