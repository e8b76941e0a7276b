"""What a step is worth: rewards and costs made from feedback channels, or any function of your own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import as_float, namespace, sum_columns
from recgym.data.schema import FeedbackSchema
from recgym.envs.levels import DAY_S
from recgym.types import Array, Response

__all__ = ["ChannelReward", "Outcome", "RetentionReward", "RewardFn", "SumReward", "VectorReward"]


class Outcome(NamedTuple):
    """One step of a batch of users, as a system could see it.

    Attributes:
        slate: item ids shown.
        response: the users' feedback.
        left: users whose session ended with this step.
        step: steps of the episode so far, this one included.
        return_gap_s: seconds until the next session: NaN where no session ended with this step, infinity for never;
            None where the task has one session only.
        uncertainty: how unsure the users' model was of each position of the slate, given weights of channels; worked
            out when it is called. None if the model does not know.
    """

    slate: Int64[Array, "B K"]
    response: Response
    left: Bool[Array, "B"]
    step: Int64[Array, "B"]
    return_gap_s: Float64[Array, "B"] | None = None
    uncertainty: Callable[[Mapping[str, float] | None], Float32[Array, "B K"]] | None = None


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
class RetentionReward:
    """What the time until the next session is worth, at the step that ends a session: ``per_day * days``.

    KuaiSim's return day is ``RetentionReward(longest_days=10, whole_days=True)``.

    Attributes:
        per_day: worth of a day away; negative, so that an early return is worth most.
        longest_days: what longer gaps, and never coming back, count as.
        whole_days: whether a day that has begun counts in full.
    """

    per_day: float = -1.0
    longest_days: float = 30.0
    whole_days: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.longest_days < float("inf"):
            raise ValueError(f"longest_days must be a positive number of days, found {self.longest_days}")

    def __call__(self, outcome: Outcome) -> Float32[Array, "B"]:
        """See :class:`RewardFn`.

        Raises:
            ValueError: the task has one session only.
        """
        gap = outcome.return_gap_s
        if gap is None:
            raise ValueError("RetentionReward needs a task of several sessions: level='retention'")
        xp = namespace(gap)
        days = xp.clip(gap / DAY_S, 0.0, self.longest_days)
        days = xp.ceil(days) if self.whole_days else days
        return as_float(xp.where(xp.isnan(gap), 0.0, days * self.per_day))


@dataclass(frozen=True)
class SumReward:
    """Weighted sum of rewards, such as what a session is worth and how soon the next one follows.

    Attributes:
        parts: the rewards, each with its weight.
    """

    parts: tuple[tuple[RewardFn, float], ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a sum of rewards needs at least one part")

    def __call__(self, outcome: Outcome) -> Array:
        """See :class:`RewardFn`."""
        first, *others = (part(outcome) * weight for part, weight in self.parts)
        return sum(others, start=first)


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
