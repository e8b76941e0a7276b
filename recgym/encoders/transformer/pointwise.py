"""Pointwise (SiLU) attention over the past, tile by tile: all weights of a history are never held at once."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["causal_silu"]

_QUERIES, _TILE = 64, 130_000
"""Queries of a tile, and weights held at once: what the processor's cache holds is far faster than what it does not."""


def causal_silu(
    queries: Float32[Tensor, "B H T d"],
    keys: Float32[Tensor, "B H T d"],
    values: Float32[Tensor, "B H T e"],
    bias: Float32[Tensor, "X Y T T"] | None,
    length: int,
) -> Float32[Tensor, "B H T e"]:
    """``tril(SiLU(q . k + bias)) / length @ v``.

    Only the lower triangle is computed, and it is computed again on the way back.

    Args:
        queries: q.
        keys: k.
        values: v.
        bias: a term of the logits, one for all users or heads (X or Y is 1) or each its own.
        length: what weights are divided by.
    """
    mixed: Tensor = _CausalSilu.apply(queries, keys, values, bias, length)  # type: ignore[no-untyped-call]
    return mixed


class _CausalSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, length: int) -> Tensor:
        ctx.save_for_backward(queries, keys, values, bias)
        ctx.length = length
        mixed = values.new_empty(*queries.shape[:3], values.shape[-1])
        for users, rows, past in _tiles(queries):
            weights = functional.silu(_logits(queries, keys, bias, users, rows, past), inplace=True)
            weights[..., rows].tril_()
            mixed[users, :, rows] = weights @ values[users, :, past]
        return mixed.div_(length)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, bias = ctx.saved_tensors
        gradient = gradient / ctx.length
        to_queries, to_keys, to_values = torch.empty_like(queries), torch.zeros_like(keys), torch.zeros_like(values)
        to_bias = torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[3] else None
        for users, rows, past in _tiles(queries):
            logits = _logits(queries, keys, bias, users, rows, past)
            weights = functional.silu(logits)
            weights[..., rows].tril_()
            to_mixed = gradient[users, :, rows]
            to_values[users, :, past] += weights.mT @ to_mixed
            to_logits = to_mixed @ values[users, :, past].mT
            to_logits[..., rows].tril_()
            torch.ops.aten.silu_backward.grad_input(to_logits, logits, grad_input=to_logits)
            to_queries[users, :, rows] = to_logits @ keys[users, :, past]
            to_keys[users, :, past] += to_logits.mT @ queries[users, :, rows]
            if to_bias is not None:
                part = to_bias[_own(bias, users), :, rows, past]
                part += to_logits.sum_to_size(part.shape)
        return to_queries, to_keys, to_values, to_bias, None


def _tiles(queries: Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Some users, some of their queries, and the keys that those may see."""
    users, heads, size, _ = queries.shape
    if size == 0:
        return
    high = min(_QUERIES, size)
    wide = max(1, min(users, _TILE // (heads * high * size)))
    for first in range(0, users, wide):
        for start in range(0, size, high):
            stop = min(start + high, size)
            yield slice(first, first + wide), slice(start, stop), slice(0, stop)


def _logits(queries: Tensor, keys: Tensor, bias: Tensor | None, users: slice, rows: slice, past: slice) -> Tensor:
    logits = queries[users, :, rows] @ keys[users, :, past].mT
    if bias is not None:
        logits += bias[_own(bias, users), :, rows, past]
    return logits


def _own(bias: Tensor, users: slice) -> slice:
    return users if len(bias) > 1 else slice(None)
