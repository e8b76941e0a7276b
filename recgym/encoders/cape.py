"""CAPE: positions that count how many unlike events lie between (arXiv 2502.09027)."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recgym.encoders.base import SequenceEncoder
from recgym.encoders.batch import Where
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.items import IdItems
from recgym.encoders.losses import FullSoftmax
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scorers import Dot
from recgym.encoders.transformer import Causal, FeedForward, PlainBlock, PositionPart, Softmax, Transformer

__all__ = ["CAPEConfig", "ContextualPositions"]


class ContextualPositions(PositionPart):
    """A term ``q_i . pos[p_ij]``, where ``p_ij`` counts the events from j to i that are unlike the query.

    ``p_ij = min(sum_{k=j..i} g_ik, P - 1)`` with ``g_ik = 1 - sigmoid(q_i . k_k)``, and 0 for keys that the query does
    not see; ``pos`` is interpolated between whole positions. For causal masks, with keys in the order of positions.

    Args:
        positions: P.
        head_width: d.
    """

    biased = True

    def __init__(self, positions: int, head_width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(positions, head_width))

    def bias(
        self, queries: Float32[Tensor, "B H Q d"], keys: Float32[Tensor, "B J T d"], at: Where, of: Where
    ) -> Float32[Tensor, "B H Q T"]:
        """See :class:`recgym.encoders.transformer.PositionPart`."""
        seen = (of.position[:, None, :] <= at.position[:, :, None]) & of.mask[:, None, :]
        gates = torch.sigmoid(-(queries @ keys.mT)) * seen[:, None]
        position = gates.flip(-1).cumsum(-1).flip(-1).clamp(max=len(self.table) - 1)
        term: Tensor = _Interpolated.apply(queries @ self.table.T, position)  # type: ignore[no-untyped-call]
        return term


class _Interpolated(torch.autograd.Function):
    """``table[..., p]``, linear between whole p; keeps p alone, where autograd would keep both indices and terms."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, position: Tensor) -> Tensor:
        ctx.save_for_backward(table, position)
        low, high, share = _neighbours(table, position)
        return torch.lerp(table.gather(-1, low), table.gather(-1, high), share)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        table, position = ctx.saved_tensors
        low, high, share = _neighbours(table, position)
        to_position = (table.gather(-1, high) - table.gather(-1, low)).mul_(gradient)
        upper = gradient * share
        to_table = torch.zeros_like(table).scatter_add_(-1, high, upper).scatter_add_(-1, low, gradient - upper)
        return to_table, to_position


def _neighbours(table: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The whole positions below and above, and how far a position lies from the lower to the upper one."""
    floor = position.floor()
    low = floor.long()
    return low, (low + 1).clamp(max=table.shape[-1] - 1), position - floor


@dataclass(frozen=True)
class CAPEConfig:
    """SASRec with contextual positions in every block, in place of learned ones at the input.

    Differences from the paper and its released code: (1) keys that a query does not see, padding above all, have a
    gate of 0, where the released code gives them 1, so that positions there depend on how much padding there is;
    (2) the paper's fusion of position and item, ``q_i . pos``, enters the logits as it is, beside the scaled product;
    (3) training is that of :class:`recgym.encoders.SASRecConfig`, whose differences hold here too. As positions are
    counted back from the query, a user's state can be moved on event by event beyond any window.

    Attributes:
        width: D.
        blocks: how many.
        heads: of each block.
        window: T.
        positions: P; the window if None.
        dropout: of the input, attention and feed-forward nets.
        events: what enters beside item ids.
        fit: settings of training.
    """

    width: int = 64
    blocks: int = 2
    heads: int = 1
    window: int = 200
    positions: int | None = None
    dropout: float = 0.2
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        positions, head_width = self.positions or self.window, self.width // self.heads
        blocks = [
            PlainBlock(
                self.width, self.heads, Softmax(), ContextualPositions(positions, head_width),
                FeedForward(self.width, self.width, self.dropout, nn.ReLU()), self.dropout,
            )
            for _ in range(self.blocks)
        ]  # fmt: skip
        backbone = Transformer(blocks, Causal(self.window), PositionPart(), nn.LayerNorm(self.width))
        items, events = IdItems(catalogue.num_items, self.width, spread=0.02), catalogue.events(self.events, self.width)
        encoder = SequenceEncoder(items, events, backbone, self.window, math.sqrt(self.width), self.dropout)
        return NextItemModel(encoder, LastState(), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        return (Stage(Objective(((1.0, NextItem(FullSoftmax())),)), self.fit),)
