"""What an agent sees: numpy-ready arrays made from what a system could know, never from a user's hidden state."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import gymnasium as gym
import numpy as np

from recgym.arrays import as_float, namespace
from recgym.types import Array

if TYPE_CHECKING:
    from recgym.envs.simulation import Simulation
    from recgym.envs.task import Task

__all__ = ["FlatObserver", "HistoryObserver", "Observation", "Observer"]

Observation = Array | dict[str, Array]
_UNBOUNDED = float(np.finfo(np.float32).max)


def _reals(*shape: int) -> gym.spaces.Box:
    return gym.spaces.Box(-np.inf, np.inf, shape, np.float32)


class Observer(Protocol):
    """Makes the observation of all users at once."""

    def space(self, task: "Task") -> gym.Space:  # type: ignore[type-arg]
        """The space of one user's observation."""
        ...

    def __call__(self, simulation: "Simulation") -> Observation:
        """The batched observation, fresh arrays of the simulation's device."""
        ...


@dataclass(frozen=True)
class FlatObserver:
    """One short vector a user: profile, features of the last item, its feedback, fraction of the horizon left.

    Everything about the last item is 0 until something was consumed.

    Attributes:
        horizon: steps of the whole episode.
    """

    horizon: int

    def space(self, task: "Task") -> gym.spaces.Box:
        """See :class:`Observer`."""
        return _reals(task.model.profile_size + task.model.item_features.shape[1] + len(task.model.schema) + 1)

    def __call__(self, simulation: "Simulation") -> Array:
        """See :class:`Observer`."""
        item, feedback = simulation.ring.last(simulation.device)
        left = as_float(self.horizon - simulation.steps) / self.horizon
        return namespace(left).concatenate(
            [simulation.profile(), simulation.padded_features[item], feedback, left[:, None]], 1
        )


@dataclass(frozen=True)
class HistoryObserver:
    """A dictionary of what is known about each user.

    ====================  ===============  ====================================================================
    key                   shape, type      meaning
    ====================  ===============  ====================================================================
    ``profile``           [P] float32      observable features of the user; absent if P = 0
    ``history_items``     [T] int64        ids of consumed items, newest last; N is padding
    ``history_feedback``  [T, F] float32   the feedback they got
    ``history_gap_s``     [T] float32      seconds from each event to now; 0 at padding
    ``candidates``        [M] int64        ids of the items on offer; absent if the full catalogue is
    ====================  ===============  ====================================================================
    """

    def space(self, task: "Task") -> gym.spaces.Dict:
        """See :class:`Observer`."""
        n, t = task.model.num_items, task.window
        spaces: dict[str, gym.Space] = {  # type: ignore[type-arg]
            "history_items": gym.spaces.Box(0, n, (t,), np.int64),
            "history_feedback": _reals(t, len(task.model.schema)),
            "history_gap_s": gym.spaces.Box(0, _UNBOUNDED, (t,), np.float32),
        }
        if task.model.profile_size:
            spaces["profile"] = _reals(task.model.profile_size)
        if task.num_candidates < n:
            spaces["candidates"] = gym.spaces.Box(0, n - 1, (task.num_candidates,), np.int64)
        return gym.spaces.Dict(spaces)

    def __call__(self, simulation: "Simulation") -> dict[str, Array]:
        """See :class:`Observer`."""
        history = simulation.history()
        gap = as_float(simulation.clock_s[:, None] - history.time_s) * history.mask
        observation = {
            "history_items": history.items,
            "history_feedback": history.feedback,
            "history_gap_s": gap,
        }
        if simulation.task.model.profile_size:
            observation["profile"] = simulation.profile()
        if simulation.candidates is not None:
            observation["candidates"] = simulation.candidates
        return observation
