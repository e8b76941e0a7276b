"""Batches as d3rlpy takes them, cut straight from a store of transitions: no object a step, no copy of the log."""

from collections.abc import Callable

import numpy as np
import torch
from d3rlpy.dataset import TrajectoryMiniBatch, TransitionMiniBatch
from jaxtyping import Float32, Int64
from torch import nn

from recgym.agents.offline.returns import returns_to_go
from recgym.arrays import integers, to_numpy
from recgym.data.export import item_actions, preference_actions
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["Prepared"]

_AT_ONCE = 8192


class Prepared:
    """A store whose states were worked out once: 4 bytes a number and point.

    Args:
        store: the steps.
        states: from observations to vectors.
        discrete: item ids as actions; else preference vectors.
        chained: leave out steps whose next action is unknown, for algorithms that learn from it.

    Raises:
        ValueError: no step is left.
    """

    def __init__(self, store: TransitionStore, states: nn.Module, discrete: bool, chained: bool = False) -> None:
        self.store = store
        points = np.arange(len(store.columns["user"]))
        actions = item_actions(store, points)[:, None] if discrete else preference_actions(store, points)
        self._actions = actions.astype(np.float32)
        self._states = _worked_out(store, states, points)
        self._reward = np.asarray(store.columns["reward"], np.float32)[:, None]
        self._terminated = np.asarray(store.columns["terminated"], np.float32)[:, None]
        self._return = returns_to_go(store)
        self._steps = store.steps
        if chained:
            closing = np.isin(self._steps + 1, store.episodes[:, 1])
            self._steps = self._steps[~closing | (self._terminated[self._steps, 0] > 0)]
            if not len(self._steps):
                raise ValueError(f"{store.problem.name}: no next action is known of any step")

    @property
    def width(self) -> int:
        """S, numbers of a state."""
        return int(self._states.shape[1])

    def starts(self) -> Float32[np.ndarray, "E S"]:
        """The first state of each episode."""
        first: np.ndarray = self._states[self.store.episodes[:, 0]]
        return first

    def transitions(self, size: int, generator: Generator) -> TransitionMiniBatch:
        """Steps drawn uniformly, with replacement."""
        points = self._steps[to_numpy(integers(generator, len(self._steps), (size,)))]
        return TransitionMiniBatch(
            observations=self._states[points], actions=self._actions[points], rewards=self._reward[points],
            next_observations=self._states[points + 1], next_actions=self._actions[points + 1],
            terminals=self._terminated[points], intervals=np.ones((size, 1), np.float32), transitions=[],
        )  # fmt: skip

    def trajectories(self, size: int, length: int, longest: int, generator: Generator) -> TrajectoryMiniBatch:
        """The stretches that end with steps drawn uniformly, with replacement; shorter ones are padded in front.

        Args:
            size: B.
            length: L, steps of a stretch.
            longest: steps are counted up to here.
            generator: draws.
        """
        rows = to_numpy(integers(generator, len(self.store), (size,)))
        points, mask = (to_numpy(part) for part in self.store.windows(rows, length))
        present = mask.astype(np.float32)[:, :, None]
        first = self.store.episodes[self.store.episode_of_step[rows], 0]
        timesteps = np.minimum(points - first[:, None] + 1, longest).astype(np.float32) * present[:, :, 0]
        cut: Callable[[np.ndarray], np.ndarray] = lambda part: part[points] * present  # noqa: E731
        return TrajectoryMiniBatch(
            observations=cut(self._states), actions=cut(self._actions), rewards=cut(self._reward),
            returns_to_go=cut(self._return), terminals=cut(self._terminated), timesteps=timesteps,
            masks=present[:, :, 0], length=length,
        )  # fmt: skip


def _worked_out(
    store: TransitionStore, states: nn.Module, points: Int64[np.ndarray, "P"]
) -> Float32[np.ndarray, "P S"]:
    with torch.no_grad():
        parts = [
            states(store.observations(points[first : first + _AT_ONCE])).numpy()
            for first in range(0, len(points), _AT_ONCE)
        ]
    return np.concatenate(parts).astype(np.float32)
