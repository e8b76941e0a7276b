"""A replay buffer of many users side by side."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from recgym.types import Generator

__all__ = ["Experience", "Replay"]

_OBSERVATION = "observation/"


class Experience(NamedTuple):
    """Steps of users, each with the step that the same user took next.

    Attributes:
        observation: before the steps.
        kept: whatever else was kept of the steps, by name; ``reward``, ``terminated`` and ``cut`` always are.
        next_observation: of the next steps: of another user's first one where the episode ended.
        next_kept: whatever was kept of the next steps.
    """

    observation: dict[str, Tensor]
    kept: dict[str, Tensor]
    next_observation: dict[str, Tensor]
    next_kept: dict[str, Tensor]


class Replay:
    """The last steps of all users, in arrays that are made once: a ring of slots, each a step of every user.

    What follows a step stands in the next slot, so an observation is kept once. Whole numbers are kept as int32.

    Args:
        capacity: user-steps to keep, rounded up to whole slots, at least two.
        users: B.

    Attributes:
        slots: how many there are.
        filled: how many hold a step.
    """

    def __init__(self, capacity: int, users: int) -> None:
        self.slots = max(-(-capacity // users), 2)
        self.users = users
        self.filled = self._next = 0
        self._arrays: dict[str, Tensor] = {}

    def add(self, observation: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> None:
        """Keep a step of all users, in the place of the oldest one where the ring is full.

        Args:
            observation: before the step.
            kept: what else is to be kept, with ``reward``, ``terminated`` (the user left with the step) and ``cut``
                (what follows was never seen, because a limit ended the episode).
        """
        columns = {f"{_OBSERVATION}{name}": values for name, values in observation.items()} | dict(kept)
        columns = {name: v.int() if v.dtype == torch.int64 else v for name, v in columns.items()}
        if not self._arrays:
            self._arrays = {
                name: torch.zeros((self.slots, *values.shape), dtype=values.dtype) for name, values in columns.items()
            }
        for name, values in columns.items():
            self._arrays[name][self._next] = values
        self._next = (self._next + 1) % self.slots
        self.filled = min(self.filled + 1, self.slots)

    def sample(self, size: int, generator: Generator) -> Experience:
        """Steps drawn uniformly, with replacement; there must be two slots or more."""
        oldest = self._next if self.filled == self.slots else 0
        slot = (oldest + torch.randint(self.filled - 1, (size,), generator=generator)) % self.slots
        user = torch.randint(self.users, (size,), generator=generator)
        now = self._rows(slot * self.users + user)
        after = self._rows((slot + 1) % self.slots * self.users + user)
        return Experience(*_parted(now), *_parted(after))

    def _rows(self, index: Tensor) -> dict[str, Tensor]:
        rows = {name: values.flatten(0, 1)[index] for name, values in self._arrays.items()}
        return {name: values.long() if values.dtype == torch.int32 else values for name, values in rows.items()}

    def kept(self, name: str) -> Tensor:
        """What is kept of one field of the steps, ``[slots, users, ...]``, in any order of the slots."""
        return self._arrays[name][: self.filled]

    def observed(self, name: str) -> Tensor:
        """The same of one field of the observations."""
        return self.kept(f"{_OBSERVATION}{name}")

    def to_tensors(self) -> dict[str, Tensor]:
        """What is kept, oldest first, for a checkpoint; empty before the first step."""
        shift = -self._next if self.filled == self.slots else 0
        return {name: values[: self.filled].roll(shift, 0) for name, values in self._arrays.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what :meth:`to_tensors` gave; what follows the newest step is not known any more.

        Raises:
            ValueError: it is of another number of users, or does not fit.
        """
        if not tensors:
            return
        filled, users = tensors["cut"].shape
        if users != self.users or filled > self.slots:
            raise ValueError(f"its replay buffer has {filled} slots of {users} users, {self.slots} of {self.users} fit")
        self._arrays = {
            name: torch.zeros((self.slots, *values.shape[1:]), dtype=values.dtype) for name, values in tensors.items()
        }
        for name, values in tensors.items():
            self._arrays[name][:filled] = values
        self._arrays["cut"][filled - 1] = True
        self.filled, self._next = int(filled), int(filled) % self.slots


def _parted(rows: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Observations and the rest."""
    seen = {n.removeprefix(_OBSERVATION): values for n, values in rows.items() if n.startswith(_OBSERVATION)}
    return seen, {name: values for name, values in rows.items() if not name.startswith(_OBSERVATION)}
