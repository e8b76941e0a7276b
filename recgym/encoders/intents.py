"""Contrasts that show a model intents: of what leads to the same item, and of a state and its cluster (ICSRec)."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional

from recgym.encoders.losses import info_nce
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import Step
from recgym.encoders.sequences import Sequences

__all__ = ["SameIntent", "SameTarget"]

_PIECES = 4
_STATES_A_CENTRE = 256


def _drawn(step: Step, count: int) -> tuple[Float32[Tensor, "n D"], Int64[Tensor, "n"], Int64[Tensor, "n"]]:
    """States of random events, the items that followed, and whose they are."""
    example = step.example
    known = example.targets != step.model.num_items
    users = example.users[:, None].expand_as(known)[known]
    drawn = torch.randperm(len(users), generator=step.generator, device=users.device)[:count]
    return step.states[known][drawn], example.targets[known][drawn], users[drawn]


@dataclass
class SameTarget:
    """Coarse intents: InfoNCE of the states of two subsequences that the same item followed.

    The first are drawn from the batch, the second from all that is trained on, of another user if there is one; else a
    subsequence is contrasted with itself under other dropout. Rows of the same item are no negatives of one another.

    Attributes:
        pairs: of a batch, at most.
        temperature: of products.
    """

    pairs: int = 128
    temperature: float = 1.0

    def on_epoch_start(
        self, model: NextItemModel, sequences: Sequences, epoch: int, generator: torch.Generator
    ) -> None:
        """See :class:`recgym.encoders.EpochHook`."""
        if epoch > 1:
            return
        self.sequences, self.owner = sequences, np.repeat(np.arange(sequences.num_users), np.diff(sequences.start))
        targets = np.flatnonzero(np.arange(len(sequences.items)) > sequences.start[self.owner])
        self.events = targets[np.argsort(sequences.items[targets], kind="stable")]
        counts = np.bincount(sequences.items[targets], minlength=sequences.num_items)
        self.first = np.concatenate([[0], np.cumsum(counts)])

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        states, targets, users = _drawn(step, self.pairs)
        draws = torch.rand(len(targets), generator=step.generator, device=targets.device)
        events = self.partners(targets.cpu().numpy(), users.cpu().numpy(), draws.cpu().numpy())
        return info_nce(states, self.encode(step.model, events), self.temperature, targets[:, None] == targets)

    def partners(
        self, targets: Int64[np.ndarray, "n"], users: Int64[np.ndarray, "n"], draws: Float32[np.ndarray, "n"]
    ) -> Int64[np.ndarray, "n"]:
        """Another event of each item, by its place in the sequences.

        Args:
            targets: the items.
            users: whose events to avoid.
            draws: uniform on 0..1.
        """
        first, count = self.first[targets], np.diff(self.first)[targets]
        nth = (draws * count).astype(np.int64).clip(max=count - 1)
        own = self.owner[self.events[first + nth]] == users
        chosen: np.ndarray = self.events[first + (nth + own) % count]
        return chosen

    def encode(self, model: NextItemModel, events: Int64[np.ndarray, "n"]) -> Float32[Tensor, "n D"]:
        """The states just before some events."""
        start = np.maximum(self.sequences.start[self.owner[events]], events - model.window)
        order = np.argsort(events - start)  # Short ones together, so that little is padding.
        states = [
            model.encoder.final(self.sequences.gather(start[rows], events[rows], model.device))
            for rows in np.array_split(order, min(_PIECES, len(order)))
        ]
        return torch.cat(states)[torch.from_numpy(np.argsort(order)).to(model.device)]


@dataclass
class SameIntent:
    """Fine intents: InfoNCE of states with the centres of their clusters, which are found anew before each epoch.

    Centres are of unit length. Rows of the same centre are no negatives of one another. The sum for two draws of
    events, as the paper has it for both subsequences of a pair.

    Attributes:
        intents: K, centres.
        pairs: states and their centres, of a draw, at most.
        temperature: of products.
        iterations: of k-means.
    """

    intents: int = 256
    pairs: int = 128
    temperature: float = 1.0
    iterations: int = 10

    def on_epoch_start(
        self, model: NextItemModel, sequences: Sequences, epoch: int, generator: torch.Generator
    ) -> None:
        """See :class:`recgym.encoders.EpochHook`."""
        states = self.sample(model, sequences, generator)
        order = torch.randperm(len(states), generator=generator, device=generator.device).cpu()
        chosen = states[order[: self.intents]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # A centre that lost all its states stays where it was.
            centres, _ = kmeans2(states.numpy(), chosen.numpy(), self.iterations, minit="matrix")
        self.centres = torch.from_numpy(centres).float().to(model.device)

    @torch.no_grad()
    def sample(self, model: NextItemModel, sequences: Sequences, generator: torch.Generator) -> Float32[Tensor, "n D"]:
        """States after events that another follows, of random histories, enough of them for k-means; on the CPU."""
        wanted, states = _STATES_A_CENTRE * self.intents, []
        training = model.training
        model.eval()
        order = np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
        for example in sequences.examples(model.window, 128, order, device=model.device):
            states.append(example.inputs.pack(model.encoder(example.inputs)).cpu())
            wanted -= len(states[-1])
            if wanted <= 0:
                break
        model.train(training)
        return torch.cat(states)

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        return self.contrast(_drawn(step, self.pairs)[0]) + self.contrast(_drawn(step, self.pairs)[0])

    def contrast(self, states: Float32[Tensor, "n D"]) -> Float32[Tensor, ""]:
        """The loss of some states."""
        with torch.no_grad():
            intent = torch.cdist(states, self.centres).argmin(1)
        centres = functional.normalize(self.centres[intent], dim=-1)
        return info_nce(states, centres, self.temperature, intent[:, None] == intent)
