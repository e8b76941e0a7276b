"""SASRec: self-attentive sequential recommendation (arXiv 1808.09781)."""

import math
from dataclasses import dataclass, field

from torch import nn

from recgym.encoders.base import SequenceEncoder
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.items import IdItems
from recgym.encoders.losses import BCEConfig, BPRConfig, FullSoftmaxConfig, GBCEConfig, SampledSoftmaxConfig
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scorers import Dot
from recgym.encoders.transformer import (
    Causal,
    FeedForward,
    LearnedPositions,
    PlainBlock,
    PositionPart,
    Rotary,
    Softmax,
    Transformer,
)

__all__ = ["SASRecConfig"]


@dataclass(frozen=True)
class SASRecConfig:
    """A causal Transformer over item ids: ``sqrt(d) E[item] + P``, pre-LN blocks, tied dot product.

    Differences from the paper: (1) cross-entropy over all items in place of one sampled negative with BCE, which is
    what makes the model as strong as later ones (see gSASRec, arXiv 2308.07192), whose loss is there too, as is the
    published one; (2) the norm
    stands before each half of a block in queries, keys and values alike; (3) every event is a target, and histories
    longer than the window are cut into stretches, where the paper keeps the newest; (4) with ``rotary``, positions are
    relative, so that a user's state can be moved on event by event beyond any window.

    Attributes:
        width: D.
        blocks: how many.
        heads: of each block.
        window: T.
        dropout: of the input, attention and feed-forward nets.
        rotary: relative (rotary) positions in place of learned ones.
        spread: standard deviation of the first item vectors. Small ones learn faster here, and to a better end, than
            1 / sqrt(D), as the first scores then hardly differ.
        loss: what is trained.
        events: what enters beside item ids.
        fit: settings of training.
    """

    width: int = 64
    blocks: int = 2
    heads: int = 1
    window: int = 200
    dropout: float = 0.2
    rotary: bool = False
    spread: float = 0.02
    loss: FullSoftmaxConfig | GBCEConfig | BCEConfig | SampledSoftmaxConfig | BPRConfig = field(
        default_factory=FullSoftmaxConfig
    )
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def backbone(self) -> Transformer:
        """Fresh blocks, also for models that are made of them."""
        inner = [Rotary(self.width // self.heads) if self.rotary else PositionPart() for _ in range(self.blocks)]
        return Transformer(
            [
                PlainBlock(
                    self.width, self.heads, Softmax(), position,
                    FeedForward(self.width, self.width, self.dropout, nn.ReLU()), self.dropout,
                )
                for position in inner
            ],
            Causal(self.window if self.rotary else None),
            PositionPart() if self.rotary else LearnedPositions(self.window, self.width),
            nn.LayerNorm(self.width),
        )  # fmt: skip

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        items, backbone = IdItems(catalogue.num_items, self.width, spread=self.spread), self.backbone()
        encoder = SequenceEncoder(
            items, catalogue.events(self.events, self.width), backbone, self.window, math.sqrt(self.width), self.dropout
        )
        return NextItemModel(encoder, LastState(), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        return (Stage(Objective(((1.0, NextItem(self.loss.build(catalogue))),)), self.fit),)
