"""Action spaces, what lies outside them, and preference vectors."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from recgym.arrays import from_numpy, to_numpy
from recgym.envs import FullCatalogue, RecEnv, RecVectorEnv, Simulation, Task
from recgym.envs.actions import action_space, check_actions
from tests.testing.tasks import small


def test_spaces() -> None:
    assert action_space(small(slate_size=1)) == gym.spaces.Discrete(8)
    assert action_space(small()) == gym.spaces.MultiDiscrete([8, 8])
    assert action_space(small(action="preference")) == gym.spaces.Box(-1.0, 1.0, (5,), np.float32)


@pytest.mark.parametrize(
    ("parts", "actions", "sentence"),
    [
        ({"slate_size": 1}, np.array([0.0, 1.0]), "actions have type float64, expected integers"),
        ({"slate_size": 1}, np.array([0, 8]), r"found action 8, expected a candidate index in 0\.\.7"),
        ({"slate_size": 1}, np.array([-1, 3]), r"found action -1, expected"),
        ({"slate_size": 1}, np.array([1, 2, 3]), r"actions have shape \(3,\), expected \(2,\)"),
        ({}, np.array([1, 2]), r"actions have shape \(2,\), expected \(2, 2\)"),
        ({}, np.array([[True, False], [True, True]]), "actions have type bool, expected integers"),
        ({"action": "preference"}, np.zeros((2, 5), dtype=int), "actions have type int64, expected floats"),
        ({"action": "preference"}, np.zeros((2, 4)), r"actions have shape \(2, 4\), expected \(2, 5\)"),
        (
            {"action": "preference"},
            np.full((2, 5), np.nan),
            r"found a preference of nan, expected numbers in \[-1, 1\]",
        ),
        ({"action": "preference"}, np.full((2, 5), -np.inf), "found a preference of -inf"),
        ({"action": "preference"}, np.full((2, 5), 1.25), r"found a preference of 1\.25"),
    ],
)
def test_what_lies_outside_is_refused(parts: dict[str, Any], actions: np.ndarray, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_actions(small(**parts), actions, 2)


def test_integers_of_any_width_are_taken() -> None:
    taken = check_actions(small(slate_size=1), np.array([0, 7], dtype=np.uint8), 2)
    assert taken.dtype == np.int64
    assert taken.tolist() == [0, 7]


@pytest.mark.parametrize("face", [RecEnv, lambda task: RecVectorEnv(task, 1)], ids=["single", "vector"])
def test_the_faces_refuse_them_too(face: Any) -> None:
    env = face(small(slate_size=1))
    env.reset(seed=0)
    action = 8 if isinstance(env, RecEnv) else np.array([8])
    with pytest.raises(ValueError, match="found action 8"):
        env.step(action)


def brute_force(task: Task, simulation: Simulation, preference: np.ndarray) -> np.ndarray:
    """For each user in turn, the allowed candidates sorted by their dot product with the preference."""
    features = to_numpy(simulation.model.item_features).astype(np.float64)
    allowed = to_numpy(simulation.allowed())
    slates = []
    for user in range(simulation.num_users):
        offered = range(60) if simulation.candidates is None else to_numpy(simulation.candidates)[user].tolist()
        scored = [
            (-float(features[item] @ preference[user]) if allowed[user, index] else np.inf, index, item)
            for index, item in enumerate(offered)
        ]
        slates.append([item for _, _, item in sorted(scored)[: task.slate_size]])
    return np.array(slates)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("catalogue", [True, False], ids=["catalogue", "sampled"])
@pytest.mark.parametrize("mask", [True, False], ids=["masked", "open"])
def test_preferences_rank_candidates_by_dot_product(catalogue: bool, mask: bool, device: str) -> None:
    parts = {"candidates": FullCatalogue()} if catalogue else {}
    task = small(action="preference", mask_consumed=mask, slate_size=3, **parts)
    simulation = Simulation(task, 16, device=device, seed=0)
    # A feature of its own for each item, so that no two candidates tie.
    rng = np.random.default_rng(0)
    simulation.model.item_features = from_numpy(rng.normal(size=(60, 5)).astype(np.float32), device)
    simulation.reset()
    for _ in range(8):
        preference = rng.uniform(-1, 1, size=(16, 5)).astype(np.float32)
        slate = simulation.slate_of(from_numpy(preference, device))
        np.testing.assert_array_equal(to_numpy(slate), brute_force(task, simulation, preference))
        simulation.step(from_numpy(preference, device))
    assert not mask or not to_numpy(simulation.allowed()).all()
