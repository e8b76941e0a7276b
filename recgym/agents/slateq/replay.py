"""A replay buffer of many users side by side."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.types import Generator

__all__ = ["Replay", "Step", "Transitions"]

_OBSERVATION = "observation/"


class Step(NamedTuple):
    """One step of all users.

    Attributes:
        observation: before it.
        slate: what was shown, columns of the candidates.
        picked: position that was picked; K for none.
        reward: what it gave.
        terminated: whether the episode ended with it by itself.
        cut: whether what follows it was never seen, because a limit ended the episode.
    """

    observation: Mapping[str, Tensor]
    slate: Int64[Tensor, "B K"]
    picked: Int64[Tensor, "B"]
    reward: Float32[Tensor, "B"]
    terminated: Bool[Tensor, "B"]
    cut: Bool[Tensor, "B"]


class Transitions(NamedTuple):
    """Steps, each with the step that the same user took next; that of another user's first step after an end.

    Attributes:
        step: the steps.
        next_observation: of the next ones.
        next_slate: what was shown then.
    """

    step: Step
    next_observation: Mapping[str, Tensor]
    next_slate: Int64[Tensor, "B K"]


class Replay:
    """The last steps of all users, in arrays that are made once: a ring of slots, each a step of every user.

    What follows a step stands in the next slot, so an observation is kept once. Ids are kept as int32.

    Args:
        capacity: user-steps to keep, rounded up to whole slots, at least two.
        users: B.
    """

    def __init__(self, capacity: int, users: int) -> None:
        self.slots = max(-(-capacity // users), 2)
        self.users = users
        self.filled = self._next = 0
        self._arrays: dict[str, Tensor] = {}

    def add(self, step: Step) -> None:
        """Keep a step, in the place of the oldest one where the ring is full."""
        columns = _columns(step)
        if not self._arrays:
            self._arrays = {
                name: torch.zeros((self.slots, *values.shape), dtype=values.dtype) for name, values in columns.items()
            }
        for name, values in columns.items():
            self._arrays[name][self._next] = values
        self._next = (self._next + 1) % self.slots
        self.filled = min(self.filled + 1, self.slots)

    def sample(self, size: int, generator: Generator) -> Transitions:
        """Transitions drawn with replacement; there must be two slots or more."""
        oldest = self._next if self.filled == self.slots else 0
        slot = (oldest + torch.randint(self.filled - 1, (size,), generator=generator)) % self.slots
        user = torch.randint(self.users, (size,), generator=generator)
        index, after = slot * self.users + user, (slot + 1) % self.slots * self.users + user
        flat = {name: values.flatten(0, 1) for name, values in self._arrays.items()}
        step = Step(
            _observation({name: values[index] for name, values in flat.items() if name.startswith(_OBSERVATION)}),
            flat["slate"][index].long(), flat["picked"][index].long(), flat["reward"][index],
            flat["terminated"][index], flat["cut"][index],
        )  # fmt: skip
        following = {name: values[after] for name, values in flat.items() if name.startswith(_OBSERVATION)}
        return Transitions(step, _observation(following), flat["slate"][after].long())

    def kept(self, name: str) -> Tensor:
        """What is kept of one field of the steps, in any order."""
        return self._arrays[name][: self.filled]

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


def _columns(step: Step) -> dict[str, Tensor]:
    columns = {f"{_OBSERVATION}{key}": values for key, values in step.observation.items()}
    columns |= {name: value for name, value in step._asdict().items() if name != "observation"}
    return {name: values.int() if values.dtype == torch.int64 else values for name, values in columns.items()}


def _observation(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(_OBSERVATION): values for name, values in columns.items()}
