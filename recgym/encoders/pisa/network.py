"""The network of PISA: weighted sessions, a Transformer over them, and the fusion of short and long-term interests."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders.batch import Where
from recgym.encoders.items import IdItems, lookup
from recgym.encoders.pisa.components import Components
from recgym.encoders.pisa.config import PISAConfig
from recgym.encoders.transformer import (
    Causal,
    FeedForward,
    LearnedPositions,
    PlainBlock,
    PositionPart,
    Softmax,
    Transformer,
)

__all__ = ["Embedded", "Interests", "PISANetwork"]

_LEAST = 1e-8
"""What an item of no activation weighs before the power is taken: the root has no slope at 0."""

_FIRST_STRENGTH = 0.1


class Embedded(NamedTuple):
    """Sessions as vectors.

    Attributes:
        inputs: x, with the base levels after each session.
        targets: x, with the base levels before each session.
        vectors: of the items; 0 at padding.
    """

    inputs: Float32[Tensor, "B C D"]
    targets: Float32[Tensor, "B C D"]
    vectors: Float32[Tensor, "B C K D"]


class Interests(NamedTuple):
    """What users want next, vectors of length 1.

    Attributes:
        short: after each session.
        long: likewise; 0 without a long-term interest.
    """

    short: Float32[Tensor, "B T D"]
    long: Float32[Tensor, "B T D"]


class PISANetwork(nn.Module):
    """See :class:`recgym.encoders.pisa.PISAConfig`.

    Args:
        config: settings.
        num_items: N.
    """

    def __init__(self, config: PISAConfig, num_items: int) -> None:
        super().__init__()
        self.config = config
        self.items = IdItems(num_items, config.width)
        self.strengths = nn.Parameter(torch.full((3,), _FIRST_STRENGTH))
        width, rate = config.width, config.dropout
        blocks = [
            PlainBlock(width, config.heads, Softmax(), PositionPart(), FeedForward(width, width, rate, nn.ReLU()), rate)
            for _ in range(config.blocks)
        ]
        self.backbone = Transformer(blocks, Causal(), LearnedPositions(config.window, width), dropout=rate)
        self.gate = nn.Linear(2 * config.width, 2)

    def embed(self, sessions: Components, table: Float32[Tensor, "R D"]) -> Embedded:
        """Sessions as weighted sums of their items.

        Args:
            sessions: in order; the first column is the session before the others and only matched with.
            table: item vectors, of :meth:`recgym.encoders.IdItems.table`.
        """
        n = self.items.num_items
        vectors = lookup(table, sessions.items, n)
        mask = sessions.items < n
        common = sessions.spread, self._matching(sessions, vectors, table)
        weights = [self.weights(level, common, mask) for level in (sessions.level, sessions.known)]
        inputs, targets = (torch.stack(weights, 2) @ vectors).unbind(2)
        return Embedded(inputs, targets, vectors)

    def weights(
        self,
        level: Float32[Tensor, "*rows K"],
        common: tuple[Float32[Tensor, "*rows K"], Float32[Tensor, "*rows K"]],
        mask: Bool[Tensor, "*rows K"],
    ) -> Float32[Tensor, "*rows K"]:
        """The weight of each item in its session.

        Args:
            level: BL.
            common: SPR and PM.
            mask: where an item is.

        Returns:
            Weights that sum to 1, or are 0 for sessions without items.
        """
        used = (self.config.base_level, self.config.spreading, self.config.matching)
        raw = mask.float()
        if any(used):
            parts = zip(used, self.strengths.relu(), (level, *common), strict=True)
            total = torch.stack([strength * part.relu() for on, strength, part in parts if on]).sum(0)
            raw = (total + _LEAST).pow(self.config.power) * raw
        return raw / raw.sum(-1, keepdim=True).clamp(min=torch.finfo(raw.dtype).tiny)

    def _matching(
        self, sessions: Components, vectors: Float32[Tensor, "B C K D"], table: Float32[Tensor, "R D"]
    ) -> Float32[Tensor, "B C K"]:
        """Partial matching of each session with the column before; 0 in the first column."""
        if not self.config.matching:
            return torch.zeros_like(sessions.spread)
        before = functional.pad(vectors.sum(2)[:, :-1], (0, 0, 1, 0))
        together = (vectors @ before[..., None])[..., 0]
        own = table.square().sum(1)[sessions.items] * sessions.shared
        own = torch.cat([torch.zeros_like(own[:, :1]), own[:, 1:]], 1)  # nothing stands before the first column
        return together - own

    def interests(
        self, inputs: Float32[Tensor, "B T D"], sessions: Components, table: Float32[Tensor, "R D"]
    ) -> Interests:
        """What users want after each session.

        Args:
            inputs: of :meth:`embed`, aligned, the first column taken off.
            sessions: the same ones.
            table: item vectors.
        """
        mask = sessions.items[..., 0] < self.items.num_items
        where = Where(torch.arange(inputs.shape[1]).expand(mask.shape), mask)
        states = self.backbone(inputs * math.sqrt(self.config.width), where)
        state = functional.normalize(states, dim=-1)
        long = torch.zeros_like(state)
        if self.config.long_term:
            long = self._long_term(sessions, table)
            share = self.gate(torch.cat([long, state], -1)).softmax(-1)
            state = share[..., :1] * long + share[..., 1:] * state
        if self.config.skip:
            state = state + inputs
        return Interests(functional.normalize(state, dim=-1), long)

    def _long_term(self, sessions: Components, table: Float32[Tensor, "R D"]) -> Float32[Tensor, "B T D"]:
        """The favourites, by their base levels, as a vector of length 1."""
        favourites, favour = sessions.favourites.flatten(0, 1), sessions.favour.flatten(0, 1)
        summed = functional.embedding_bag(favourites, table, mode="sum", per_sample_weights=favour)
        return functional.normalize(summed, dim=-1).reshape(*sessions.favourites.shape[:2], -1)

    def scores(self, interests: Interests, at: Float32[Tensor, "R D"]) -> Float32[Tensor, "B T N"]:
        """The score of every item for each interest; ``at`` is the table of items."""
        wanted = interests.short + self.config.long * interests.long
        return wanted @ at[: self.items.num_items].T
