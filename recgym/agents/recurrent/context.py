"""What a policy may know of the world that its users share, beside each user's own steps."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.types import Generator

__all__ = ["Context", "NoContext"]


@runtime_checkable
class Context(Protocol):
    """Makes a vector for each user from what all users of the same world show in a step."""

    @property
    def width(self) -> int:
        """L, width of the vector."""
        ...

    def start(self, users: int) -> Float32[Tensor, "B L"]:
        """The vectors before anything was seen."""
        ...

    def step(
        self, features: Float32[Tensor, "B D"], group: Int64[Tensor, "B"], last: Float32[Tensor, "B L"]
    ) -> Float32[Tensor, "B L"]:
        """The vectors now.

        Args:
            features: scaled features of each user's step.
            group: which users share a world, ``0..G-1``.
            last: the vectors one step before.
        """
        ...

    def begin(self, features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], generator: Generator) -> None:
        """Learn from a first rollout, before the policy learns anything."""
        ...

    def learn(self, features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], generator: Generator) -> float:
        """Learn from a further rollout; returns the loss, 0 if there is nothing to learn."""
        ...

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """All that :meth:`learn` changes, of modules and optimizers, for a checkpoint."""
        ...

    def load_state_dict(self, state: Mapping[str, dict[str, Any]]) -> None:
        """The inverse of :meth:`state_dict`."""
        ...


class NoContext:
    """Nothing is known of the world: vectors of width 0."""

    width = 0

    def start(self, users: int) -> Float32[Tensor, "B L"]:
        """See :class:`Context`."""
        return torch.zeros(users, 0)

    def step(
        self, features: Float32[Tensor, "B D"], group: Int64[Tensor, "B"], last: Float32[Tensor, "B L"]
    ) -> Float32[Tensor, "B L"]:
        """See :class:`Context`."""
        return last

    def begin(self, features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], generator: Generator) -> None:
        """See :class:`Context`."""

    def learn(self, features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], generator: Generator) -> float:
        """See :class:`Context`."""
        return 0.0

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """See :class:`Context`."""
        return {}

    def load_state_dict(self, state: Mapping[str, dict[str, Any]]) -> None:
        """See :class:`Context`."""
