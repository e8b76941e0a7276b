"""What a task can make of its simulators' doubts: take them off the reward, or offer nothing that they are unsure of.

A policy that is trained in learned simulators finds out where they are wrong, and goes there.
Sources: MOPO (arXiv 2005.13239) for the penalty; Sim2Rec (arXiv 2305.04832), which keeps policies from what its
simulators do not agree on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float32, Int64

from recgym.arrays import gather
from recgym.envs.candidates import CandidateSource
from recgym.envs.rewards import Outcome, RewardFn
from recgym.simulators.base import UserModel
from recgym.simulators.uncertain import UncertainUsers
from recgym.types import Array, Generator

__all__ = ["CertainCandidates", "PenalisedReward"]


@dataclass(frozen=True)
class PenalisedReward:
    """``reward - weight * uncertainty``, summed over the slate: what a pessimist would be sure of.

    Attributes:
        reward: the reward, one number a user.
        weight: how many standard deviations to take off.
        channels: channel name to weight, of the sum whose uncertainty counts; the primary channel alone if None.
    """

    reward: RewardFn
    weight: float
    channels: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight must not be negative, found {self.weight}")

    def __call__(self, outcome: Outcome) -> Float32[Array, "B"]:
        """See :class:`recgym.envs.RewardFn`.

        Raises:
            ValueError: the users' model knows no uncertainty.
        """
        if outcome.uncertainty is None:
            raise ValueError("PenalisedReward needs users whose uncertainty is known, such as those of a SimulatorSet")
        return self.reward(outcome) - self.weight * outcome.uncertainty(self.channels).sum(1)


@dataclass(frozen=True)
class CertainCandidates:
    """Of more candidates than are offered, those that the users' model is most certain of, in the order of the draw.

    Only for models that run on torch.

    Attributes:
        source: offers the candidates to choose from.
        num_candidates: M, how many of them to offer.
        channels: see :class:`PenalisedReward`.
    """

    source: CandidateSource
    num_candidates: int
    channels: Mapping[str, float] | None = None

    def size(self, num_items: int) -> int:
        """See :class:`recgym.envs.CandidateSource`."""
        drawn = self.source.size(num_items)
        if not 1 <= self.num_candidates <= drawn:
            raise ValueError(f"num_candidates must be in 1..{drawn} (the drawn ones), found {self.num_candidates}")
        return self.num_candidates

    def draw(self, users: int, num_items: int, generator: Generator) -> Int64[Array, "B drawn"]:
        """The candidates to choose from.

        Raises:
            ValueError: the source offers the full catalogue, of which nothing can be left out.
        """
        drawn = self.source.draw(users, num_items, generator)
        if drawn is None:
            raise ValueError("CertainCandidates needs a source that draws, the full catalogue has fixed actions")
        return drawn

    def choose(self, model: UserModel[Any], users: Any, drawn: Int64[Array, "B drawn"]) -> Int64[Array, "B M"]:
        """The candidates of each user that the model is most certain of.

        Raises:
            ValueError: the model knows no uncertainty.
        """
        if not isinstance(model, UncertainUsers):
            raise ValueError(f"{type(model).__name__} does not know how certain it is; a SimulatorSet does")
        doubt = model.uncertainty_alone(users, drawn, self.channels)
        # Sorted by place: the order must not tell which is the most certain.
        kept = torch.topk(doubt, self.num_candidates, dim=1, largest=False).indices.sort(1).values
        chosen: Array = gather(drawn, kept)
        return chosen
