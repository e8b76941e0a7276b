"""Mean pooling: the mean of the vectors of what a user consumed, the plainest encoder that is learned."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.encoders.base import Backbone, Capabilities, SequenceEncoder
from recgym.encoders.batch import Where
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.items import IdItems
from recgym.encoders.losses import FullSoftmax
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scorers import Dot

__all__ = ["MeanPoolBackbone", "MeanPoolConfig"]


class MeanPoolBackbone(Backbone[tuple[Tensor]]):
    """``W mean(x_1..x_t) + b``. Without the map, items would be scored by likeness to themselves alone.

    Args:
        width: D.
        dropout: of the means.
    """

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.map = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.capabilities = Capabilities(causal=True, incremental=True, sliding=True)

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        out: Tensor = self.map(self.drop(vectors.cumsum(1) / (where.position + 1)[..., None]))
        return out

    def init_memory(self, users: int, window: int, device: torch.device) -> tuple[Tensor]:
        """See :class:`recgym.encoders.Backbone`: the sum so far."""
        return (torch.zeros((users, self.width), device=device),)

    def step(
        self, memory: tuple[Tensor], vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[tuple[Tensor], Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        total = memory[0] + vectors
        out: Tensor = self.map(self.drop(total / (where.position + 1)))
        return (total,), out

    def remember(
        self, vectors: Float32[Tensor, "B T D"], where: Where, window: int
    ) -> tuple[tuple[Tensor], Float32[Tensor, "B T D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        return ((vectors * where.mask[..., None]).sum(1),), self(vectors, where)


@dataclass(frozen=True)
class MeanPoolConfig:
    """The mean of all item vectors so far through a linear map, tied dot product, cross-entropy over all items.

    Order does not enter: what an encoder of sequences gains over this one is what order is worth.

    Attributes:
        width: D.
        window: T, events of a stretch in training and of a history when served; going step by step has no window.
        dropout: of the input and of the mean.
        events: what enters beside item ids.
        fit: settings of training.
    """

    width: int = 64
    window: int = 200
    dropout: float = 0.2
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        encoder = SequenceEncoder(
            IdItems(catalogue.num_items, self.width),
            catalogue.events(self.events, self.width),
            MeanPoolBackbone(self.width, self.dropout),
            self.window,
            dropout=self.dropout,
        )
        return NextItemModel(encoder, LastState(), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        return (Stage(Objective(((1.0, NextItem(FullSoftmax())),)), self.fit),)
