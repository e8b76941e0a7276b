"""What a step is worth: rewards and costs made from feedback channels, or any function of your own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float32, Int64

from recgym.arrays import as_float, namespace, sum_columns
from recgym.data.schema import FeedbackSchema
from recgym.types import Array, Response

__all__ = ["ChannelReward", "Outcome", "RewardFn", "VectorReward"]


class Outcome(NamedTuple):
    """One step of a batch of users, as a system could see it.

    Attributes:
        slate: item ids shown.
        response: the users' feedback.
        left: users whose session ended with this step.
        step: steps of the episode so far, this one included.
    """

    slate: Int64[Array, "B K"]
    response: Response
    left: Bool[Array, "B"]
    step: Int64[Array, "B"]


@runtime_checkable
class RewardFn(Protocol):
    """Any callable from an outcome to a reward ``[B]``, or ``[B, V]`` for a vector of objectives."""

    def __call__(self, outcome: Outcome) -> Array:
        """The reward of each user."""
        ...


@dataclass(frozen=True)
class ChannelReward:
    """Weighted sum of feedback channels, summed over the slate.

    Attributes:
        schema: of the user model.
        weights: channel name to weight; channels not named count nothing.
    """

    schema: FeedbackSchema
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        _ = self._terms  # so that an unknown channel is told of now

    @cached_property
    def _terms(self) -> tuple[tuple[int, float], ...]:
        """Column and weight of each channel that counts."""
        return tuple((self.schema.index(name), weight) for name, weight in self.weights.items())

    def __call__(self, outcome: Outcome) -> Float32[Array, "B"]:
        """See :class:`RewardFn`."""
        total = None
        for column, weight in self._terms:
            part = sum_columns(outcome.response.feedback[:, :, column])
            part = part if weight == 1.0 else part * weight
            total = part if total is None else total + part
        return as_float(outcome.step * 0) if total is None else total


@dataclass(frozen=True)
class VectorReward:
    """Several rewards side by side, one column each.

    Attributes:
        parts: the rewards, each ``[B]``.
    """

    parts: tuple[RewardFn, ...]

    def __call__(self, outcome: Outcome) -> Float32[Array, "B V"]:
        """See :class:`RewardFn`."""
        columns = [part(outcome) for part in self.parts]
        return namespace(columns[0]).stack(columns, -1)
