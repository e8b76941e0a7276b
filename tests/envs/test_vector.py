"""The vector face: resets, modes, infos and Gymnasium's wrappers around it."""

import gymnasium as gym
import numpy as np
import pytest

from recgym.envs import AutoresetMode, RecVectorEnv
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.long_term_satisfaction import task as long_term_satisfaction
from recgym.envs.vector import FEW_USERS
from tests.testing.tasks import clicks, masked, small


def test_modes_are_spelled_as_gymnasium_spells_them() -> None:
    assert [mode.value for mode in AutoresetMode] == ["NextStep", "SameStep", "Disabled"]
    env = RecVectorEnv(small(), 2, autoreset_mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    with pytest.raises(ValueError, match="Never"):
        RecVectorEnv(small(), 2, autoreset_mode="Never")
    own = getattr(gym.vector, "AutoresetMode", None)
    assert own is None or own is AutoresetMode


def test_a_step_before_the_first_reset_is_refused() -> None:
    env = RecVectorEnv(small(), 2)
    with pytest.raises(ValueError, match=r"reset\(\) must be called before step\(\)"):
        env.step(np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(ValueError, match=r"reset\(\) of all users must come before"):
        env.reset(options={"reset_mask": np.ones(2, dtype=bool)})


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (np.ones(3, dtype=bool), r"found bool array \(3,\)"),
        (np.ones(2, dtype=int), r"found int64 array \(2,\)"),
        ([True, False], "found list"),
    ],
)
def test_a_wrong_reset_mask_is_refused(mask: object, found: str) -> None:
    env = RecVectorEnv(small(), 2, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=found):
        env.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match=r"it cannot go with options\['reset_mask'\]"):
        env.reset(seed=1, options={"reset_mask": np.ones(2, dtype=bool)})


def test_the_number_of_ended_users_is_in_the_refusal() -> None:
    env = RecVectorEnv(small(horizon=1), 4, autoreset_mode="Disabled")
    env.reset(seed=0)
    actions = np.zeros((4, 2), dtype=np.int64)
    _, _, terminated, truncated, _ = env.step(actions)
    assert truncated.all()
    assert not terminated.any()
    with pytest.raises(ValueError, match="4 users have ended their episode"):
        env.step(actions)
    env.reset(options={"reset_mask": np.array([True, True, True, False])})
    with pytest.raises(ValueError, match="1 users have ended"):
        env.step(actions)


def test_info_names_every_channel_and_cost() -> None:
    env = RecVectorEnv(masked(), 6, seed=0)
    env.reset()
    _, reward, *_, info = env.step(np.tile([0, 1], (6, 1)))
    assert sorted(info) == ["action_mask", "costs", "feedback", "slate"]
    assert sorted(info["feedback"]) == ["click", "watch_time"]
    assert info["slate"].shape == (6, 2)
    np.testing.assert_array_equal(info["costs"]["clicks"], info["feedback"]["click"].sum(axis=1))
    np.testing.assert_array_equal(reward, info["costs"]["clicks"])


def test_the_info_of_a_step_that_only_resets_is_blank() -> None:
    env = RecVectorEnv(small(horizon=2, costs={"clicks": clicks}), 3, seed=0)
    env.reset()
    actions = np.tile([0, 1], (3, 1))
    env.step(actions)
    env.step(actions)
    _, reward, terminated, truncated, info = env.step(actions)
    assert not np.concatenate([reward, terminated, truncated]).any()
    assert (info["slate"] == -1).all()
    assert not any(values.any() for values in (*info["feedback"].values(), info["costs"]["clicks"]))
    assert not np.concatenate([info["_slate"], info["_feedback"], info["_costs"]]).any()


def test_choc_of_each_user_and_their_groups() -> None:
    chocs = [14.0, 6.0, 14.0, 21.0]
    env = RecVectorEnv(long_term_satisfaction(choc=chocs), 4, autoreset_mode="SameStep", seed=0)
    _, info = env.reset()
    assert info["group"].tolist() == [0, 1, 0, 2], "numbered as they appear: ids do not rank the hidden choc"
    for _ in range(141):
        *_, info = env.step(np.full(4, 29))
        assert info["group"].tolist() == [0, 1, 0, 2]
    assert env.simulation.users.choc.tolist() == chocs


def test_choc_for_fewer_users_than_there_are_is_refused() -> None:
    env = RecVectorEnv(long_term_satisfaction(choc=[6.0, 14.0]), 3)
    with pytest.raises(ValueError, match="choc has 2 values, found a batch of 3 users"):
        env.reset(seed=0)


def test_gymnasium_counts_episodes_of_it() -> None:
    """The vector wrapper sums rewards and lengths as the episodes go, the step that only resets left out."""
    env = RecVectorEnv(small(horizon=7, reward=clicks), 5, seed=0)
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(env)
    wrapped.reset(seed=0)
    total, found = np.zeros(5), []
    for _ in range(7):
        _, reward, _, truncated, info = wrapped.step(np.tile([0, 1], (5, 1)))
        total += reward
    assert truncated.all()
    found = info["episode"]
    np.testing.assert_allclose(found["r"], total)
    assert found["l"].tolist() == [7] * 5


@pytest.mark.parametrize("wrapper", ["NormalizeReward", "ClipReward"])
def test_gymnasium_changes_rewards_of_it(wrapper: str) -> None:
    settings = {"min_reward": 0.0, "max_reward": 0.5} if wrapper == "ClipReward" else {}
    env = RecVectorEnv(small(reward=clicks), 8, seed=0)
    wrapped = getattr(gym.wrappers.vector, wrapper)(env, **settings)
    wrapped.reset(seed=0)
    for _ in range(20):
        _, reward, *_, info = wrapped.step(np.tile([0, 1], (8, 1)))
        assert np.isfinite(reward).all()
        assert set(np.unique(info["feedback"]["click"])) <= {0.0, 1.0}


def test_many_users_are_tensors_and_few_are_numpy() -> None:
    assert RecVectorEnv(long_term_satisfaction(), FEW_USERS).simulation.device == "numpy"
    assert RecVectorEnv(long_term_satisfaction(), FEW_USERS + 1).simulation.device == "cpu"


def test_the_default_seed_differs_each_time() -> None:
    first, second = (RecVectorEnv(interest_evolution(num_documents=50), 4) for _ in range(2))
    assert (first.reset()[0]["profile"] != second.reset()[0]["profile"]).any()
