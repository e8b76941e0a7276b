"""Action spaces of a task, and the check that an action lies in its space."""

from typing import Any

import gymnasium as gym
import numpy as np

from recgym.envs.task import Task

__all__ = ["action_space", "check_action", "check_actions"]


def action_space(task: Task) -> gym.Space:  # type: ignore[type-arg]
    """The space of one user's action.

    ``Discrete(M)`` for one item, ``MultiDiscrete([M] * K)`` for an ordered slate, ``Box(-1, 1, (D,))`` for a preference
    vector.
    """
    if task.action == "preference":
        return gym.spaces.Box(-1.0, 1.0, (task.model.item_features.shape[1],), np.float32)
    if task.slate_size == 1:
        return gym.spaces.Discrete(task.num_candidates)
    return gym.spaces.MultiDiscrete(np.full(task.slate_size, task.num_candidates))


def check_action(task: Task, action: Any) -> np.ndarray:
    """The action of a single user as a batch of one; a valid index is let through without a look at arrays.

    Raises:
        ValueError: as :func:`check_actions`.
    """
    index = type(action) is int or isinstance(action, np.integer)
    if index and task.slate_size == 1 and task.action == "items" and 0 <= action < task.num_candidates:
        return np.array([action], dtype=np.int64)
    return check_actions(task, np.asarray(action)[None], 1)


def check_actions(task: Task, actions: np.ndarray, num_users: int) -> np.ndarray:
    """The actions with the type that the simulation takes.

    Raises:
        ValueError: wrong shape, wrong type, or a value outside the space; the sentence says what was found and
            expected.
    """
    if task.action == "preference":
        return _check_preference(task, actions, num_users)
    shape = (num_users,) if task.slate_size == 1 else (num_users, task.slate_size)
    if actions.dtype.kind not in "iu":
        raise ValueError(f"{task.name}: actions have type {actions.dtype}, expected integers")
    if actions.shape != shape:
        raise ValueError(f"{task.name}: actions have shape {actions.shape}, expected {shape}")
    candidates = task.num_candidates
    if num_users == 1:
        indices = actions.ravel().tolist()
        low, high = min(indices), max(indices)
    else:
        low, high = actions.min(), actions.max()
    if low < 0 or high >= candidates:
        bad = low if low < 0 else high
        raise ValueError(f"{task.name}: found action {bad}, expected a candidate index in 0..{candidates - 1}")
    return actions if actions.dtype == np.int64 else actions.astype(np.int64)


def _check_preference(task: Task, actions: np.ndarray, num_users: int) -> np.ndarray:
    shape = (num_users, task.model.item_features.shape[1])
    if actions.dtype.kind != "f":
        raise ValueError(f"{task.name}: actions have type {actions.dtype}, expected floats")
    if actions.shape != shape:
        raise ValueError(f"{task.name}: actions have shape {actions.shape}, expected {shape}")
    outside = ~(np.abs(actions) <= 1)  # so spelled, NaN is outside too
    if outside.any():
        raise ValueError(f"{task.name}: found a preference of {actions[outside][0]}, expected numbers in [-1, 1]")
    return actions.astype(np.float32, copy=False)
