"""SIGMA: selective gated Mamba for sequential recommendation (arXiv 2408.11451)."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders.base import Backbone, Capabilities, SequenceEncoder
from recgym.encoders.batch import Where
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.items import IdItems
from recgym.encoders.losses import FullSoftmax
from recgym.encoders.mamba import Mamba
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scorers import Dot
from recgym.encoders.transformer import FeedForward

__all__ = ["DenseSelectiveGate", "FeatureExtractGRU", "SIGMABackbone", "SIGMABlock", "SIGMAConfig"]

_MIX = (0.8, 0.1, 0.1)
"""Weights of the plain branch, the flipped one and the GRU at the start."""


class DenseSelectiveGate(nn.Module):
    """``M (1 + dropout(W_1 SiLU(h) + W_2 sigmoid(h)))`` with ``h = x + W x``: how much of a branch passes.

    Args:
        width: D.
        dropout: of the gate.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.smooth, self.sharp = nn.Linear(width, width), nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, vectors: Float32[Tensor, "B T D"], mixed: Float32[Tensor, "B T D"]) -> Float32[Tensor, "B T D"]:
        """The branch ``mixed``, gated by the event that it stands at."""
        dense = vectors + self.dense(vectors)
        gate = self.smooth(functional.silu(dense)) + self.sharp(torch.sigmoid(dense))
        out: Tensor = mixed + mixed * self.drop(gate)
        return out


class FeatureExtractGRU(nn.Module):
    """A convolution over the newest 3 events, then a GRU: for short-term taste and for short histories.

    Args:
        width: D.
    """

    kernel = 3

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = nn.Linear(self.kernel * width, width)
        self.gru = nn.GRU(width, width, bias=False, batch_first=True)

    def forward(self, vectors: Float32[Tensor, "B T D"]) -> Float32[Tensor, "B T D"]:
        """The state after each event."""
        padded = functional.pad(vectors, (0, 0, self.kernel - 1, 0))
        near = torch.cat([padded[:, k : k + vectors.shape[1]] for k in range(self.kernel)], -1)
        out: Tensor = self.gru(self.convolve(near))[0]
        return out


class SIGMABlock(nn.Module):
    """``z = W (w_1 G_1 M(x) + w_2 G_2 M(flip x) + w_3 GRU(conv x))``, then ``LN(z)`` and ``LN(z + FFN z)``.

    M is one Mamba for both directions, each G a gate; the flip reverses all but the newest ``tail`` events.

    Args:
        width: D.
        mamba: M.
        tail: r.
        dropout: of gates, of z and of the feed-forward net.
        residual: whether the block's input is added to z.
    """

    def __init__(self, width: int, mamba: Mamba, tail: int, dropout: float, residual: bool) -> None:
        super().__init__()
        self.mamba, self.tail, self.residual = mamba, tail, residual
        self.gate, self.flipped_gate = DenseSelectiveGate(width, dropout), DenseSelectiveGate(width, dropout)
        self.short = FeatureExtractGRU(width)
        self.mix = nn.Parameter(torch.tensor(_MIX))
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.norm, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, 4 * width, dropout, nn.GELU())

    def forward(self, vectors: Float32[Tensor, "B T D"]) -> Float32[Tensor, "B T D"]:
        """The state after each event, of it and those before it."""
        plain, flipped = self.mamba.both(vectors, self.tail)
        mixed = (
            self.mix[0] * self.gate(vectors, plain)
            + self.mix[1] * self.flipped_gate(vectors, flipped)
            + self.mix[2] * self.short(vectors)
        )
        states = self.drop(self.out(mixed))
        states = self.norm(states + vectors if self.residual else states)
        out: Tensor = self.norm_feed(states + self.feed_forward(states))
        return out


class SIGMABackbone(Backbone[tuple[()]]):
    """A norm, then blocks. All prefixes are encoded at once, each as if it were the whole history.

    Args:
        width: D.
        blocks: from the input to the output.
    """

    capabilities = Capabilities(causal=True, incremental=False)

    def __init__(self, width: int, blocks: list[SIGMABlock]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        states: Tensor = self.norm(vectors)
        for block in self.blocks:
            states = block(states)
        return states

    def init_memory(self, users: int, window: int, device: torch.device) -> tuple[()]:
        """Never asked for: the window is encoded anew."""
        raise NotImplementedError("SIGMA encodes its window anew at each step")

    def step(
        self, memory: tuple[()], vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[tuple[()], Float32[Tensor, "B D"]]:
        """Never asked for: the window is encoded anew."""
        raise NotImplementedError("SIGMA encodes its window anew at each step")


@dataclass(frozen=True)
class SIGMAConfig:
    """One shared Mamba over the history and over its partial flip, each gated, and a GRU beside them.

    Differences from the paper: (1) every event is a target. The flip of a whole history would show the state at an
    event what comes after it; here each prefix is flipped by itself, which costs no more (see
    :func:`recgym.encoders.scan.flipped_scan`), so that the state at an event is that of the history up to it, in
    training as in use. (2) For that, the convolution looks at true neighbours where the flip would set others beside
    an event: at the oldest 3 events of the tail and the newest 3 of the reversed part. (3) The flip is within the real
    history; released code flips the first 45 of 50 columns, padding with them. (4) The convolution before the GRU looks
    back over 3 events, not one ahead. (5) Each gate reads its own branch; in released code one half of the second gate
    reads the first branch. (6) Mamba's own initialisation stays, which released code overwrites, time steps too.

    Attributes:
        width: D.
        blocks: how many; with more than one, each adds its input to what it makes.
        states: of each channel of the state space.
        kernel: events that its convolution sees.
        expand: channels / D.
        tail: r, newest events that keep their order.
        window: T.
        dropout: of the input, the gates, the blocks and the feed-forward nets.
        events: what enters beside item ids.
        fit: settings of training.
    """

    width: int = 64
    blocks: int = 1
    states: int = 32
    kernel: int = 4
    expand: int = 2
    tail: int = 5
    window: int = 200
    dropout: float = 0.2
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if self.tail < self.kernel:
            raise ValueError(f"tail must be at least the kernel, {self.kernel}, found {self.tail}")

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        items = IdItems(catalogue.num_items, self.width, spread=0.02)
        blocks = [
            SIGMABlock(
                self.width, Mamba(self.width, self.states, self.kernel, self.expand),
                self.tail, self.dropout, residual=self.blocks > 1,
            )
            for _ in range(self.blocks)
        ]  # fmt: skip
        encoder = SequenceEncoder(
            items, catalogue.events(self.events, self.width), SIGMABackbone(self.width, blocks),
            self.window, dropout=self.dropout,
        )  # fmt: skip
        return NextItemModel(encoder, LastState(), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        return (Stage(Objective(((1.0, NextItem(FullSoftmax())),)), self.fit),)
