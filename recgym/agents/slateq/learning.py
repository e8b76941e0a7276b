"""What SlateQ learns from transitions."""

from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor

from recgym.agents.online.replay import Replay
from recgym.agents.slateq.config import Learning, NullItem, SlateQConfig
from recgym.agents.slateq.network import SlateQNetwork
from recgym.agents.slateq.replay import Step, Transitions

__all__ = ["Losses", "losses", "targets", "unit_of"]

_SHORTEST = 1e-3
"""The least share of steps that is taken to end an episode, where few or none were seen to."""


class Losses(NamedTuple):
    """Of a batch of transitions.

    Attributes:
        value: mean squared error of the values of what was picked, in units.
        choice: mean negative log-likelihood of what was picked, in nats.
    """

    value: Float32[Tensor, ""]
    choice: Float32[Tensor, ""]


@torch.no_grad()
def targets(
    network: SlateQNetwork, label: SlateQNetwork, batch: Transitions, config: SlateQConfig
) -> Float32[Tensor, "B"]:
    """What the picked item of each transition is taken to be worth.

    Args:
        network: the one that learns.
        label: its older copy.
        batch: the transitions.
        config: settings.
    """
    if config.gamma == 0:
        return batch.step.reward
    after = label(batch.next_observation)
    if config.learning is Learning.SARSA:
        slate = batch.next_slate
    else:
        judge = network(batch.next_observation) if config.double else after
        slate = config.target.solve(judge.pickings, batch.next_slate.shape[1])
    return batch.step.reward + config.gamma * torch.where(batch.step.terminated, 0.0, after.worth(slate))


def losses(network: SlateQNetwork, label: SlateQNetwork, batch: Transitions, config: SlateQConfig) -> Losses:
    """The two losses.

    A step at which nothing was picked teaches the null item's value, or none where that is worthless. A step that was
    cut off teaches the choice model alone: what would have followed is not known.
    """
    step = batch.step
    target = targets(network, label, batch, config)
    outlook, picked = network(_shown(step)), step.picked[:, None]
    slate = torch.arange(step.slate.shape[1]).expand_as(step.slate)
    error = (outlook.values(slate).gather(1, picked)[:, 0] - target) / network.unit
    counts = ~step.cut
    if config.null_item is NullItem.WORTHLESS:
        counts = counts & (step.picked < step.slate.shape[1])
    value = torch.where(counts, error, 0.0).square().sum() / counts.sum().clamp(min=1)
    return Losses(value, -outlook.log_choice(slate).gather(1, picked).mean())


def _shown(step: Step) -> dict[str, Tensor]:
    """The observation with the slate in place of all candidates: the others had no part in what followed."""
    offered = step.observation.get("candidates")
    ids = step.slate if offered is None else offered.gather(1, step.slate)
    return {**step.observation, "candidates": ids}


def unit_of(replay: Replay, config: SlateQConfig) -> float:
    """About what a step and its future are worth under random slates: mean absolute reward times the steps that count.

    Args:
        replay: random steps.
        config: settings.
    """
    ended = replay.kept("terminated")
    if config.null_item is NullItem.WORTHLESS:
        ended = ended | (replay.kept("picked") == replay.kept("slate").shape[-1])
    left = max(float(ended.float().mean()), _SHORTEST)
    size = float(replay.kept("reward").abs().mean())
    return max(size / (1 - config.gamma * (1 - left)), 1e-6)
