"""Scorers: how well an item's vector fits a query."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Cosine", "Dot", "FactoredScorer", "MLPScorer", "Scorer"]


@runtime_checkable
class Scorer(Protocol):
    """Scores items for queries."""

    def scores(self, queries: Float32[Tensor, "n D"], vectors: Float32[Tensor, "*n C D"]) -> Float32[Tensor, "n C"]:
        """The score of each of C items, the same for all queries (``[C, D]``) or each query's own (``[n, C, D]``)."""
        ...


@runtime_checkable
class FactoredScorer(Scorer, Protocol):
    """A scorer whose scores are products of two vectors, so that all items are scored by one matrix product."""

    def factors(
        self, queries: Float32[Tensor, "n D"], table: Float32[Tensor, "R D"]
    ) -> tuple[Float32[Tensor, "n E"], Float32[Tensor, "R E"]]:
        """What to multiply: scores are ``left @ right.T``."""
        ...


def _product(queries: Tensor, vectors: Tensor) -> Tensor:
    if vectors.ndim == 2:
        return queries @ vectors.T
    return (vectors @ queries[:, :, None])[..., 0]


class Dot(nn.Module):
    """``query . item``."""

    def factors(
        self, queries: Float32[Tensor, "n D"], table: Float32[Tensor, "R D"]
    ) -> tuple[Float32[Tensor, "n D"], Float32[Tensor, "R D"]]:
        """See :class:`FactoredScorer`."""
        return queries, table

    def scores(self, queries: Float32[Tensor, "n D"], vectors: Float32[Tensor, "*n C D"]) -> Float32[Tensor, "n C"]:
        """See :class:`Scorer`."""
        return _product(queries, vectors)


class Cosine(nn.Module):
    """``cos(query, item) / temperature``.

    Args:
        temperature: above 0.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"the temperature must be above 0, found {temperature}")
        self.temperature = temperature

    def factors(
        self, queries: Float32[Tensor, "n D"], table: Float32[Tensor, "R D"]
    ) -> tuple[Float32[Tensor, "n D"], Float32[Tensor, "R D"]]:
        """See :class:`FactoredScorer`."""
        return functional.normalize(queries, dim=-1) / self.temperature, functional.normalize(table, dim=-1)

    def scores(self, queries: Float32[Tensor, "n D"], vectors: Float32[Tensor, "*n C D"]) -> Float32[Tensor, "n C"]:
        """See :class:`Scorer`."""
        unit = functional.normalize(queries, dim=-1) / self.temperature
        return _product(unit, functional.normalize(vectors, dim=-1))


class MLPScorer(nn.Module):
    """A small network of query, item and their product; for re-ranking, as it takes each pair by itself.

    Args:
        width: D.
        inner: width of the hidden layer.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3 * width, inner), nn.ReLU(), nn.Linear(inner, 1))

    def scores(self, queries: Float32[Tensor, "n D"], vectors: Float32[Tensor, "*n C D"]) -> Float32[Tensor, "n C"]:
        """See :class:`Scorer`."""
        vectors = vectors.expand(len(queries), -1, -1)
        repeated = queries[:, None].expand_as(vectors)
        out: Tensor = self.layers(torch.cat([repeated, vectors, repeated * vectors], -1))
        return out[..., 0]
