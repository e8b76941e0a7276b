"""Updates of policy and value from a rollout: episodes as padded sequences, in minibatches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from recgym.agents.descent import descend
from recgym.agents.recurrent.collect import Batch
from recgym.agents.recurrent.config import RecurrentPPOConfig
from recgym.agents.recurrent.judging import Judged
from recgym.agents.recurrent.network import ActorCritic, Memory
from recgym.arrays import permutation
from recgym.types import Generator

__all__ = ["Losses", "Sequences", "improve"]


class Losses(NamedTuple):
    """Means over the updates of one rollout.

    Attributes:
        policy: clipped loss.
        value: squared error of the scaled value.
        entropy: of the policy, in nats.
        divergence: of the policy before from the one after, estimated by ``rho - 1 - log rho``.
    """

    policy: float
    value: float
    entropy: float
    divergence: float


@dataclass(frozen=True)
class Sequences:
    """The runs of steps of a rollout that belong to one episode each, longest first.

    Attributes:
        row: user of each run.
        first: its first step.
        length: its steps.
    """

    row: Int64[Tensor, "n"]
    first: Int64[Tensor, "n"]
    length: Int64[Tensor, "n"]

    @classmethod
    def of(cls, start: Bool[Tensor, "T B"]) -> "Sequences":
        """Cut a rollout where episodes begin, as ``start`` marks, and where the rollout does."""
        begins = start.numpy().copy()
        begins[0] = True
        row, first = np.nonzero(begins.T)
        end = np.append(first[1:], 0)
        last_of_row = np.append(np.diff(row) != 0, True)
        length = np.where(last_of_row, start.shape[0], end) - first
        order = np.argsort(-length, kind="stable")
        return cls(*(torch.from_numpy(values[order].astype(np.int64)) for values in (row, first, length)))

    def batches(self, steps: int, generator: Generator) -> Iterator["Sequences"]:
        """Random minibatches of about so many steps each."""
        order = permutation(generator, self.row.shape[0])
        total = int(self.length.sum())
        parts = max(round(total / steps), 1)
        block = (self.length[order].cumsum(0) - 1) * parts // total
        for part in range(parts):
            chosen = order[block == part].sort().values  # longest first again
            if chosen.shape[0]:
                yield Sequences(self.row[chosen], self.first[chosen], self.length[chosen])

    def steps(self) -> tuple[Int64[Tensor, "L n"], Bool[Tensor, "L n"]]:
        """The step of the rollout at each place of the padded sequences, and which places are real."""
        place = torch.arange(int(self.length[0]))[:, None]
        there = place < self.length
        return torch.where(there, self.first + place, self.first), there


def improve(
    network: ActorCritic,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    judged: Judged,
    config: RecurrentPPOConfig,
    generator: Generator,
) -> Losses:
    """Several passes over a rollout; see :class:`RecurrentPPOConfig` for the loss."""
    sequences = Sequences.of(batch.start)
    sums, updates = np.zeros(4), 0
    for _ in range(config.epochs):
        for part in sequences.batches(config.batch_steps, generator):
            loss, parts = _loss(network, batch, judged, part, config)
            descend(optimiser, loss, config.max_grad_norm)
            sums, updates = sums + np.array(parts), updates + 1
    return Losses(*(sums / max(updates, 1)).tolist())


def _loss(
    network: ActorCritic, batch: Batch, judged: Judged, part: Sequences, config: RecurrentPPOConfig
) -> tuple[Tensor, tuple[float, float, float, float]]:
    step, there = part.steps()
    row = part.row.expand_as(step)
    going_on = ((part.first == 0) & ~batch.start[0, part.row])[:, None]
    memory = Memory(*(torch.where(going_on, values[part.row], 0.0) for values in batch.first))
    out, _ = network.remember(batch.inputs[step, row], memory)
    state, step, row = out[there], step[there], row[there]
    distribution = network.act(state, {key: values[step, row] for key, values in batch.offer.items()})
    action, advantage = batch.action[step, row], judged.advantage[step, row]
    log_ratio = distribution.log_prob(action) - batch.log_prob[step, row]
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    policy = -torch.min(ratio * advantage, clipped * advantage).mean()
    value = (network.worth(state) - judged.target[step, row]).square().mean()
    entropy = distribution.entropy(action).mean()
    with torch.no_grad():
        divergence = (ratio - 1 - log_ratio).mean()
    loss = policy + config.value_weight * value - config.entropy * entropy
    return loss, (policy.item(), value.item(), entropy.item(), divergence.item())
