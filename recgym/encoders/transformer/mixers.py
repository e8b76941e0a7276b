"""Mixers of a Transformer: how the values that a query sees become one."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn import functional

from recgym.encoders.transformer.pointwise import Lookups, causal_silu

__all__ = ["Mixer", "Silu", "Softmax"]


@runtime_checkable
class Mixer(Protocol):
    """Mixes values by the products of queries and keys."""

    def __call__(
        self,
        queries: Float32[Tensor, "B H Q d"],
        keys: Float32[Tensor, "B J T d"],
        values: Float32[Tensor, "B J T e"],
        bias: Float32[Tensor, "X Y Q T"] | None,
        seen: Bool[Tensor, "B Q T"] | None,
        dropout: float,
    ) -> Float32[Tensor, "B H Q e"]:
        """One vector a query.

        Args:
            queries: of H heads.
            keys: of J = H heads, or of one that all share (multi-query).
            values: likewise.
            bias: a term of the logits.
            seen: which keys each query sees; None for itself and all before it, where Q = T.
            dropout: of the weights.
        """
        ...


class Softmax:
    """``softmax(q . k / sqrt(d) + bias)`` weights, by PyTorch's fused attention."""

    def __call__(
        self,
        queries: Float32[Tensor, "B H Q d"],
        keys: Float32[Tensor, "B J T d"],
        values: Float32[Tensor, "B J T e"],
        bias: Float32[Tensor, "X Y Q T"] | None,
        seen: Bool[Tensor, "B Q T"] | None,
        dropout: float,
    ) -> Float32[Tensor, "B H Q e"]:
        """See :class:`Mixer`."""
        heads = queries.shape[1]
        keys, values = keys.expand(-1, heads, -1, -1), values.expand(-1, heads, -1, -1)
        if bias is None and seen is None:
            return functional.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout, is_causal=True)
        seen = _lower_triangle(queries) if seen is None else seen
        # Padding queries may see nothing; a softmax over nothing would be NaN and spread through gradients.
        seen = (seen | ~seen.any(-1, keepdim=True))[:, None]
        mask = seen if bias is None else bias.masked_fill(~seen, float("-inf"))
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, dropout_p=dropout)


class Silu:
    """``SiLU(q . k + bias) / n`` weights (HSTU, arXiv 2402.17152), without a softmax: the number of matches counts.

    Args:
        length: n, the window; the weights do not depend on how long a history is.
    """

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(
        self,
        queries: Float32[Tensor, "B H Q d"],
        keys: Float32[Tensor, "B J T d"],
        values: Float32[Tensor, "B J T e"],
        bias: Float32[Tensor, "X Y Q T"] | None,
        seen: Bool[Tensor, "B Q T"] | None,
        dropout: float,
    ) -> Float32[Tensor, "B H Q e"]:
        """See :class:`Mixer`."""
        heads = queries.shape[1]
        keys, values = keys.expand(-1, heads, -1, -1), values.expand(-1, heads, -1, -1)
        if seen is None and not dropout:
            return causal_silu(queries, keys, values, bias, self.length)
        logits = queries @ keys.transpose(-1, -2)
        if bias is not None:
            logits = logits + bias
        seen = _lower_triangle(queries) if seen is None else seen
        weights = functional.silu(logits).masked_fill(~seen[:, None], 0.0) / self.length
        return functional.dropout(weights, dropout) @ values

    def past(
        self,
        queries: Float32[Tensor, "B H T d"],
        keys: Float32[Tensor, "B J T d"],
        values: Float32[Tensor, "B J T e"],
        lookups: Lookups,
    ) -> Float32[Tensor, "B H T e"]:
        """The same where each query sees itself and all before it, and the bias is that of tables: faster."""
        heads = queries.shape[1]
        return causal_silu(
            queries, keys.expand(-1, heads, -1, -1), values.expand(-1, heads, -1, -1), lookups, self.length
        )


def _lower_triangle(queries: Float32[Tensor, "B H Q d"]) -> Bool[Tensor, "1 Q Q"]:
    size = queries.shape[2]
    return torch.ones((1, size, size), dtype=torch.bool, device=queries.device).tril()
