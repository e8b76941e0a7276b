"""Playing environments with random actions, for the checks."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space

from recgym.envs import AutoresetMode, RecEnv, RecVectorEnv

__all__ = ["STEP_LIMIT", "Actions", "Maker", "Step", "play", "play_to_end", "returns", "row_of"]

STEP_LIMIT = 2000


class Step(NamedTuple):
    """What one call of ``reset`` or ``step`` gave; reward and ends are None for a reset."""

    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: dict[str, Any]


@dataclass(frozen=True)
class Maker:
    """Makes one environment in all its forms.

    Attributes:
        env_id: Gymnasium id.
        settings: keyword arguments for ``gym.make`` and ``gym.make_vec``.
    """

    env_id: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def single(self) -> RecEnv:
        """One user, through ``gym.make``, without Gymnasium's wrappers."""
        env = gym.make(self.env_id, disable_env_checker=True, **self.settings).unwrapped
        assert isinstance(env, RecEnv), f"{self.env_id}: gym.make gives a {type(env).__name__}, a RecEnv was expected"
        return env

    def vector(
        self, num_envs: int, mode: AutoresetMode = AutoresetMode.NEXT_STEP, device: str | None = None
    ) -> RecVectorEnv:
        """Several users, through ``gym.make_vec``; on the device of the settings, if none is given."""
        env = gym.make_vec(
            self.env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", autoreset_mode=mode,
            **{**self.settings, **({"device": device} if device else {})},
        ).unwrapped  # fmt: skip
        name = type(env).__name__
        assert isinstance(env, RecVectorEnv), f"{self.env_id}: gym.make_vec gives a {name}, a RecVectorEnv was expected"
        return env


class Actions:
    """Random actions for B users from a seed; two of the same seed give the same.

    Args:
        single: space of one user's action.
        num_envs: B.
        seed: of the draws.
    """

    def __init__(self, single: gym.Space[Any], num_envs: int, seed: int) -> None:
        self._space = batch_space(single, num_envs)
        self._space.seed(seed)

    def next(self) -> np.ndarray:
        """Actions of all users."""
        return np.array(self._space.sample())


def play(env: RecVectorEnv, steps: int, *, seed: int) -> list[Step]:
    """A seeded reset and some steps of random actions from the same seed, copied as they come."""
    actions = Actions(env.single_action_space, env.num_envs, seed)
    observation, info = env.reset(seed=seed)
    seen = [copy.deepcopy(Step(observation, None, None, None, info))]
    for _ in range(steps):
        seen.append(copy.deepcopy(Step(*env.step(actions.next()))))
    return seen


def play_to_end(env: RecVectorEnv, *, seed: int) -> tuple[list[Step], Actions]:
    """As :func:`play`, up to and with the first step that ends an episode; also the actions that come next."""
    actions = Actions(env.single_action_space, env.num_envs, seed)
    observation, info = env.reset(seed=seed)
    seen = [copy.deepcopy(Step(observation, None, None, None, info))]
    while len(seen) <= STEP_LIMIT:
        seen.append(copy.deepcopy(Step(*env.step(actions.next()))))
        if (seen[-1].terminated | seen[-1].truncated).any():
            return seen, actions
    raise AssertionError(f"{env.task.name}: no episode ended within {STEP_LIMIT} steps of random actions")


def returns(env: RecVectorEnv, episodes: int, *, seed: int) -> np.ndarray:
    """Returns ``[episodes]`` of random actions, the components of a vector reward added; one episode a row and reset.

    Taking the first episodes that end instead would favour short ones.
    """
    actions = Actions(env.single_action_space, env.num_envs, seed)
    totals = []
    for batch in range(-(-episodes // env.num_envs)):
        env.reset(seed=seed if batch == 0 else None)
        total, alive = np.zeros(env.num_envs), np.ones(env.num_envs, dtype=bool)
        for _ in range(STEP_LIMIT):
            _, reward, terminated, truncated, _ = env.step(actions.next())
            total += np.where(alive, reward.reshape(env.num_envs, -1).sum(axis=1), 0.0)
            alive &= ~(terminated | truncated)
            if not alive.any():
                break
        totals.append(total)
    return np.concatenate(totals)[:episodes]


def row_of(tree: Any, row: int | np.ndarray) -> Any:
    """One row, or some, of every array in nested dictionaries."""
    if isinstance(tree, dict):
        return {key: row_of(value, row) for key, value in tree.items()}
    return tree[row]
