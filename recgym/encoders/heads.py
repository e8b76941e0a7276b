"""Heads: from the states of a history to the queries that items are scored by."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float32
from torch import Tensor, nn

from recgym.encoders.batch import Batch

__all__ = ["Head", "LastState", "MeanState"]


@runtime_checkable
class Head(Protocol):
    """Makes R queries, such as one for each interest, of what the history was up to each event."""

    def queries(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B T R D"]:
        """The queries after each event of an aligned batch; each looks at states up to that event alone."""
        ...

    def final(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B R D"]:
        """The queries after the newest event of each row; anything for a row without events."""
        ...


def newest(parts: Float32[Tensor, "B T *rest"], batch: Batch) -> Float32[Tensor, "B *rest"]:
    """Of an aligned batch, what stands at the newest event of each row."""
    index = (batch.lengths - 1).clamp(min=0)
    index = index.reshape(-1, *(1,) * (parts.ndim - 1)).expand(-1, 1, *parts.shape[2:])
    return parts.gather(1, index)[:, 0]


class LastState(nn.Module):
    """The state itself."""

    def queries(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B T 1 D"]:
        """See :class:`Head`."""
        return states[:, :, None]

    def final(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B 1 D"]:
        """See :class:`Head`."""
        return newest(states, batch)[:, None]


class MeanState(nn.Module):
    """The mean of the states so far."""

    def queries(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B T 1 D"]:
        """See :class:`Head`."""
        mask = batch.mask[..., None].to(states.dtype)
        means = (states * mask).cumsum(1) / mask.cumsum(1).clamp(min=1)
        return means[:, :, None]

    def final(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B 1 D"]:
        """See :class:`Head`."""
        mask = batch.mask[..., None].to(states.dtype)
        return (states * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
