"""Training: joint likelihood of all feedback and of leaving, stopped early on the log's tail."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.seeding import make_generator, torch_seeded
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import Explained, ItemDropout, Windows
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels

__all__ = ["Epoch", "Progress", "train"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the log.

    Attributes:
        number: from 1.
        train_loss: negative log-likelihood a row.
        validation_loss: the same on the validation tail.
    """

    number: int
    train_loss: float
    validation_loss: float


Progress = Callable[[Epoch], None]
FEWEST_BATCHES = 150


@dataclass(frozen=True)
class _Trainer:
    network: ResponseNetwork
    plan: ResponsePlan
    data: Prepared
    labels: LeaveLabels
    held_out: Bool[np.ndarray, "S"]
    windows: Windows
    config: LearnedConfig

    def _loss(
        self,
        steps: Int64[np.ndarray, "s"],
        explained: Explained,
        leave: Float32[Tensor, "s"],
        use: Bool[np.ndarray, "s"],
    ) -> tuple[Tensor, int]:
        """Summed negative log-likelihood of the exposures marked by ``use``, and how many rows they have."""
        behaviour = self.data.behaviour
        labels = torch.from_numpy(behaviour.row_labels[explained.rows])
        observed = torch.from_numpy(behaviour.row_observed[explained.rows])
        rows = torch.from_numpy(use)[explained.owner]
        lengths = self.data.row_length[torch.from_numpy(explained.rows)]
        responses = (self.plan.nll(explained.parameters, labels, observed, lengths) * rows[:, None]).sum()
        leaving = nnf.binary_cross_entropy_with_logits(
            leave, torch.from_numpy(self.labels.last[steps]).float(), reduction="none"
        )
        known = torch.from_numpy(self.labels.known[steps] & use)
        counts_loss = self.plan.slates.count_nll(explained.parameters, labels, observed, explained.owner, steps.size)
        responses = responses + (counts_loss * torch.from_numpy(use)).sum()
        return responses + (leaving * known).sum(), int(rows.sum())

    def epoch(self, optimiser: torch.optim.Optimizer, number: int, rate: Callable[[float], float], seed: int) -> float:
        """One pass over all windows; returns the loss a row."""
        order = make_generator(seed, "windows", number, device="numpy")
        drop = ItemDropout(self.config.item_dropout, make_generator(seed, "item dropout", number))
        # Small logs need small batches, or they are seen too few times.
        size = min(max(len(self.windows) // FEWEST_BATCHES, 4), self.config.batch_windows)
        batches = list(self.windows.batches(size, order))
        self.network.train()
        total, rows = 0.0, 0
        for index, chosen in enumerate(batches):
            steps, explained, leave = self.windows.explain(self.network, self.data, chosen, drop)
            loss, count = self._loss(steps, explained, leave, ~self.held_out[steps])
            if count == 0:
                continue
            for group in optimiser.param_groups:
                group["lr"] = rate(number - 1 + index / len(batches))
            optimiser.zero_grad(set_to_none=True)
            (loss / count).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            optimiser.step()
            total, rows = total + loss.item(), rows + count
        return total / max(rows, 1)

    @torch.no_grad()
    def validate(self) -> float:
        """Loss a row on the held-out tail."""
        self.network.eval()
        first = self.windows.first_step
        has = np.add.reduceat(self.held_out, first[:-1]) > 0
        total, rows = 0.0, 0
        chosen = np.flatnonzero(has)
        for start in range(0, chosen.size, 128):
            steps, explained, leave = self.windows.explain(self.network, self.data, chosen[start : start + 128])
            loss, count = self._loss(steps, explained, leave, self.held_out[steps])
            total, rows = total + loss.item(), rows + count
        return total / max(rows, 1)


def train(
    network: ResponseNetwork,
    plan: ResponsePlan,
    data: Prepared,
    labels: LeaveLabels,
    held_out: Bool[np.ndarray, "S"],
    config: LearnedConfig,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Epoch, ...]:
    """Train the network in place and leave it with the weights of its best validation loss.

    Loss of a row: the sum over its observed channels of the negative log-likelihood, those behind the gate only where
    it is open; of an exposure: what the number of items taken adds to that, and binary cross-entropy of leaving.

    Args:
        network: freshly initialised.
        plan: heads of the channels.
        data: the log.
        labels: which exposures ended a session.
        held_out: exposures of the validation tail, which no gradient sees.
        config: settings.
        seed: root seed of the order of batches and of dropout.
        progress: called after each pass.

    Returns:
        What each pass achieved.
    """
    windows = Windows.of(data.behaviour, config.window, config.history)
    trainer = _Trainer(network, plan, data, labels, held_out, windows, config)
    optimiser = torch.optim.AdamW(_groups(network, config), lr=config.learning_rate)

    def rate(epochs: float) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * min(epochs / config.max_epochs, 1.0)))
        return config.learning_rate * (0.1 + 0.9 * cosine) * min(1.0, 4 * epochs + 0.05)

    history: list[Epoch] = []
    best = copy.deepcopy(network.state_dict())
    with torch_seeded(int(make_generator(seed, "dropout", device="numpy").integers(2**62))):
        for number in range(1, config.max_epochs + 1):
            loss = trainer.epoch(optimiser, number, rate, seed)
            history.append(Epoch(number, loss, trainer.validate()))
            if progress is not None:
                progress(history[-1])
            best_epoch = min(history, key=lambda epoch: epoch.validation_loss)
            if best_epoch.number == number:
                best = copy.deepcopy(network.state_dict())
            elif number - best_epoch.number >= config.patience:
                break
    network.load_state_dict(best)
    network.eval()
    return tuple(history)


def _groups(network: ResponseNetwork, config: LearnedConfig) -> list[dict[str, object]]:
    decays = {"embedding.weight": config.embedding_decay}
    return [
        {"params": [parameter], "weight_decay": decays.get(name, config.weight_decay if parameter.ndim > 1 else 0.0)}
        for name, parameter in network.named_parameters()
    ]
