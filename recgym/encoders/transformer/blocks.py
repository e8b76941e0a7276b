"""The blocks of a Transformer: plain (attention, then a feed-forward net) and gated (HSTU)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders.batch import Where
from recgym.encoders.transformer.masks import Mask
from recgym.encoders.transformer.mixers import Mixer, Silu
from recgym.encoders.transformer.positions import PositionPart

__all__ = ["Cache", "FeedForward", "GatedBlock", "PlainBlock"]


class Cache(NamedTuple):
    """Keys and values of the newest events of each user, right-aligned.

    Attributes:
        keys: as they enter the product.
        values: likewise.
        position: of the events; -1 where there is none.
        time_s: of the events.
    """

    keys: Float32[Tensor, "B J T d"]
    values: Float32[Tensor, "B J T e"]
    position: Int64[Tensor, "B T"]
    time_s: Float64[Tensor, "B T"]

    @classmethod
    def empty(
        cls, users: int, window: int, heads: int, key_width: int, value_width: int, device: torch.device
    ) -> "Cache":
        """No events yet."""
        return cls(
            torch.zeros((users, heads, window, key_width), device=device),
            torch.zeros((users, heads, window, value_width), device=device),
            torch.full((users, window), -1, device=device),
            torch.zeros((users, window), dtype=torch.float64, device=device),
        )

    @classmethod
    def of(
        cls, keys: Float32[Tensor, "B J T d"], values: Float32[Tensor, "B J T e"], where: Where, window: int
    ) -> "Cache":
        """Of the newest events of aligned histories."""
        column = where.mask.sum(1, keepdim=True) + torch.arange(-window, 0, device=keys.device)
        mask, column = column >= 0, column.clamp(min=0)

        def take(part: Tensor) -> Tensor:
            index = column[:, None, :, None].expand(-1, part.shape[1], -1, part.shape[3])
            return part.gather(2, index) * mask[:, None, :, None]

        time_s = torch.zeros_like(mask, dtype=torch.float64) if where.time_s is None else where.time_s.gather(1, column)
        return cls(take(keys), take(values), torch.where(mask, where.position.gather(1, column), -1), time_s * mask)

    def append(self, keys: Float32[Tensor, "B J 1 d"], values: Float32[Tensor, "B J 1 e"], where: Where) -> "Cache":
        """One more event, in place of the oldest."""
        time_s = torch.zeros_like(self.time_s[:, :1]) if where.time_s is None else where.time_s
        return Cache(
            torch.cat([self.keys[:, :, 1:], keys], 2),
            torch.cat([self.values[:, :, 1:], values], 2),
            torch.cat([self.position[:, 1:], where.position], 1),
            torch.cat([self.time_s[:, 1:], time_s], 1),
        )

    def where(self) -> Where:
        """Where the events stand."""
        return Where(self.position, self.position >= 0, self.time_s)


class FeedForward(nn.Module):
    """Two maps with an activation between, and dropout after each.

    Args:
        width: D.
        inner: width between.
        dropout: probability.
        activation: between the maps.
        drop_inner: whether there is dropout after the first map too; GPT has it after the second alone.
    """

    def __init__(self, width: int, inner: int, dropout: float, activation: nn.Module, drop_inner: bool = True) -> None:
        super().__init__()
        between = nn.Dropout(dropout) if drop_inner else nn.Identity()
        self.layers = nn.Sequential(
            nn.Linear(width, inner), activation, between, nn.Linear(inner, width), nn.Dropout(dropout)
        )

    def forward(self, states: Float32[Tensor, "*rows D"]) -> Float32[Tensor, "*rows D"]:
        """One vector a row."""
        out: Tensor = self.layers(states)
        return out


class PlainBlock(nn.Module):
    """``x + attention(LN x)``, then ``x + feed_forward(LN x)`` (pre-LN); or the norms after the sums (post-LN).

    Args:
        width: D.
        heads: H.
        mixer: of the values.
        position: its part in the logits.
        feed_forward: the second half of the block.
        dropout: of attention weights and of the result.
        pre_norm: whether norms stand before each half, or after each sum.
        shared_keys: all heads share keys and values (multi-query attention).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mixer: Mixer,
        position: PositionPart,
        feed_forward: FeedForward,
        dropout: float,
        pre_norm: bool = True,
        shared_keys: bool = False,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} is not a multiple of {heads} heads")
        self.heads, self.key_heads = heads, 1 if shared_keys else heads
        self.key_width = self.value_width = width // heads
        self.mixer, self.position, self.feed_forward = mixer, position, feed_forward
        self.rate, self.pre_norm = dropout, pre_norm
        self.norm, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, (heads + 2 * self.key_heads) * self.key_width)
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def split(self, states: Float32[Tensor, "B T D"], where: Where) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the normalised states, by heads and with positions."""
        widths = [self.heads * self.key_width] + [self.key_heads * self.key_width] * 2
        queries, keys, values = (_by_heads(part, self.key_width) for part in self.project(states).split(widths, -1))
        return self.position.rotate(queries, where), self.position.rotate(keys, where), values

    def forward(
        self, states: Float32[Tensor, "B T D"], where: Where, seen: Bool[Tensor, "B T T"] | None
    ) -> Float32[Tensor, "B T D"]:
        """The states of the next level; ``seen`` as in :class:`recgym.encoders.transformer.Mixer`."""
        return self.attend(states, where, seen)[0]

    def attend(
        self, states: Float32[Tensor, "B T D"], where: Where, seen: Bool[Tensor, "B T T"] | None
    ) -> tuple[Float32[Tensor, "B T D"], Float32[Tensor, "B J T d"], Float32[Tensor, "B J T e"]]:
        """The same with the keys and values that were looked at."""
        queries, keys, values = self.split(self.norm(states) if self.pre_norm else states, where)
        return self._finish(states, self._mix(queries, keys, values, where, where, seen)), keys, values

    def step(self, states: Float32[Tensor, "B 1 D"], where: Where, cache: Cache, mask: Mask) -> tuple[Cache, Tensor]:
        """The cache with one more event, and that event's state ``[B, 1, D]`` of the next level."""
        queries, keys, values = self.split(self.norm(states) if self.pre_norm else states, where)
        cache = cache.append(keys, values, where)
        seen = mask(where, cache.where())
        return cache, self._finish(states, self._mix(queries, cache.keys, cache.values, where, cache.where(), seen))

    def keys_values(
        self, states: Float32[Tensor, "B T D"], where: Where
    ) -> tuple[Float32[Tensor, "B J T d"], Float32[Tensor, "B J T e"]]:
        """Keys and values of the states, for :meth:`ask`."""
        asking = self.heads * self.key_width
        normed = self.norm(states) if self.pre_norm else states
        both = functional.linear(normed, self.project.weight[asking:], self.project.bias[asking:])
        keys, values = (_by_heads(part, self.key_width) for part in both.chunk(2, -1))
        return self.position.rotate(keys, where), values

    def ask(
        self,
        asking: Float32[Tensor, "B Q D"],
        keys: Float32[Tensor, "B J T d"],
        values: Float32[Tensor, "B J T e"],
        at: Where,
        of: Where,
        seen: Bool[Tensor, "B Q T"] | None,
    ) -> Float32[Tensor, "B Q D"]:
        """The next level of states that look at others: ``ask(x, *keys_values(x, at), at, at, seen)`` is ``forward``.

        Args:
            asking: what queries are made of, and what is added to.
            keys: of :meth:`keys_values`.
            values: likewise.
            at: where the queries stand.
            of: where the keys stand.
            seen: as in :class:`recgym.encoders.transformer.Mixer`.
        """
        width = self.heads * self.key_width
        normed = self.norm(asking) if self.pre_norm else asking
        queries = _by_heads(functional.linear(normed, self.project.weight[:width], self.project.bias[:width]),
                            self.key_width)  # fmt: skip
        return self._finish(asking, self._mix(self.position.rotate(queries, at), keys, values, at, of, seen))

    def beside(
        self, states: Float32[Tensor, "B M D"], at: Where, of: Where, cache: Cache, seen: Bool[Tensor, "B M K"]
    ) -> Float32[Tensor, "B M D"]:
        """The states of the next level of M events beside one another, whose keys stand after those of the cache."""
        queries, keys, values = self.split(self.norm(states) if self.pre_norm else states, at)
        keys, values = torch.cat([cache.keys, keys], 2), torch.cat([cache.values, values], 2)
        return self._finish(states, self._mix(queries, keys, values, at, of, seen))

    def _mix(self, queries: Tensor, keys: Tensor, values: Tensor, at: Where, of: Where, seen: Tensor | None) -> Tensor:
        bias = self.position.bias(queries, keys, at, of) if self.position.biased else None
        mixed = self.mixer(queries, keys, values, bias, seen, self.rate if self.training else 0.0)
        out: Tensor = self.drop(self.out(mixed.transpose(1, 2).flatten(2)))
        return out

    def _finish(self, states: Tensor, mixed: Tensor) -> Tensor:
        if self.pre_norm:
            states = states + mixed
            out: Tensor = states + self.feed_forward(self.norm_feed(states))
            return out
        states = self.norm(states + mixed)
        out = self.norm_feed(states + self.feed_forward(states))
        return out


