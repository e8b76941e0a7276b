"""HSTU: hierarchical sequential transduction units (arXiv 2402.17152)."""

import math
from dataclasses import dataclass, field

from recgym.encoders.base import SequenceEncoder
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.interleaved import Answers, Interleaved
from recgym.encoders.items import IdItems
from recgym.encoders.losses import SampledSoftmax
from recgym.encoders.losses.negatives import UniformItems
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective, Term
from recgym.encoders.scorers import Cosine
from recgym.encoders.transformer import (
    Causal,
    GatedBlock,
    LearnedPositions,
    PositionPart,
    RelativePositions,
    Silu,
    Softmax,
    Summed,
    TimeBuckets,
    Transformer,
)

__all__ = ["HSTUConfig"]


@dataclass(frozen=True)
class HSTUConfig:
    """Gated blocks with pointwise attention, relative biases and a cosine scorer, trained by sampled softmax.

    Of ``x = sqrt(d) E[item] + P``, each block makes, with n the window and the sums over events up to each one,

        U, V, Q, K = SiLU(W LN(x))
        A = SiLU(Q K^T + b_position + b_time) / n
        y = x + W_o(dropout(LN(A V) * U))

    where ``b_position`` is one number for each of the 2 n - 1 distances and ``b_time`` one for each bucket
    ``floor(ln(max(|dt|, 1)) / 0.301)``, at most 128. Items are scored by ``cos(y, E[item]) / 0.05``.

    Differences from the paper and its released code: (1) the time of the item to come enters the time bias only if
    ``sees_query_time`` says so; in the released code it always does, which is knowledge that a system has when it is
    asked, but that no other model of a comparison is given; (2) negatives are shared by the batch, more of them, in
    place of 128 for each position; (3) norms have a learned scale and shift, and the maps a shift; (4) every event is a
    target, and histories longer than the window are cut into stretches, where the paper keeps the newest; (5) without
    ``absolute``, a user's state can be moved on event by event beyond any window; (6) with ``actions``, feedback is a
    token of its own after its item's, of all channels, where the paper has one action.

    Attributes:
        width: D.
        blocks: how many.
        heads: of each block.
        window: T, events.
        dropout: of the input and of what the blocks add.
        absolute: learned positions at the input, as in the released code.
        relative: the position bias.
        timed: the time bias; the log must have times.
        sees_query_time: the time bias looks back from the moment of the next item, not of the newest event. Then scores
            need that moment, and there is no state before it is known: ``SequenceEncoder.step`` raises.
        softmax: softmax attention in place of SiLU, for comparison.
        actions: item and feedback are alternating tokens; the model then also learns to foretell the feedback to an
            item, see ``recgym.encoders.score_candidates``.
        negatives: how many of a batch.
        temperature: of the scores.
        events: what enters beside item ids.
        fit: settings of training.
    """

    width: int = 50
    blocks: int = 2
    heads: int = 1
    window: int = 200
    dropout: float = 0.2
    absolute: bool = True
    relative: bool = True
    timed: bool = True
    sees_query_time: bool = False
    softmax: bool = False
    actions: bool = False
    negatives: int = 512
    temperature: float = 0.05
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=100))

    def __post_init__(self) -> None:
        if self.sees_query_time and not self.timed:
            raise ValueError("sees_query_time is a setting of the time bias, which timed=False leaves out")
        if self.actions and not self.events.feedback:
            raise ValueError("actions are tokens made of feedback, expected events=EventConfig(feedback=True)")

    @classmethod
    def large(cls) -> "HSTUConfig":
        """The paper's larger variant (MovieLens-1M)."""
        return cls(blocks=8, heads=2)

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`.

        Raises:
            ValueError: times or feedback are to enter, and the log has none.
        """
        if self.timed and not catalogue.timed:
            raise ValueError(
                "the time bias needs times, found a log that knows only their order; timed=False does without"
            )
        tokens = self.window * (2 if self.actions else 1)
        transformer = Transformer(
            [
                GatedBlock(
                    self.width,
                    self.heads,
                    Softmax() if self.softmax else Silu(tokens),
                    self._bias(tokens),
                    self.dropout,
                )
                for _ in range(self.blocks)
            ],
            Causal(None if self.absolute else tokens),
            LearnedPositions(tokens, self.width, 1 / math.sqrt(self.width)) if self.absolute else PositionPart(),
        )
        events = catalogue.events(self.events, self.width, apart=self.actions)
        encoder = SequenceEncoder(
            IdItems(catalogue.num_items, self.width, spread=0.02),
            events,
            Interleaved(transformer, self.width, events.channels) if self.actions else transformer,
            self.window,
            math.sqrt(self.width),
            self.dropout,
        )
        return NextItemModel(encoder, LastState(), Cosine(self.temperature))

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        terms: list[tuple[float, Term]] = [
            (1.0, NextItem(SampledSoftmax(UniformItems(catalogue.num_items), self.negatives)))
        ]
        if self.actions:
            terms.append((1.0, Answers()))
        return (Stage(Objective(tuple(terms)), self.fit),)

    def _bias(self, tokens: int) -> PositionPart:
        parts: list[PositionPart] = [RelativePositions(tokens)] if self.relative else []
        if self.timed:
            parts.append(TimeBuckets(self.sees_query_time))
        return Summed(*parts) if parts else PositionPart()
