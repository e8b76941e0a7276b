"""Laws by which negatives are drawn, and the logarithm of how likely each item is under them."""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

__all__ = ["Negatives", "Popular", "UniformItems"]


@runtime_checkable
class Negatives(Protocol):
    """Draws items."""

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Int64[Tensor, "*shape"]:
        """Independent item ids."""
        ...

    def log_probability(self, items: Int64[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """Logarithm of the chance that one draw is this item."""
        ...


class UniformItems(nn.Module):
    """Every item alike.

    Args:
        num_items: N.
    """

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.num_items = num_items

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Int64[Tensor, "*shape"]:
        """See :class:`Negatives`."""
        return torch.randint(self.num_items, shape, generator=generator, device=generator.device)

    def log_probability(self, items: Int64[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """See :class:`Negatives`."""
        return torch.full(items.shape, -math.log(self.num_items), device=items.device)


class Popular(nn.Module):
    """In proportion to ``count ** alpha``; items that were never counted count as seen once.

    Args:
        counts: how often each item occurs in training.
        alpha: 0 is uniform, 1 is by popularity.
    """

    cumulative: Tensor
    logarithm: Tensor

    def __init__(self, counts: Int64[Tensor, "N"], alpha: float) -> None:
        super().__init__()
        weights = counts.clamp(min=1).double() ** alpha
        self.register_buffer("cumulative", weights.cumsum(0) / weights.sum(), persistent=False)
        self.register_buffer("logarithm", (weights / weights.sum()).log().float(), persistent=False)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Int64[Tensor, "*shape"]:
        """See :class:`Negatives`."""
        thresholds = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
        return torch.searchsorted(self.cumulative, thresholds, right=True).clamp(max=len(self.cumulative) - 1)

    def log_probability(self, items: Int64[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        """See :class:`Negatives`."""
        return self.logarithm[items]
