"""What SlateQ keeps of a step, and how it reads it back."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.agents.online.replay import Experience

__all__ = ["Step", "Transitions"]


class Step(NamedTuple):
    """Steps of users.

    Attributes:
        observation: before them.
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

    @classmethod
    def of(cls, batch: Experience) -> "Transitions":
        """The same under names."""
        names = ("slate", "picked", "reward", "terminated", "cut")
        step = Step(batch.observation, *(batch.kept[name] for name in names))
        return cls(step, batch.next_observation, batch.next_kept["slate"])
