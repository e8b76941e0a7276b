"""Transitions on disk: what agents that learn from logs are given, a batch at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.arrays import integers, permutation, to_numpy
from recgym.data.batches import gather_window
from recgym.data.transitions.columns import EVENTS, Problem, point_columns
from recgym.files import read_json
from recgym.seeding import make_generator
from recgym.types import Array, Generator

__all__ = ["Observations", "TransitionStore", "Transitions"]

if TYPE_CHECKING:
    Observations: TypeAlias = Any  # which of the two it is depends on the task
else:
    Observations = Tensor | dict[str, Tensor]
"""As an environment gives them: one array, or a dictionary of arrays, batched."""


class Transitions(NamedTuple):
    """Steps of users, in any order.

    Attributes:
        observation: before the step.
        action: candidate indices ``[B]`` or ``[B, K]``, or preference vectors ``[B, D]``.
        reward: after it.
        responses: each feedback channel, summed over the slate.
        costs: by the names of :attr:`Problem.costs`.
        log_propensity: of the action under the policy that chose it; NaN where unknown.
        terminated: whether the user left with the step; only then is the next observation worth nothing.
        next_observation: after the step, before any other user takes the place.
    """

    observation: Observations
    action: Tensor
    reward: Float32[Tensor, "B"]
    responses: Float32[Tensor, "B F"]
    costs: Float32[Tensor, "B C"]
    log_propensity: Float32[Tensor, "B"]
    terminated: Bool[Tensor, "B"]
    next_observation: Observations


@dataclass(frozen=True)
class TransitionStore:
    """Episodes of users, step by step; observations are put together when they are asked for.

    An episode of L steps is L + 1 points in a row: a point is the moment before a step, and the last one, the closing
    point, is the moment after the last step. Histories are not stored point by point: each point knows which events
    came before it, so a window of T costs nothing on disk.

    Attributes:
        problem: sizes, channels, and what an action is.
        columns: one array a column, see :func:`point_columns`; memory-mapped where the store was opened.
        item_features: one row an item.
        episodes: first and closing point of each episode, in ascending order.
    """

    problem: Problem
    columns: Mapping[str, np.ndarray]
    item_features: Float32[np.ndarray, "N D"]
    episodes: Int64[np.ndarray, "E 2"]

    def __post_init__(self) -> None:
        if len(self.episodes) == 0:
            raise ValueError(f"{self.problem.name}: the store holds no episode, at least one was expected")

    @classmethod
    def open(cls, folder: Path | str) -> "TransitionStore":
        """Map a folder that :class:`TransitionWriter` wrote; its columns are read from disk as they are needed.

        Raises:
            ValueError: the folder is not a store, or a column of it is not of the length that it should have.
        """
        folder = Path(folder)
        if not (folder / "transitions.json").is_file():
            raise ValueError(
                f"{folder} holds no steps to learn from, as it has no transitions.json; recgym record writes such a "
                "folder, and recgym data transitions makes one of a log"
            )
        meta = read_json(folder / "transitions.json")
        if not isinstance(meta, dict) or meta.get("format") != "recgym-transitions":
            raise ValueError(f"{folder / 'transitions.json'} does not describe a store of transitions")
        problem = Problem.from_json(meta["problem"])
        columns = {
            name: _mapped(folder / f"{name}.bin", dtype, (meta["events" if name in EVENTS else "points"], *shape))
            for name, (dtype, shape) in point_columns(problem).items()
        }
        features = _mapped(folder / "item_features.bin", np.float32, (problem.num_items, problem.features))
        episodes = _mapped(folder / "episodes.bin", np.int64, (meta["episodes"], 2))
        return cls(problem, columns, features, episodes)

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def steps(self) -> Int64[np.ndarray, "n"]:
        """All points at which something was shown: every point but the closing ones."""
        lengths = self.episodes[:, 1] - self.episodes[:, 0]
        before = np.cumsum(lengths) - lengths
        steps: np.ndarray = np.arange(lengths.sum()) + np.repeat(self.episodes[:, 0] - before, lengths)
        return steps

    @property
    def lengths(self) -> Int64[np.ndarray, "E"]:
        """Steps of each episode."""
        lengths: np.ndarray = self.episodes[:, 1] - self.episodes[:, 0]
        return lengths

    @cached_property
    def episode_of_step(self) -> Int64[np.ndarray, "n"]:
        """For each of :attr:`steps`, the row of :attr:`episodes` that it belongs to."""
        return np.repeat(np.arange(len(self.episodes)), self.lengths)

    @cached_property
    def unknown_propensities(self) -> int:
        """Steps of which it is not on record how likely the action was."""
        return int(np.isnan(self.columns["log_propensity"][self.steps]).sum())

    def subset(self, episodes: Int64[np.ndarray, "e"]) -> "TransitionStore":
        """The same store with some of its episodes, by their rows."""
        return replace(self, episodes=self.episodes[np.sort(episodes)])

    def split(self, share: float, seed: int) -> tuple["TransitionStore", "TransitionStore"]:
        """Two stores without a user in common: the second has about ``share`` of the users, drawn at random.

        Raises:
            ValueError: the share is not between 0 and 1, or there are not two users.
        """
        user = self.columns["user"][self.episodes[:, 0]]
        users = np.unique(user)
        if not 0 < share < 1 or len(users) < 2:
            raise ValueError(f"a split needs a share in (0, 1) and 2 users, found {share} and {len(users)} users")
        count = min(max(round(share * len(users)), 1), len(users) - 1)
        order = to_numpy(permutation(make_generator(seed, "split", device="numpy"), len(users)))
        second = np.isin(user, users[order[:count]])
        return self.subset(np.flatnonzero(~second)), self.subset(np.flatnonzero(second))

    def observations(self, points: Int64[np.ndarray, "B"], device: str = "cpu") -> Observations:
        """What an agent saw at each point, exactly as the environment showed it.

        Args:
            points: closing points are allowed.
            device: a torch device.
        """
        problem, columns = self.problem, self.columns
        if problem.flat:
            return torch.from_numpy(columns["flat"][points]).to(device)
        items, feedback, times, mask = gather_window(
            columns["event_items"], columns["event_feedback"], columns["event_time_s"],
            columns["first_event"][points], columns["last_event"][points], problem.window, problem.num_items,
        )  # fmt: skip
        gap = (columns["clock_s"][points][:, None] - times).astype(np.float32) * mask.astype(np.float32)
        seen: dict[str, np.ndarray] = {
            "history_items": items,
            "history_feedback": feedback,
            "history_gap_s": gap,
        }
        if problem.profile:
            seen["profile"] = columns["profile"][points]
        if problem.progress:
            parts = (columns["session"], columns["session_step"], columns["away_s"])
            session, step, away = (part[points] for part in parts)
            seen["progress"] = np.stack([session, step, (away / 86_400.0)], -1).astype(np.float32)
        if problem.candidates_vary:
            seen["candidates"] = columns["candidates"][points].astype(np.int64)
        return {name: torch.from_numpy(np.ascontiguousarray(part)).to(device) for name, part in seen.items()}

    def actions(self, points: Int64[np.ndarray, "B"], device: str = "cpu") -> Tensor:
        """What was chosen at each point, in the form that the environment takes."""
        chosen = torch.from_numpy(self.columns["action"][points]).to(device)
        if self.problem.action == "preference":
            return chosen
        return chosen[:, 0].long() if self.problem.slate_size == 1 else chosen.long()

    def responses(self, points: Int64[np.ndarray, "B"]) -> Float32[np.ndarray, "B F"]:
        """Each feedback channel, summed over the slate."""
        total: np.ndarray = self.columns["feedback"][points].sum(1)
        return total

    def batch(self, points: Int64[np.ndarray, "B"], device: str = "cpu") -> Transitions:
        """The steps that begin at the points.

        Args:
            points: of :attr:`steps`; a closing point begins none.
            device: a torch device.
        """

        def column(name: str) -> Tensor:
            return torch.from_numpy(self.columns[name][points]).to(device)

        return Transitions(
            self.observations(points, device), self.actions(points, device), column("reward"),
            torch.from_numpy(self.responses(points)).to(device), column("costs"), column("log_propensity"),
            column("terminated"), self.observations(points + 1, device),
        )  # fmt: skip

    def sample(self, size: int, generator: Generator, device: str = "cpu") -> Transitions:
        """Steps drawn uniformly, with replacement."""
        return self.batch(self.draw(size, generator), device)

    def draw(self, size: int, generator: Generator) -> Int64[np.ndarray, "B"]:
        """Points of :attr:`steps` drawn uniformly, with replacement."""
        drawn: np.ndarray = self.steps[to_numpy(integers(generator, len(self.steps), (size,)))]
        return drawn

    def windows(self, rows: Int64[np.ndarray, "B"], length: int) -> tuple[Int64[Array, "B L"], Bool[Array, "B L"]]:
        """The last steps of an episode up to some of its steps, for agents that read sequences.

        Args:
            rows: positions in :attr:`steps`; each window ends with that step.
            length: L.

        Returns:
            Points, right-aligned, and a mask that is False left of an episode's first step (the point there is the
            episode's first).
        """
        last = self.steps[rows]
        first = self.episodes[self.episode_of_step[rows], 0]
        points = last[:, None] - length + 1 + np.arange(length)
        return np.maximum(points, first[:, None]), points >= first[:, None]


def _mapped(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.is_file() or path.stat().st_size != size:
        found = f"{path.stat().st_size} bytes" if path.is_file() else "nothing"
        raise ValueError(f"{path}: found {found}, expected {size} bytes")
    return np.memmap(path, dtype, "r", shape=shape) if size else np.zeros(shape, dtype)
