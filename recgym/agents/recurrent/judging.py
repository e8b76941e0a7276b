"""How good each action of a rollout was: returns, their scale, and advantages."""

from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.agents.recurrent.collect import Batch

__all__ = ["Judged", "ReturnScale", "discounted", "generalised_advantages", "judge"]

_LONGEST = 512
"""Steps of an episode that have a scale of their own; later ones share the last."""
_KEEP = 0.9


class Judged(NamedTuple):
    """What a learner needs of a rollout beside the rollout.

    Attributes:
        advantage: scaled.
        target: of the value network, scaled.
    """

    advantage: Float32[Tensor, "T B"]
    target: Float32[Tensor, "T B"]


class ReturnScale:
    """Running mean of the discounted return at each step of an episode, and its spread, world by world.

    The value network foretells ``(return - mean) / spread``, so that it has to explain what users do and not what every
    episode of the world has in common.

    Args:
        worlds: G.
    """

    def __init__(self, worlds: int) -> None:
        self.mean = torch.zeros(worlds, _LONGEST)
        self.spread = torch.ones(worlds)
        self.seen = torch.zeros(worlds, _LONGEST, dtype=torch.bool)

    def _place(self, group: Tensor, number: Tensor) -> Tensor:
        return group * _LONGEST + number.clamp(max=_LONGEST - 1)

    def update(self, group: Tensor, number: Tensor, returns: Float32[Tensor, "T B"]) -> None:
        """Take the returns of a rollout into account."""
        place = self._place(group, number).flatten()
        size = self.mean.numel()
        count = torch.zeros(size).index_add(0, place, torch.ones(place.shape[0]))
        total = torch.zeros(size).index_add(0, place, returns.flatten())
        there = (count > 0).reshape_as(self.mean)
        fresh = (total / count.clamp(min=1)).reshape_as(self.mean)
        keep = torch.where(self.seen, _KEEP, 0.0)
        self.mean = torch.where(there, keep * self.mean + (1 - keep) * fresh, self.mean)
        rest = (returns.flatten() - fresh.flatten()[place]).square()
        world = place // _LONGEST
        rows = torch.zeros(self.spread.shape[0]).index_add(0, world, torch.ones_like(rest))
        variance = torch.zeros_like(self.spread).index_add(0, world, rest) / rows.clamp(min=1)
        keep = torch.where(self.seen.any(1), _KEEP, 0.0)
        fresh_spread = variance.sqrt().clamp(min=1e-3)
        self.spread = torch.where(rows > 0, keep * self.spread + (1 - keep) * fresh_spread, self.spread)
        self.seen |= there

    def unscale(self, group: Tensor, number: Tensor, value: Tensor) -> Tensor:
        """From the network's value to a return."""
        return value * self.spread[group] + self.mean.flatten()[self._place(group, number)]

    def scale(self, group: Tensor, number: Tensor, returns: Tensor) -> Tensor:
        """The inverse of :meth:`unscale`."""
        return (returns - self.mean.flatten()[self._place(group, number)]) / self.spread[group]


def discounted(
    reward: Float32[Tensor, "T B"], ended: Tensor, tail: Float32[Tensor, "T B"], gamma: float
) -> Float32[Tensor, "T B"]:
    """Discounted return of each step to the end of its episode.

    Args:
        reward: after each step.
        ended: whether the episode ended with the step.
        tail: what is expected after the step where a limit cut the episode or the rollout off; 0 elsewhere.
        gamma: discount.
    """
    returns = torch.empty_like(reward)
    later = torch.zeros_like(reward[0])
    for step in range(reward.shape[0] - 1, -1, -1):
        later = reward[step] + gamma * (tail[step] + torch.where(ended[step], 0.0, later))
        returns[step] = later
    return returns


def generalised_advantages(
    batch: Batch, value: Float32[Tensor, "T B"], tail: Float32[Tensor, "T B"], gamma: float, gae_lambda: float
) -> Float32[Tensor, "T B"]:
    """Generalised advantage estimation; an end by itself is worth 0, a cut is worth what is expected after it.

    Args:
        batch: the rollout.
        value: expected return before each step.
        tail: expected return after a step with which the episode or the rollout was cut; 0 elsewhere.
        gamma: discount.
        gae_lambda: lambda.
    """
    advantage = torch.empty_like(value)
    later, following = torch.zeros_like(value[0]), torch.zeros_like(value[0])
    for step in range(value.shape[0] - 1, -1, -1):
        going = ~batch.ended[step]
        # The last step of the rollout has its tail in place of the value of a next step.
        after = tail[step] + torch.where(going, following, 0.0)
        surprise = batch.reward[step] + gamma * after - value[step]
        later = surprise + gamma * gae_lambda * torch.where(going, later, 0.0)
        advantage[step], following = later, value[step]
    return advantage


def judge(batch: Batch, scale: ReturnScale, gamma: float, gae_lambda: float, per_world: bool) -> Judged:
    """Advantages and value targets of a rollout; takes its returns into account in the scale first.

    Args:
        batch: the rollout.
        scale: of the returns.
        gamma: discount.
        gae_lambda: lambda.
        per_world: whether each world's advantages are standardised by themselves.
    """
    group = batch.group if per_world else torch.zeros_like(batch.group)
    after = batch.number + 1

    def tail() -> Tensor:
        return torch.where(batch.cut, scale.unscale(group, after, batch.bootstrap), 0.0)

    scale.update(group, batch.number, discounted(batch.reward, batch.ended, tail(), gamma))
    expected, later = scale.unscale(group, batch.number, batch.value), tail()
    advantage = generalised_advantages(batch, expected, later, gamma, gae_lambda)
    target = scale.scale(group, batch.number, advantage + expected)
    return Judged(_standardised(advantage, group, scale.spread.shape[0]), target)


def _standardised(values: Float32[Tensor, "T B"], group: Int64[Tensor, "T B"], groups: int) -> Float32[Tensor, "T B"]:
    """Mean 0 and deviation 1 in each group."""
    place, flat = group.flatten(), values.flatten()
    count = torch.zeros(groups).index_add(0, place, torch.ones_like(flat)).clamp(min=1)
    mean = torch.zeros(groups).index_add(0, place, flat) / count
    rest = flat - mean[place]
    deviation = (torch.zeros(groups).index_add(0, place, rest.square()) / count).sqrt()
    return (rest / (deviation[place] + 1e-8)).reshape_as(values)
