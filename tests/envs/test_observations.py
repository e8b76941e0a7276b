"""Observers: what they show, and the spaces that they promise."""

import gymnasium as gym
import numpy as np
import pytest

from recgym.arrays import to_numpy
from recgym.envs import FlatObserver, FullCatalogue, HistoryObserver, Observer, SampledCandidates, Simulation
from recgym.envs.long_term_satisfaction import task as long_term_satisfaction
from tests.testing.tasks import small


def test_the_flat_observation_of_long_term_satisfaction() -> None:
    simulation = Simulation(long_term_satisfaction(choc=10.0), 5, device="numpy", seed=0)
    simulation.reset()
    first = to_numpy(simulation.observation())
    np.testing.assert_array_equal(first[:, 0], simulation.users.signal)
    np.testing.assert_array_equal(first[:, 1:], np.tile([0, 0, 1], (5, 1)))
    actions = np.array([0, 3, 9, 15, 29])
    reward = simulation.step(actions).reward
    second = to_numpy(simulation.observation())
    np.testing.assert_array_equal(second[:, 0], first[:, 0])
    np.testing.assert_allclose(second[:, 1], actions / 30, rtol=1e-6)
    np.testing.assert_array_equal(second[:, 2], reward)
    np.testing.assert_allclose(second[:, 3], 139 / 140)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_the_history_observation_shows_gaps_and_no_clock(device: str) -> None:
    simulation = Simulation(small(window=4), 32, device=device, seed=0)
    simulation.reset()
    for _ in range(6):
        assert simulation.candidates is not None
        simulation.step(simulation.candidates[:, :2] * 0)
    observation = {key: to_numpy(value) for key, value in simulation.observation().items()}
    history, clock = simulation.history(), to_numpy(simulation.clock_s)
    mask = to_numpy(history.mask)
    assert mask.any()
    assert not mask.all()
    gaps = np.where(mask, clock[:, None] - to_numpy(history.time_s), 0)
    np.testing.assert_allclose(observation["history_gap_s"], gaps, rtol=1e-6)
    assert observation["history_gap_s"].dtype == np.float32
    np.testing.assert_array_equal(observation["history_items"], to_numpy(history.items))
    np.testing.assert_array_equal(observation["history_feedback"], to_numpy(history.feedback))
    np.testing.assert_array_equal(observation["profile"], to_numpy(simulation.users.interests))
    np.testing.assert_array_equal(observation["candidates"], to_numpy(simulation.candidates))


def test_history_ids_are_a_box_of_integers() -> None:
    """Stable-Baselines3 would make one-hot rows of MultiDiscrete ids."""
    space = HistoryObserver().space(small(window=4).sizes)
    assert space["history_items"] == gym.spaces.Box(0, 60, (4,), np.int64)
    assert space["candidates"] == gym.spaces.Box(0, 59, (8,), np.int64)


def test_candidates_are_absent_only_where_they_are_the_catalogue_in_order() -> None:
    assert "candidates" not in HistoryObserver().space(small(candidates=FullCatalogue()).sizes).spaces
    assert "candidates" in HistoryObserver().space(small(candidates=SampledCandidates(60)).sizes).spaces


def test_observers_are_observers() -> None:
    assert isinstance(FlatObserver(3), Observer)
    assert isinstance(HistoryObserver(), Observer)
