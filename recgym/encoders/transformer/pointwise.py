"""Pointwise (SiLU) attention over the past, tile by tile: all weights of a history are never held at once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["Lookups", "causal_silu"]

_QUERIES, _TILE = 96, 130_000
"""Queries of a tile, and weights held at once: what the processor's cache holds is far faster than what it does not."""


class Lookups(NamedTuple):
    """Terms of the logits that are entries of small tables, so that they need not be written out for all pairs.

    Attributes:
        line: by how many events the key stands before the query, from 0; None for no such term.
        table: by ``bucket``; None for no such term.
        bucket: of each query and key.
    """

    line: Float32[Tensor, "Y T"] | None = None
    table: Float32[Tensor, "Z R"] | None = None
    bucket: UInt8[Tensor, "B T T"] | None = None


def causal_silu(
    queries: Float32[Tensor, "B H T d"],
    keys: Float32[Tensor, "B H T d"],
    values: Float32[Tensor, "B H T e"],
    bias: Float32[Tensor, "X Y T T"] | Lookups | None,
    length: int,
) -> Float32[Tensor, "B H T e"]:
    """``tril(SiLU(q . k + bias)) / length @ v``.

    Only the lower triangle is computed, and it is computed again on the way back.

    Args:
        queries: q.
        keys: k.
        values: v.
        bias: a term of the logits, one for all users or heads (X, Y or Z is 1) or each its own.
        length: what weights are divided by.
    """
    dense, lookups = (None, bias) if isinstance(bias, Lookups) else (bias, Lookups())
    mixed: Tensor = _CausalSilu.apply(queries, keys, values, dense, *lookups, length)  # type: ignore[no-untyped-call]
    return mixed


class _Tile(NamedTuple):
    """Some users, some of their queries, and the keys that those may see."""

    users: slice
    rows: slice
    past: slice


class _CausalSilu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        dense: Tensor | None,
        line: Tensor | None,
        table: Tensor | None,
        bucket: Tensor | None,
        length: int,
    ) -> Tensor:
        heads = queries.shape[1]
        parts = tuple(part.flatten(0, 1) for part in (queries, keys, values))  # all heads of all users
        ctx.save_for_backward(*parts, dense, line, table, bucket)
        ctx.length, ctx.heads = length, heads
        asked, known, told = parts
        terms, buffer = _Terms(dense, line, table, bucket, heads), asked.new_empty(0)
        mixed = told.new_empty(told.shape)
        for tile in _tiles(asked, heads):
            rows, logits = _rows(tile, heads), _part(buffer, asked, tile, heads)
            started = terms.fill(logits, tile)
            logits.baddbmm_(asked[rows, tile.rows], known[rows, tile.past].mT, beta=started)
            functional.silu(logits, inplace=True)[..., tile.rows].tril_()
            mixed[rows, tile.rows] = logits @ told[rows, tile.past]
        return mixed.div_(length).reshape(*queries.shape[:3], values.shape[3])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        asked, known, told, dense, line, table, bucket = ctx.saved_tensors
        heads: int = ctx.heads
        terms, buffers = _Terms(dense, line, table, bucket, heads), (asked.new_empty(0), asked.new_empty(0))
        shape = gradient.shape
        gradient = (gradient / ctx.length).reshape(told.shape)
        to_asked, to_known, to_told = torch.empty_like(asked), torch.zeros_like(known), torch.zeros_like(told)
        for tile in _tiles(asked, heads):
            rows, (logits, weights) = _rows(tile, heads), (_part(buffer, asked, tile, heads) for buffer in buffers)
            started = terms.fill(logits, tile)
            logits.baddbmm_(asked[rows, tile.rows], known[rows, tile.past].mT, beta=started)
            torch.ops.aten.silu.out(logits, out=weights)
            weights[..., tile.rows].tril_()
            to_mixed = gradient[rows, tile.rows]
            to_told[rows, tile.past].baddbmm_(weights.mT, to_mixed)
            to_logits = torch.bmm(to_mixed, told[rows, tile.past].mT, out=weights)
            to_logits[..., tile.rows].tril_()
            torch.ops.aten.silu_backward.grad_input(to_logits, logits, grad_input=to_logits)
            to_asked[rows, tile.rows] = to_logits @ known[rows, tile.past]
            to_known[rows, tile.past].baddbmm_(to_logits.mT, asked[rows, tile.rows])
            terms.learn(to_logits, tile)
        to_parts = (part.reshape(*shape[:3], part.shape[2]) for part in (to_asked, to_known, to_told))
        return *to_parts, *terms.gradients(), None, None


