"""What a step of a simulation did, and a copy of everything that a simulation holds."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from recgym.envs.history import HistoryRing
from recgym.simulators.organic import Visit
from recgym.types import Array, Response

__all__ = ["SimulationState", "Transition", "copy_tree"]


class Transition(NamedTuple):
    """What one step did.

    Attributes:
        slate: item ids shown.
        response: the users' feedback.
        reward: ``[B]``, or ``[B, V]`` for a vector reward.
        costs: each ``[B]``, by name.
        terminated: users whose episode ended by itself: they left, for good where a task has several sessions.
        truncated: users who would have gone on, but reached a limit of the task.
        time_s: seconds since each user's episode began, at the end of the step.
        return_gap_s: seconds until the next session, which then has begun: NaN where no session ended with this step,
            infinity for never; None where the task has one session only.
        visit: what users consumed unasked after the step; None for users who never do.
    """

    slate: Int64[Array, "B K"]
    response: Response
    reward: Array
    costs: dict[str, Array]
    terminated: Bool[Array, "B"]
    truncated: Bool[Array, "B"]
    time_s: Float64[Array, "B"]
    return_gap_s: Float64[Array, "B"] | None
    visit: Visit | None


class SimulationState(NamedTuple):
    """A complete copy of a simulation's state, its generator included; see :meth:`Simulation.get_state`."""

    users: Any
    ring: HistoryRing
    candidates: Array | None
    ahead: Array | None
    clock_s: Array
    steps: Array
    session: Array
    session_start: Array
    away_s: Array
    memory: Any
    generator: Any


def copy_tree(tree: Any) -> Any:
    """The same nested tuple with arrays in memory of their own."""
    if isinstance(tree, tuple):
        leaves = [copy_tree(leaf) for leaf in tree]
        return type(tree)(*leaves) if hasattr(tree, "_fields") else tuple(leaves)
    if isinstance(tree, np.ndarray):
        return tree.copy()
    return tree.clone() if isinstance(tree, torch.Tensor) else tree
