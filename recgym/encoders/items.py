"""Item modules: what an item is to an encoder, as a vector that input and scores share."""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FeatureItems", "IdItems", "ItemModule", "TextItems"]


@runtime_checkable
class ItemModule(Protocol):
    """Gives items their vectors.

    Attributes:
        num_items: N.
        width: D.
        specials: rows of the table beyond the items: padding at N, then tokens such as the mask of a cloze task.
    """

    num_items: int
    width: int
    specials: int

    def table(self) -> Float32[Tensor, "R D"]:
        """The vectors of all items and then of the special ids; that of padding, row N, is 0."""
        ...


def lookup(table: Float32[Tensor, "R D"], items: Int64[Tensor, "*rows"], num_items: int) -> Float32[Tensor, "*rows D"]:
    """Rows of a table; ids are checked, because an id outside the catalogue would read some other row or none.

    Raises:
        ValueError: an id is outside the table.
    """
    if items.numel() and (int(items.min()) < 0 or int(items.max()) >= len(table)):
        bad = int(items.min()) if int(items.min()) < 0 else int(items.max())
        raise ValueError(f"found item id {bad}, expected 0..{num_items - 1}, or {num_items} for padding")
    return functional.embedding(items, table)


class IdItems(nn.Module):
    """One learned vector an item, drawn from N(0, spread^2).

    Args:
        num_items: N.
        width: D.
        specials: special ids, at least the one of padding.
        spread: standard deviation of the first vectors; ``1 / sqrt(D)`` if None.
    """

    def __init__(self, num_items: int, width: int, specials: int = 1, spread: float | None = None) -> None:
        super().__init__()
        self.num_items, self.width, self.specials = num_items, width, specials
        self.weight = nn.Parameter(torch.randn(num_items + specials, width) * (spread or 1 / math.sqrt(width)))
        with torch.no_grad():
            self.weight[num_items] = 0.0
        self.weight.register_hook(self._spare_padding)  # type: ignore[no-untyped-call]

    def _spare_padding(self, gradient: Tensor) -> Tensor:
        gradient[self.num_items] = 0.0
        return gradient

    def table(self) -> Float32[Tensor, "R D"]:
        """See :class:`ItemModule`."""
        return self.weight

    def warm_start(self, vectors: Float32[Tensor, "N D"]) -> None:
        """Begin from given item vectors.

        Raises:
            ValueError: they have another shape, or are not finite.
        """
        if tuple(vectors.shape) != (self.num_items, self.width) or not bool(torch.isfinite(vectors).all()):
            raise ValueError(
                f"item vectors must be finite and of shape {(self.num_items, self.width)}, found {tuple(vectors.shape)}"
            )
        with torch.no_grad():
            self.weight[: self.num_items] = vectors


class FeatureItems(nn.Module):
    """A learned map of the items' features, and a learned vector an item beside it.

    Items that training never saw are as good as their features say: their own vector stays near 0.

    Args:
        features: one row an item, finite; standardised here over the catalogue.
        width: D.
        specials: special ids, at least the one of padding.
        own: whether items have a vector of their own; without, two items of equal features are one to the encoder.
    """

    features: Tensor

    def __init__(self, features: Float32[np.ndarray, "N X"], width: int, specials: int = 1, own: bool = True) -> None:
        super().__init__()
        if not np.isfinite(features).all():
            row, column = np.argwhere(~np.isfinite(features))[0]
            raise ValueError(
                f"item features must be finite, found {features[row, column]} at item {row}, column {column}"
            )
        self.num_items, self.width, self.specials = len(features), width, specials
        spread = features.std(0)
        scaled = (features - features.mean(0)) / np.where(spread > 1e-6, spread, 1.0)
        self.register_buffer("features", torch.as_tensor(scaled.astype(np.float32)))
        self.project = nn.Linear(features.shape[1], width)
        self.own = IdItems(self.num_items, width, specials, spread=0.01) if own else None
        self.special = nn.Parameter(torch.randn(specials, width) / math.sqrt(width))

    def table(self) -> Float32[Tensor, "R D"]:
        """See :class:`ItemModule`."""
        vectors: Tensor = self.project(self.features)
        if self.own is not None:
            vectors = vectors + self.own.table()[: self.num_items]
        return torch.cat([vectors, torch.zeros_like(self.special[:1]), self.special[1:]])


class TextItems(FeatureItems):
    """Frozen vectors of the items' texts, from any language model, through a learned map; no vectors of their own.

    Args:
        vectors: one row an item.
        width: D.
        specials: special ids, at least the one of padding.
    """

    def __init__(self, vectors: Float32[np.ndarray, "N X"], width: int, specials: int = 1) -> None:
        super().__init__(vectors, width, specials, own=False)