def _tiles(asked: Tensor, heads: int) -> Iterator[_Tile]:
    users, size = len(asked) // heads, asked.shape[1]
    if size == 0:
        return
    high = min(_QUERIES, size)
    wide = max(1, min(users, _TILE // (heads * high * size)))
    for first in range(0, users, wide):
        for start in range(0, size, high):
            stop = min(start + high, size)
            yield _Tile(slice(first, min(first + wide, users)), slice(start, stop), slice(0, stop))


def _rows(tile: _Tile, heads: int) -> slice:
    return slice(tile.users.start * heads, tile.users.stop * heads)


def _part(buffer: Tensor, asked: Tensor, tile: _Tile, heads: int) -> Tensor:
    """Of one buffer for all tiles, as much as a tile's weights need: new memory for each would cost as much again."""
    shape = (tile.users.stop - tile.users.start) * heads, tile.rows.stop - tile.rows.start, tile.past.stop
    size = shape[0] * shape[1] * shape[2]
    if len(buffer) < size:  # The last tile of the first users is the largest.
        buffer.resize_(shape[0] * shape[1] * asked.shape[1])
    return buffer[:size].view(shape)


class _Terms:
    """The terms of the logits beside the products, tile by tile, and what their tables learn."""

    def __init__(
        self, dense: Tensor | None, line: Tensor | None, table: Tensor | None, bucket: Tensor | None, heads: int
    ) -> None:
        self.dense, self.table, self.bucket, self.heads = dense, table, bucket, heads
        # Where a tile's queries stand does not matter to distances, so that each tile takes a stretch of one band.
        self.size = 0 if line is None else line.shape[1]
        self.band = None if line is None or not self.size else self._banded(line)
        self.to_dense, self.to_table, self.to_band = (
            None if part is None else torch.zeros_like(part) for part in (dense, table, self.band)
        )

    def fill(self, flat: Tensor, tile: _Tile) -> bool:
        """Write the terms of a tile, to which products are then added; whether there are any."""
        users, rows, past = tile
        logits, started = flat.view(-1, self.heads, *flat.shape[1:]), False
        if self.dense is not None:
            logits.copy_(self.dense[users if len(self.dense) > 1 else slice(None), :, rows, past])
            return True  # It never stands beside tables.
        if self.table is not None and self.bucket is not None:
            index = self.bucket[users, rows, past].int()
            logits.copy_(self.table.index_select(1, index.flatten()).view(-1, *index.shape).transpose(0, 1))
            started = True
        if self.band is not None:
            stretch = self._stretch(self.band, rows)
            logits = logits.add_(stretch) if started else logits.copy_(stretch)
            started = True
        return started

    def learn(self, flat: Tensor, tile: _Tile) -> None:
        """Sum up the gradients of a tile."""
        users, rows, past = tile
        to_logits = flat.view(-1, self.heads, *flat.shape[1:])
        if self.to_dense is not None:
            part = self.to_dense[users if len(self.to_dense) > 1 else slice(None), :, rows, past]
            part += to_logits.sum_to_size(part.shape)
        if self.to_band is not None:
            stretch = self._stretch(self.to_band, rows)
            stretch += to_logits.sum_to_size(1, *stretch.shape)[0]
        if self.to_table is not None and self.bucket is not None:
            index, count = self.bucket[users, rows, past].flatten(), self.to_table.shape[1]
            summed = to_logits.sum(1, keepdim=True) if len(self.to_table) == 1 else to_logits
            for head, part in enumerate(summed.unbind(1)):
                self.to_table[head] += torch.bincount(index, part.flatten(), count)

    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Of the dense term, of the line and of the table."""
        to_line = None
        if self.to_band is not None:
            # Read anew with rows that are shorter by one, each row stands one further on: columns are distances.
            heads, high, wide = self.to_band.shape
            skewed = functional.pad(self.to_band.flip(1), (0, high)).flatten(1)[:, :-high]
            to_line = skewed.reshape(heads, high, high + wide - 1).sum(1)[:, high - 1 : high - 1 + self.size].flip(-1)
        return self.to_dense, to_line, self.to_table

    def _banded(self, line: Tensor) -> Tensor:
        """``[r, c]`` holds the distance ``r + T - 1 - c``, whatever is there for those below 0: no query sees them."""
        high = min(_QUERIES, self.size)
        padded = functional.pad(line.flip(-1), (high - 1, high - 1))
        return padded.unfold(-1, self.size + high - 1, 1).flip(1).contiguous()

    def _stretch(self, band: Tensor, rows: slice) -> Tensor:
        first = self.size - 1 - rows.start
        return band[:, : rows.stop - rows.start, first : first + rows.stop]
