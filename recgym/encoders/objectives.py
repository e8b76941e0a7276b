"""Objectives: weighted sums of terms, each of which sees the model, the batch and its states."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.encoders.batch import Example
from recgym.encoders.losses import ItemLoss
from recgym.encoders.model import NextItemModel
from recgym.encoders.sequences import Sequences

__all__ = ["EpochHook", "NextItem", "Objective", "Step", "Term"]


class Step(NamedTuple):
    """What a term is computed from.

    Attributes:
        model: in training.
        example: the batch and its targets.
        states: of the encoder, for the inputs of the example.
        vectors: of all items.
        generator: source of negatives and the like.
        aux: what the backbone gives beside the states, see :meth:`recgym.encoders.Backbone.forward_with_aux`.
    """

    model: NextItemModel
    example: Example
    states: Float32[Tensor, "B T D"]
    vectors: Float32[Tensor, "N D"]
    generator: torch.Generator
    aux: Any = None


@runtime_checkable
class Term(Protocol):
    """One loss."""

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """The loss of a batch, a mean over what it counts."""
        ...


@runtime_checkable
class EpochHook(Protocol):
    """A term that must be prepared before each pass over the log, such as one with cluster centres."""

    def on_epoch_start(
        self, model: NextItemModel, sequences: Sequences, epoch: int, generator: torch.Generator
    ) -> None:
        """Prepare. ``epoch`` counts from 1; the sequences are those trained on."""
        ...


@dataclass(frozen=True)
class Objective:
    """A weighted sum of terms.

    Attributes:
        terms: weight and term.
    """

    terms: tuple[tuple[float, Term], ...]

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """The loss of a batch."""
        total = step.states.new_zeros(())
        for weight, term in self.terms:
            total = total + weight * term(step)
        return total

    def plus(self, *terms: tuple[float, Term]) -> "Objective":
        """The same and more."""
        return Objective((*self.terms, *terms))


@dataclass(frozen=True)
class NextItem:
    """The next item, foretold from the state after every event and, for a user's first item, from before any.

    Where the head makes several queries, the one that likes the target best is trained.

    Attributes:
        loss: of finding an item.
    """

    loss: ItemLoss

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`Term`."""
        queries, targets = self.flat(step)
        if queries.shape[1] > 1:
            liked = (queries.detach() @ step.vectors.detach()[targets][..., None])[..., 0]
            chosen = queries[torch.arange(len(queries), device=queries.device), liked.argmax(1)]
        else:
            chosen = queries[:, 0]
        return self.loss(step.model.scorer, chosen, step.vectors, targets, step.generator)

    @staticmethod
    def flat(step: Step) -> tuple[Float32[Tensor, "n R D"], Int64[Tensor, "n"]]:
        """Queries and targets of all positions that have a target, without padding."""
        example, padding = step.example, step.model.num_items
        known, opening = example.targets != padding, example.first != padding
        queries = step.model.head.queries(step.states, example.inputs)[known]
        blank = step.model.encoder.blank.expand(int(opening.sum()), queries.shape[1], -1)
        return torch.cat([queries, blank]), torch.cat([example.targets[known], example.first[opening]])
