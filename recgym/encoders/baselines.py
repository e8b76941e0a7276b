"""Recommenders that learn nothing but counts: what is popular, and what a user consumed last."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import to_numpy
from recgym.encoders.sequences import Sequences
from recgym.types import Array, History

__all__ = ["Baseline", "BaselineConfig", "Popularity", "PopularityConfig", "Recency", "RecencyConfig"]


@runtime_checkable
class Baseline(Protocol):
    """Scores all items for users by their histories, as :class:`recgym.encoders.NextItemModel` does."""

    @property
    def num_items(self) -> int:
        """N."""
        ...

    @property
    def window(self) -> int:
        """T, newest events that count."""
        ...

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """How well each item suits each user now, higher is better.

        Args:
            users: ignored.
            history: right-aligned, of tensors or arrays.
            query_time_s: ignored.

        Raises:
            ValueError: an item id is outside the catalogue.
        """
        ...


@runtime_checkable
class BaselineConfig(Protocol):
    """Settings of a baseline; a frozen dataclass."""

    def fit(self, sequences: Sequences) -> Baseline:
        """What the sequences teach, in one pass."""
        ...


class Recent(NamedTuple):
    """The distinct items of some histories, each at its newest event; row after row, items in order.

    Attributes:
        row: of the history.
        item: id.
        age: events since, 0 for the newest.
    """

    row: Int64[np.ndarray, "e"]
    item: Int64[np.ndarray, "e"]
    age: Int64[np.ndarray, "e"]

    @classmethod
    def of(cls, history: History, num_items: int, window: int) -> "Recent":
        """Those of the newest ``window`` events of each history.

        Raises:
            ValueError: an item id is outside the catalogue.
        """
        items, mask = to_numpy(history.items)[:, ::-1][:, :window], to_numpy(history.mask)[:, ::-1][:, :window]
        row, age = np.nonzero(mask)
        item = items[row, age]
        if len(item) and (item.min() < 0 or item.max() >= num_items):
            bad = item.min() if item.min() < 0 else item.max()
            raise ValueError(f"found item id {bad} in a history, expected 0..{num_items - 1}")
        # Within a row, events stand newest first, and unique gives the first of equal ones.
        _, first = np.unique(row * num_items + item, return_index=True)
        return cls(row[first], item[first], age[first])


def popularity(sequences: Sequences) -> Float32[Tensor, "N"]:
    """Share of each item among all events; alike for all if there are none."""
    counts = np.bincount(sequences.items, minlength=sequences.num_items)
    shares = counts / counts.sum() if counts.sum() else np.full(len(counts), 1 / max(len(counts), 1))
    return torch.from_numpy(shares.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Popularity:
    """The same items for everyone.

    Attributes:
        shares: of each item among all events, whose weights may fall with their age.
    """

    shares: Float32[Tensor, "N"]

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.shares)

    @property
    def window(self) -> int:
        """T: histories do not count, and none is shorter than 1."""
        return 1

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`Baseline`."""
        return self.shares.repeat(len(history.items), 1)


@dataclass(frozen=True)
class PopularityConfig:
    """Items by how often they were consumed.

    Attributes:
        half_life_s: an event that is older than the newest of the log by so much counts half; None for all alike.
    """

    half_life_s: float | None = None

    def __post_init__(self) -> None:
        if self.half_life_s is not None and not self.half_life_s > 0:
            raise ValueError(f"a half-life must be above 0 s, found {self.half_life_s}")

    def fit(self, sequences: Sequences) -> Popularity:
        """See :class:`BaselineConfig`.

        Raises:
            ValueError: the log does not say when events were, and a half-life is set.
        """
        if self.half_life_s is None or not len(sequences.items):
            return Popularity(popularity(sequences))
        if sequences.time_s is None:
            raise ValueError("popularity was to fall with age, found a log that knows only the order of events")
        weights = 0.5 ** ((sequences.time_s.max() - sequences.time_s) / self.half_life_s)
        counts = np.bincount(sequences.items, weights, sequences.num_items)
        return Popularity(torch.from_numpy((counts / counts.sum()).astype(np.float32)))


@dataclass(frozen=True, eq=False)
class Recency:
    """What the user consumed last comes first; then what the user consumed before that; then what is popular.

    Attributes:
        shares: popularity of each item, see :func:`popularity`.
        window: T.
    """

    shares: Float32[Tensor, "N"]
    window: int

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.shares)

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`Baseline`: ``1 + 1 / (1 + age)`` of the user's own items, the popularity of others."""
        recent = Recent.of(history, self.num_items, self.window)
        out = self.shares.repeat(len(history.items), 1)
        age = torch.from_numpy(recent.age).float()
        out[torch.from_numpy(recent.row), torch.from_numpy(recent.item)] = 1 + 1 / (1 + age)
        return out


@dataclass(frozen=True)
class RecencyConfig:
    """A user's own items, the newest first: hard to beat where people repeat what they did.

    Attributes:
        window: T, events of a user that count.
    """

    window: int = 200

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"the window must hold at least one event, found {self.window}")

    def fit(self, sequences: Sequences) -> Recency:
        """See :class:`BaselineConfig`."""
        return Recency(popularity(sequences), self.window)
