"""A yardstick that no policy can be: it sees the users' hidden state."""

from typing import Any

import numpy as np
import torch

from recgym.agents.base import NoState
from recgym.arrays import arange, device_of, full, take_rows
from recgym.envs.rewards import Outcome
from recgym.envs.simulation import Simulation
from recgym.types import Array, Decision, Generator

__all__ = ["OneStepOracle"]

_ROWS = 65_536
_FORBIDDEN = -1e30


class OneStepOracle:
    """Shows the slate with the largest true expected reward of this step, looking at the hidden state.

    The slate is built position by position: the candidate that adds most to what is already chosen. For one item, and
    for users whose answers to the items of a slate are independent, that is the best slate; else it is greedy. It is
    best for the step at hand only: a policy that looks further ahead can beat it. A reward that is not linear in the
    feedback is taken at the expected feedback; rewards for coming back count nothing, as no step is known beforehand to
    be the last of its session.

    Args:
        simulation: the simulation that it acts in, hidden state included.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def init_state(self, users: int, device: str) -> NoState:
        """See :class:`recgym.agents.Policy`."""
        return NoState()

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`recgym.agents.Policy`. The observation is not used; the choice is deterministic."""
        simulation, device = self.simulation, device_of(generator)
        users, k = simulation.num_users, simulation.task.slate_size
        items = simulation.candidates
        if items is None:
            items = arange(simulation.num_candidates, device)[None, :] + full((users, 1), 0, "int64", device)
        rows = arange(users, device)
        chosen: list[Array] = []
        taken = full(tuple(items.shape), False, "bool", device)
        forbidden = ~simulation.allowed()
        for _ in range(k):
            values = self._values(items, [items[rows, index] for index in chosen])
            values[forbidden] = _FORBIDDEN  # still above those already chosen, so that a slate can always be filled
            values[taken] = -float("inf")
            best = values.argmax(-1)
            taken[rows, best] = True
            chosen.append(best)
        action = chosen[0] if k == 1 else _columns(chosen)
        return Decision(action, full((users,), 0.0, "float32", device)), state

    def _values(self, items: Array, chosen: list[Array]) -> Array:
        """Expected reward of the chosen items followed by each candidate, ``[B, M]``."""
        simulation = self.simulation
        users, m = items.shape
        device = simulation.device
        blocks = []
        for start in range(0, users, max(1, _ROWS // m)):  # blocks bound the memory of users x candidates
            rows = arange(users, device)[start : start + max(1, _ROWS // m)]
            tiled = rows[:, None] + full((1, m), 0, "int64", device)
            flat = tiled.reshape(-1)
            slate = _columns([*(column[flat] for column in chosen), items[rows].reshape(-1)])
            response = simulation.model.expected(take_rows(simulation.users, flat), slate)
            left = full((flat.shape[0],), False, "bool", device)
            no_gap = full((flat.shape[0],), float("nan"), "float64", device)
            outcome = Outcome(slate, response, left, simulation.steps[flat] + 1, no_gap)
            blocks.append(simulation.task.reward(outcome).reshape(-1, m))
        return np.concatenate(blocks) if device == "numpy" else torch.cat(blocks)


def _columns(columns: list[Array]) -> Array:
    return np.stack(columns, 1) if isinstance(columns[0], np.ndarray) else torch.stack(columns, 1)
