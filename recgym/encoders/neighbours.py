"""Recommenders of sparse counts: items consumed by the same users (item-kNN), and what follows what (Markov)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64, Integer
from scipy.sparse import csr_array, vstack
from torch import Tensor

from recgym.encoders.baselines import Recent, popularity
from recgym.encoders.sequences import Sequences
from recgym.types import Array, History

__all__ = ["ItemKNN", "ItemKNNConfig", "Markov", "MarkovConfig"]

_ROWS = 1000
"""Items whose likeness to all others is held at once."""


@dataclass(frozen=True, eq=False)
class ItemKNN:
    """Items like those that the user consumed.

    Attributes:
        likeness: sparse ``[N, N]`` float32; row i holds the nearest neighbours of item i.
        shares: popularity of each item, for histories without any neighbour.
        window: T.
        decay: factor of an event's weight for each event after it.
    """

    likeness: csr_array
    shares: Float32[Tensor, "N"]
    window: int
    decay: float

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.shares)

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.encoders.Baseline`: ``sum_i decay^age(i) likeness(i, j)`` over the user's items i."""
        recent = Recent.of(history, self.num_items, self.window)
        weights = (self.decay**recent.age).astype(np.float32)
        shape = (len(history.items), self.num_items)
        liked = (csr_array((weights, (recent.row, recent.item)), shape) @ self.likeness).toarray()
        out = torch.from_numpy(liked)
        return torch.where((out > 0).any(1, keepdim=True), out, self.shares)


@dataclass(frozen=True)
class ItemKNNConfig:
    """Item-based nearest neighbours (Sarwar et al. 2001) by the cosine of who consumed two items.

    ``likeness(i, j) = |users of i and j| / (sqrt(|users of i| |users of j|) + shrinkage)``; an item is not its own
    neighbour.

    Attributes:
        neighbours: kept of each item.
        shrinkage: makes likeness that rests on few users count less.
        window: T, events of a user that count when items are scored.
        decay: factor of an event's weight for each event after it; 1 forgets the order.
    """

    neighbours: int = 100
    shrinkage: float = 0.0
    window: int = 200
    decay: float = 1.0

    def __post_init__(self) -> None:
        for name in ("neighbours", "window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.shrinkage < 0 or not 0 < self.decay <= 1:
            raise ValueError(
                "shrinkage must be at least 0 and decay above 0 and at most 1, "
                f"found shrinkage {self.shrinkage} and decay {self.decay}"
            )

    def fit(self, sequences: Sequences) -> ItemKNN:
        """See :class:`recgym.encoders.BaselineConfig`."""
        n = sequences.num_items
        user = np.repeat(np.arange(sequences.num_users), np.diff(sequences.start))
        consumed = csr_array((np.ones(len(user), np.float32), (user, sequences.items)), (sequences.num_users, n))
        consumed.data[:] = 1.0  # Building it has added up repeats.
        size = np.sqrt(np.asarray(consumed.sum(0), np.float32))
        by_item = csr_array(consumed.T)
        parts = []
        for first in range(0, n, _ROWS):
            together = csr_array(by_item[first : first + _ROWS] @ consumed).tocoo()
            source, target = together.row + first, together.col
            other = source != target
            source, target = source[other], target[other]
            value = together.data[other] / (size[source] * size[target] + self.shrinkage)
            kept = _largest(source, target, value, self.neighbours)
            shape = (min(_ROWS, n - first), n)
            parts.append(csr_array((value[kept], (source[kept] - first, target[kept])), shape, dtype=np.float32))
        return ItemKNN(csr_array(vstack(parts, format="csr")), popularity(sequences), self.window, self.decay)


def _largest(
    row: Integer[np.ndarray, "e"], column: Integer[np.ndarray, "e"], value: Float32[np.ndarray, "e"], count: int
) -> Int64[np.ndarray, "k"]:
    """Which entries are among the ``count`` largest of their row; of equal ones, the first columns."""
    order = np.lexsort((column, -value, row))
    sizes = np.bincount(row)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.asarray(order[nth < count])


@dataclass(frozen=True, eq=False)
class Markov:
    """What follows the user's newest item.

    Attributes:
        counts: sparse ``[N, N]`` float32; how often item j came right after item i.
        shares: popularity of each item.
        back_off: weight of popularity, in events.
    """

    counts: csr_array
    shares: Float32[Tensor, "N"]
    back_off: float

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.shares)

    @property
    def window(self) -> int:
        """T: the newest event alone counts."""
        return 1

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.encoders.Baseline`: the probability of each item."""
        recent = Recent.of(history, self.num_items, 1)
        seen = np.zeros((len(history.items), self.num_items), np.float32)
        seen[recent.row] = self.counts[recent.item].toarray()
        followed = torch.from_numpy(seen)
        return (followed + self.back_off * self.shares) / (followed.sum(1, keepdim=True) + self.back_off)


@dataclass(frozen=True)
class MarkovConfig:
    """First-order transitions, smoothed towards popularity: ``p(j | i) = (n_ij + m p_j) / (n_i + m)``.

    A user without events, and an item that nothing followed, leave popularity alone.

    Attributes:
        back_off: m, above 0: an item that was followed by m events trusts them as much as popularity.
    """

    back_off: float = 1.0

    def __post_init__(self) -> None:
        if not self.back_off > 0:
            raise ValueError(f"back_off must be above 0, found {self.back_off}")

    def fit(self, sequences: Sequences) -> Markov:
        """See :class:`recgym.encoders.BaselineConfig`."""
        n, at = sequences.num_items, np.flatnonzero(_followed(sequences))
        pairs = (sequences.items[at], sequences.items[at + 1])
        counts = csr_array((np.ones(len(at), np.float32), pairs), (n, n))  # Equal pairs are added up.
        return Markov(counts, popularity(sequences), self.back_off)


def _followed(sequences: Sequences) -> Bool[np.ndarray, "E"]:
    """Events after which the user has another."""
    user = np.repeat(np.arange(sequences.num_users), np.diff(sequences.start))
    followed = np.zeros(len(user), bool)
    followed[:-1] = user[1:] == user[:-1]
    return followed
