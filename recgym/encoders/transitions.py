"""What follows what in a log, and its distillation into item vectors (MQSA-TED, arXiv 2311.01056, section 4.3)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.encoders.losses import full_softmax_loss
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import Step
from recgym.encoders.sequences import Sequences

__all__ = ["DistilTransitions", "Transitions"]


class Transitions(NamedTuple):
    """Which items followed each item, as a sparse matrix of N rows.

    Attributes:
        start: first entry of each item's row, and the number of entries at the end.
        items: what followed.
        shares: how often, divided by the row's largest count: 1 for what followed most often.
    """

    start: Int64[Tensor, "N_plus_1"]
    items: Int64[Tensor, "E"]
    shares: Float32[Tensor, "E"]

    @classmethod
    def of(cls, sequences: Sequences, device: torch.device | str = "cpu") -> "Transitions":
        """Of neighbouring events of each user."""
        n, items = sequences.num_items, sequences.items
        within = np.ones(len(items), bool)
        within[sequences.start[1:][sequences.start[1:] > 0] - 1] = False  # What each user consumed last.
        at = np.flatnonzero(within)
        pairs, counts = np.unique(items[at] * n + items[at + 1], return_counts=True)
        source, target = np.divmod(pairs, n)
        largest = np.zeros(n, np.int64)
        np.maximum.at(largest, source, counts)
        start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
        shares = (counts / largest[source]).astype(np.float32)
        return cls(*(torch.from_numpy(part).to(device) for part in (start, target, shares)))

    def rows(self, items: Int64[Tensor, "n"]) -> tuple[Int64[Tensor, "e"], Int64[Tensor, "e"]]:
        """The entries of some items' rows, and which of the items each entry belongs to."""
        first, sizes = self.start[items], self.start[items + 1] - self.start[items]
        owner = torch.repeat_interleave(torch.arange(len(items), device=items.device), sizes)
        nth = torch.arange(len(owner), device=items.device) - (sizes.cumsum(0) - sizes)[owner]
        return first[owner] + nth, owner


@dataclass
class DistilTransitions:
    """Item vectors should know what follows what: the mean over items i of ``KL(p_i || q_i)``.

        p_i = softmax_j(share of j among what followed i / temperature)
        q_i = softmax_j(scale e_i . e_j / temperature)

    where the shares are those of :class:`Transitions`, of the sequences trained on and no others, and the scale is that
    of the encoder's input, sqrt(d). Both item vectors learn from it. No score is held for every pair of items: p_i
    departs from a constant in few places, so the product with it is one of item vectors, and the normaliser of q_i is
    that of :func:`recgym.encoders.losses.full_softmax_loss`.

    Attributes:
        temperature: above 0.
        rows: events of a batch whose items are taken, drawn anew each time.
    """

    temperature: float = 0.1
    rows: int = 256

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.rows < 1:
            raise ValueError(
                f"expected a temperature above 0 and at least 1 row, found {self.temperature} and {self.rows}"
            )

    def on_epoch_start(
        self, model: NextItemModel, sequences: Sequences, epoch: int, generator: torch.Generator
    ) -> None:
        """See :class:`recgym.encoders.EpochHook`."""
        if epoch == 1:
            self.transitions = Transitions.of(sequences, model.device)

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        batch, encoder = step.example.inputs, step.model.encoder
        items = batch.items[batch.mask]
        drawn = torch.randperm(len(items), generator=step.generator, device=items.device)[: self.rows]
        items = items[drawn]
        queries: Tensor = encoder.dropout(step.vectors[items] * encoder.scale)
        return self.divergence(items, queries, step.vectors)

    def divergence(
        self, items: Int64[Tensor, "n"], queries: Float32[Tensor, "n D"], vectors: Float32[Tensor, "N D"]
    ) -> Float32[Tensor, ""]:
        """The loss of some items, whose scaled vectors are the queries."""
        entries, owner = self.transitions.rows(items)
        logits = self.transitions.shares[entries] / self.temperature
        above = logits.exp() - 1.0  # All other items have exp(0).
        norm = torch.full((len(items),), float(len(vectors)), device=items.device).index_add(0, owner, above)
        heavy = torch.zeros_like(queries).index_add(0, owner, above[:, None] * vectors[self.transitions.items[entries]])
        expected = (vectors.sum(0) + heavy) / norm[:, None]
        negentropy = torch.zeros_like(norm).index_add(0, owner, (above + 1.0) * logits) / norm - norm.log()
        queries = queries / self.temperature
        surprise = full_softmax_loss(queries, vectors, items)  # Of the item itself; hence its own score is put back.
        return surprise + (queries * (vectors[items] - expected)).sum(1).mean() + negentropy.mean()
