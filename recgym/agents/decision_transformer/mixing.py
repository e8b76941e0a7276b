"""Softmax attention with dropout of its weights, at a lower price on the CPU."""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from recgym.encoders.transformer import Softmax

__all__ = ["DroppedSoftmax", "kept_weights"]

_BITS = 15


def kept_weights(shape: tuple[int, ...], rate: float) -> Float32[Tensor, "*shape"]:
    """0 with probability ``rate``, else ``1 / (1 - rate)``; from PyTorch's generator.

    Four draws of 15 bits come from each number of the generator, which is what dropout costs on a CPU; the rate is met
    to 1/32768.

    Args:
        shape: of the weights.
        rate: from 0 to 1, 1 excluded.
    """
    count = int(torch.Size(shape).numel())
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_().view(torch.int16)[:count]
    kept = (draws & (2**_BITS - 1)) >= round(rate * 2**_BITS)
    weights: Tensor = kept.float().mul_(1 / (1 - rate)).reshape(shape)
    return weights


class DroppedSoftmax:
    """:class:`recgym.encoders.transformer.Softmax` whose dropout is that of :func:`kept_weights`.

    PyTorch draws a number for each attention weight, which on a CPU takes about as long as the products do.
    """

    def __init__(self) -> None:
        self._plain = Softmax()

    def __call__(
        self,
        queries: Float32[Tensor, "B H Q d"],
        keys: Float32[Tensor, "B J T d"],
        values: Float32[Tensor, "B J T e"],
        bias: Float32[Tensor, "X Y Q T"] | None,
        seen: Bool[Tensor, "B Q T"] | None,
        dropout: float,
    ) -> Float32[Tensor, "B H Q e"]:
        """See :class:`recgym.encoders.transformer.Mixer`; every query must see a key."""
        if not dropout or bias is not None or queries.device.type != "cpu":
            return self._plain(queries, keys, values, bias, seen, dropout)
        logits = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
        if seen is None:
            hidden = torch.full(logits.shape[-2:], float("-inf")).triu(1)
        else:
            hidden = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))[:, None]
        weights = (logits + hidden).softmax(-1)
        mixed: Tensor = (weights * kept_weights(tuple(weights.shape), dropout)) @ values
        return mixed
