"""One Transformer with pluggable parts: blocks, a mask, and positions at the input."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from recgym.encoders.base import Backbone, Capabilities
from recgym.encoders.batch import Where
from recgym.encoders.transformer.blocks import Cache, GatedBlock, PlainBlock
from recgym.encoders.transformer.masks import Blocks, Mask
from recgym.encoders.transformer.positions import PositionPart

__all__ = ["Caches", "Transformer"]

Caches = tuple[Cache, ...]


class Transformer(Backbone[Caches]):
    """Positions, blocks, a last norm.

    It is causal if its mask is, and then incremental: keys and values of the newest ``window`` events are kept. It
    slides if in addition no part counts absolute positions and the mask has a span.

    Args:
        blocks: from the input to the output.
        mask: which events see which.
        position: positions at the input; those in the logits belong to the blocks.
        norm: of the last states.
        dropout: of the input.
    """

    def __init__(
        self,
        blocks: Sequence[PlainBlock | GatedBlock],
        mask: Mask,
        position: PositionPart,
        norm: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.mask, self.position = mask, position
        self.norm = norm or nn.Identity()
        self.drop = nn.Dropout(dropout)
        parts = [position, *(block.position for block in blocks)]
        self.capabilities = Capabilities(
            causal=mask.causal,
            # A state that depends on when the next item is asked for is not known when its event comes.
            incremental=mask.causal and not any(part.needs_query_time for part in parts),
            needs_time=any(part.needs_time for part in parts),
            sliding=mask.causal and getattr(mask, "span", None) is not None and all(part.sliding for part in parts),
        )

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        states = self.drop(self.position.embed(vectors, where))
        where, seen = self._seen(where)
        for block in self.blocks:
            states = block(states, where, seen)
        out: Tensor = self.norm(states)
        return out

    def init_memory(self, users: int, window: int, device: torch.device) -> Caches:
        """See :class:`recgym.encoders.Backbone`."""
        return tuple(
            Cache.empty(users, window, block.key_heads, block.key_width, block.value_width, device)
            for block in self._blocks()
        )

    def step(
        self, memory: Caches, vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[Caches, Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        states = self.drop(self.position.embed(vectors[:, None], where))
        caches = []
        for block, cache in zip(self._blocks(), memory, strict=True):
            cache, states = block.step(states, where, cache, self.mask)
            caches.append(cache)
        return tuple(caches), self.norm(states)[:, 0]

    def remember(
        self, vectors: Float32[Tensor, "B T D"], where: Where, window: int
    ) -> tuple[Caches, Float32[Tensor, "B T D"]]:
        """See :class:`recgym.encoders.Backbone`; in one pass."""
        states = self.drop(self.position.embed(vectors, where))
        where, seen = self._seen(where)
        caches = []
        for block in self._blocks():
            states, keys, values = block.attend(states, where, seen)
            caches.append(Cache.of(keys, values, where, window))
        return tuple(caches), self.norm(states)

    def beside(self, memory: Caches, vectors: Float32[Tensor, "B M D"], where: Where) -> Float32[Tensor, "B M D"]:
        """The states of M events of each user, each as if it alone came next; the memory stays as it is.

        Args:
            memory: of incremental backbones; its history is not encoded again.
            vectors: of the events.
            where: each stands right after the newest event.
        """
        count = torch.arange(1, vectors.shape[1] + 1, device=vectors.device).expand(vectors.shape[:2])
        at, past = where._replace(block=count), memory[0].where()
        of = past.followed_by(where)._replace(block=torch.cat([torch.zeros_like(past.position), count], 1))
        seen = Blocks()(at, of) & self.mask(at, of)
        states = self.drop(self.position.embed(vectors, at))
        for block, cache in zip(self._blocks(), memory, strict=True):
            states = block.beside(states, at, of, cache, seen)
        out: Tensor = self.norm(states)
        return out

    def _seen(self, where: Where) -> tuple[Where, Bool[Tensor, "B T T"] | None]:
        """Where the events stand, with what all blocks need, and which sees which, None for the past."""
        if not self.mask.trivial(where.position.shape[1]):
            return where, self.mask(where, where)
        for block in self._blocks():
            if isinstance(block, GatedBlock):
                where = block.prepare(where)
        return where, None

    def _blocks(self) -> list[PlainBlock | GatedBlock]:
        return [block for block in self.blocks if isinstance(block, PlainBlock | GatedBlock)]