class GatedBlock(nn.Module):
    """HSTU's block (arXiv 2402.17152, section 3.1): ``x + W_o(dropout(LN(A V) * U))``, no feed-forward net.

    ``U, V, Q, K = SiLU(W LN(x))``. What is mixed is gated by what the event itself is.

    Args:
        width: D.
        heads: H.
        mixer: of the values.
        position: its part in the logits.
        dropout: of the gated result.
        head_width: width of a head; ``D / H`` if None.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mixer: Mixer,
        position: PositionPart,
        dropout: float,
        head_width: int | None = None,
    ) -> None:
        super().__init__()
        if head_width is None and width % heads:
            raise ValueError(f"a width of {width} is not a multiple of {heads} heads")
        self.heads = self.key_heads = heads
        self.key_width = self.value_width = head_width or width // heads
        self.mixer, self.position = mixer, position
        # Pointwise weights are small, and a larger eps would let early events pass as nothing.
        self.norm, self.norm_mixed = nn.LayerNorm(width, 1e-6), nn.LayerNorm(heads * self.key_width, 1e-6)
        self.project = nn.Linear(width, 4 * heads * self.key_width)
        self.out = nn.Linear(heads * self.key_width, width)
        nn.init.normal_(self.project.weight, std=0.02)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.project.bias)
        nn.init.zeros_(self.out.bias)
        self.drop = nn.Dropout(dropout)

    def split(self, states: Float32[Tensor, "B T D"], where: Where) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gates, queries, keys and values."""
        gates, values, queries, keys = functional.silu(self.project(self.norm(states))).chunk(4, -1)
        queries, keys, values = (_by_heads(part, self.key_width) for part in (queries, keys, values))
        return gates, self.position.rotate(queries, where), self.position.rotate(keys, where), values

    def prepare(self, where: Where) -> Where:
        """What the position parts of all blocks make once for a history in which each event sees its past."""
        return self.position.prepare(where) if isinstance(self.mixer, Silu) else where

    def forward(
        self, states: Float32[Tensor, "B T D"], where: Where, seen: Bool[Tensor, "B T T"] | None
    ) -> Float32[Tensor, "B T D"]:
        """The states of the next level; ``seen`` as in :class:`recgym.encoders.transformer.Mixer`."""
        return self.attend(states, where, seen)[0]

    def attend(
        self, states: Float32[Tensor, "B T D"], where: Where, seen: Bool[Tensor, "B T T"] | None
    ) -> tuple[Float32[Tensor, "B T D"], Float32[Tensor, "B J T d"], Float32[Tensor, "B J T e"]]:
        """The same with the keys and values that were looked at."""
        gates, queries, keys, values = self.split(states, where)
        return states + self._mix(gates, queries, keys, values, where, where, seen), keys, values

    def step(self, states: Float32[Tensor, "B 1 D"], where: Where, cache: Cache, mask: Mask) -> tuple[Cache, Tensor]:
        """The cache with one more event, and that event's state ``[B, 1, D]`` of the next level."""
        gates, queries, keys, values = self.split(states, where)
        cache = cache.append(keys, values, where)
        of = cache.where()
        return cache, states + self._mix(gates, queries, cache.keys, cache.values, where, of, mask(where, of))

    def beside(
        self, states: Float32[Tensor, "B M D"], at: Where, of: Where, cache: Cache, seen: Bool[Tensor, "B M K"]
    ) -> Float32[Tensor, "B M D"]:
        """The states of the next level of M events beside one another, whose keys stand after those of the cache."""
        gates, queries, keys, values = self.split(states, at)
        keys, values = torch.cat([cache.keys, keys], 2), torch.cat([cache.values, values], 2)
        return states + self._mix(gates, queries, keys, values, at, of, seen)

    def _mix(
        self, gates: Tensor, queries: Tensor, keys: Tensor, values: Tensor, at: Where, of: Where, seen: Tensor | None
    ) -> Tensor:
        lookups = self.position.lookups(at) if seen is None and isinstance(self.mixer, Silu) else None
        if isinstance(self.mixer, Silu) and lookups is not None:
            mixed = self.mixer.past(queries, keys, values, lookups)
        else:
            bias = self.position.bias(queries, keys, at, of) if self.position.biased else None
            mixed = self.mixer(queries, keys, values, bias, seen, 0.0)
        mixed = mixed.transpose(1, 2).flatten(2)
        out: Tensor = self.out(self.drop(self.norm_mixed(mixed) * gates))
        return out


def _by_heads(part: Float32[Tensor, "B T W"], width: int) -> Float32[Tensor, "B H T d"]:
    return part.reshape(*part.shape[:2], -1, width).transpose(1, 2)
