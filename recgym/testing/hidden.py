"""Proof that the hidden state of users reaches no agent: by intervention, and by looking for its values."""

from typing import Any

import numpy as np

from recgym.arrays import from_numpy, take_rows, to_numpy
from recgym.envs import RecVectorEnv
from recgym.envs.vector import numpy_observation, step_info
from recgym.testing.checks import assert_same, leaves
from recgym.testing.play import Actions, Maker

__all__ = ["check_intervention", "check_values"]

USERS, STEPS, SEED = 64, 20, 5
ROUNDING = 1e-6


def check_intervention(maker: Maker) -> None:
    """Users with each other's hidden state look the same as before, after a reset and after each of some steps."""
    env = maker.vector(USERS)
    actions = Actions(env.single_action_space, USERS, SEED)
    env.reset(seed=SEED)
    for count in range(STEPS + 1):
        _intervene(env, f"{maker.env_id}, after {count} steps")
        env.step(actions.next())


def _intervene(env: RecVectorEnv, where: str) -> None:
    simulation = env.simulation
    state = simulation.get_state()
    seen = numpy_observation(simulation), step_info(simulation, None)
    order = from_numpy(np.roll(np.arange(USERS), 1), simulation.device)
    for field in env.task.model.hidden_fields:
        users = state.users._replace(**{field: take_rows(getattr(state.users, field), order)})
        simulation.set_state(state._replace(users=users))
        now = numpy_observation(simulation), step_info(simulation, None)
        assert_same(seen, now, f"{where}: the observation or info depends on the hidden field {field!r}")
    simulation.set_state(state)


def check_values(maker: Maker) -> None:
    """No number in an observation, a reward or an info is a hidden one, of before or after the step, for every user."""
    env = maker.vector(USERS)
    actions = Actions(env.single_action_space, USERS, SEED)
    observation, info = env.reset(seed=SEED)
    before: dict[str, np.ndarray] = {}
    for count in range(STEPS + 1):
        hidden = _hidden_columns(env)
        for name, values in (before | hidden).items():
            _search({"observation": observation, "info": info}, name, values, f"{maker.env_id}, after {count} steps")
        before = {f"{name} (before the step)": values for name, values in hidden.items()}
        observation, _, _, _, info = env.step(actions.next())


def _columns(array: Any) -> np.ndarray:
    values = to_numpy(array)
    return values.reshape(values.shape[0], -1).astype(np.float64)


def _hidden_columns(env: RecVectorEnv) -> dict[str, np.ndarray]:
    """Each hidden number that is not the same for all users, ``[B, columns]``, by the name of its field."""
    users = env.simulation.users
    found = {}
    for field in env.task.model.hidden_fields:
        for path, array in leaves(getattr(users, field), field):
            columns = _columns(array)
            found[path] = columns[:, np.ptp(columns, axis=0) > 0]
    return found


def _search(seen: dict[str, Any], name: str, hidden: np.ndarray, where: str) -> None:
    for path, array in leaves(seen):
        if not isinstance(array, np.ndarray) or array.dtype == object:
            continue
        shown = _columns(array)
        for index in range(hidden.shape[1]):
            apart = np.abs(shown - hidden[:, index : index + 1]).max(axis=0)
            size = np.abs(hidden[:, index]).max()
            assert not (apart <= ROUNDING * size).any(), (
                f"{where}: {path!r} shows the hidden field {name!r} of every user"
            )
