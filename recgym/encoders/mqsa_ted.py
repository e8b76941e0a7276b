"""MQSA-TED: attention asked by short and by long queries, and distilled item transitions (arXiv 2311.01056)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders.base import Backbone
from recgym.encoders.batch import Where
from recgym.encoders.catalogue import Catalogue
from recgym.encoders.fit import Stage
from recgym.encoders.model import NextItemModel
from recgym.encoders.sasrec import SASRecConfig
from recgym.encoders.transformer import Cache, PlainBlock, Transformer
from recgym.encoders.transitions import DistilTransitions

__all__ = ["MQSATEDConfig", "TwoQueries"]

Memory = tuple[tuple[Cache, Float32[Tensor, "B _ D"]], ...]


class _Stack(nn.Module):
    """Blocks whose queries are, at every level, the mean of the newest states of the level below."""

    def __init__(self, transformer: Transformer, newest: int) -> None:
        super().__init__()
        self.blocks, self.norm = transformer.blocks, transformer.norm
        self.mask, self.newest = transformer.mask, newest

    def __iter__(self) -> Iterator[PlainBlock]:
        return (block for block in self.blocks if isinstance(block, PlainBlock))

    def forward(
        self, states: Float32[Tensor, "B T D"], where: Where, seen: Bool[Tensor, "B T T"] | None
    ) -> Float32[Tensor, "B T D"]:
        for block in self:
            earlier = functional.pad(states, (0, 0, self.newest - 1, 0))
            queries = self.mean(earlier.unfold(1, self.newest, 1).sum(-1), where)
            states = block.ask(queries, *block.keys_values(states, where), where, where, seen)
        out: Tensor = self.norm(states)
        return out

    def mean(self, total: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        return total / (where.position + 1).clamp(max=self.newest)[..., None].to(total.dtype)

    def init_memory(self, users: int, window: int, device: torch.device) -> Memory:
        return tuple(
            (
                Cache.empty(users, window, block.key_heads, block.key_width, block.value_width, device),
                torch.zeros((users, self.newest - 1, block.heads * block.key_width), device=device),
            )
            for block in self
        )

    def step(self, memory: Memory, states: Float32[Tensor, "B 1 D"], where: Where) -> tuple[Memory, Tensor]:
        after = []
        for block, (cache, earlier) in zip(self, memory, strict=True):
            newest, cache = torch.cat([earlier, states], 1), cache.append(*block.keys_values(states, where), where)
            queries, of = self.mean(newest.sum(1, keepdim=True), where), cache.where()
            states = block.ask(queries, cache.keys, cache.values, where, of, self.mask(where, of))
            after.append((cache, newest[:, 1:]))
        return tuple(after), self.norm(states)


class TwoQueries(Backbone[tuple[Memory, Memory]]):
    """``share short(x) + (1 - share) long(x)``: two stacks of blocks over the same input.

    In the short stack each event asks for itself, in the long one with the mean of it and those just before it.

    Args:
        short: gives its positions, mask, blocks and last norm.
        long: gives its blocks and last norm.
        newest: L, events that a long query is the mean of; fewer at the beginning.
        share: alpha, of the short stack.
    """

    def __init__(self, short: Transformer, long: Transformer, newest: int, share: float) -> None:
        super().__init__()
        self.capabilities, self.position, self.mask = short.capabilities, short.position, short.mask
        self.short, self.long, self.share = _Stack(short, 1), _Stack(long, newest), share

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        inputs = self.position.embed(vectors, where)
        seen = None if self.mask.trivial(vectors.shape[1]) else self.mask(where, where)
        return torch.lerp(self.long(inputs, where, seen), self.short(inputs, where, seen), self.share)

    def init_memory(self, users: int, window: int, device: torch.device) -> tuple[Memory, Memory]:
        """See :class:`recgym.encoders.Backbone`."""
        return self.short.init_memory(users, window, device), self.long.init_memory(users, window, device)

    def step(
        self, memory: tuple[Memory, Memory], vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[tuple[Memory, Memory], Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        inputs = self.position.embed(vectors[:, None], where)
        short_memory, short = self.short.step(memory[0], inputs, where)
        long_memory, long = self.long.step(memory[1], inputs, where)
        return (short_memory, long_memory), torch.lerp(long, short, self.share)[:, 0]


@dataclass(frozen=True)
class MQSATEDConfig:
    """SASRec's parts, asked twice (:class:`TwoQueries`); the loss is ``CE + weight * KL`` (:class:`DistilTransitions`).

    Differences from the paper: (1) blocks norm queries, keys and values alike and carry the plain query on, where the
    released code norms and carries on the query alone; (2) some events of a batch are distilled; (3) SASRecConfig's.

    Attributes:
        base: of both stacks.
        newest: L, events of a long query.
        share: alpha, of the short stack.
        weight: of the distillation.
        temperature: tau, of the distillation.
        rows: events of a batch that are distilled.
    """

    base: SASRecConfig = field(default_factory=lambda: SASRecConfig(blocks=1, window=50, dropout=0.5))
    newest: int = 3
    share: float = 0.5
    weight: float = 0.1
    temperature: float = 0.1
    rows: int = 256

    def __post_init__(self) -> None:
        if self.newest < 1 or not 0 <= self.share <= 1:
            raise ValueError(f"expected newest of at least 1 and a share of 0..1, found {self.newest} and {self.share}")

    @property
    def window(self) -> int:
        """T."""
        return self.base.window

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        model = self.base.build(catalogue)
        model.encoder.backbone = TwoQueries(self.base.backbone(), self.base.backbone(), self.newest, self.share)
        return model

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        term = self.weight, DistilTransitions(self.temperature, self.rows)
        return tuple(replace(stage, objective=stage.objective.plus(term)) for stage in self.base.stages(catalogue))
