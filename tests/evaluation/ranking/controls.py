"""Recommenders whose results are known, and logs small enough to read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.evaluation import RankingQueries
from recgym.types import History

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY),))

Row = tuple[int, int, float, int | None, int | None, float]
"""user, item, time, session, slate, click."""


def log_of(rows: Sequence[Row], n_users: int, n_items: int) -> InteractionLog:
    frame = pl.DataFrame(
        rows,
        schema={
            "user": pl.Int64, "item": pl.Int64, "time_s": pl.Float64, "session": pl.Int64, "slate": pl.Int64,
            "click": pl.Float32,
        },
        orient="row",
    ).with_columns(position=pl.lit(None, dtype=pl.Int32), propensity=pl.lit(None, dtype=pl.Float64))  # fmt: skip
    ids = [pl.Series("id", np.arange(count)) for count in (n_users, n_items)]
    return InteractionLog(frame, SCHEMA, ids[0], ids[1], source="by hand")


class RandomScores:
    """Every item is as good as any other, in an order of its own for each query."""

    window = 1

    def __init__(self, num_items: int, seed: int = 0) -> None:
        self.num_items = num_items
        self._generator = torch.Generator().manual_seed(seed)

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        return torch.rand(len(users), self.num_items, generator=self._generator)


@dataclass
class Fixed:
    """The same scores for everybody, without copies: the tensor must not be written to."""

    values: Float32[Tensor, "N"]
    window: int | None = None

    @property
    def num_items(self) -> int:
        return len(self.values)

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        return self.values.expand(len(users), -1)


class ByUser:
    """One row of scores a user; remembers what it was asked."""

    def __init__(self, table: Float32[Tensor, "U N"], window: int | None = None) -> None:
        self.table, self.window, self.num_items = table, window, table.shape[1]
        self.asked: list[tuple[Tensor, History, Tensor | None]] = []

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        self.asked.append((users, history, query_time_s))
        return self.table[users]


def oracle(queries: RankingQueries, n_users: int) -> ByUser:
    """Knows the targets; for queries that have one user each."""
    table = torch.zeros(n_users, queries.num_items)
    table[torch.as_tensor(queries.users[queries.target_query]), torch.as_tensor(queries.targets)] = 1.0
    return ByUser(table)


class Lists:
    """Serves the list of its user, padded with N."""

    def __init__(self, lists: Sequence[Sequence[int]], num_items: int) -> None:
        self.lists, self.num_items, self.window = lists, num_items, 5
        self.lengths: list[int] = []

    def retrieve(
        self, users: Int64[Tensor, "B"], history: History, k: int, query_time_s: Float64[Tensor, "B"] | None
    ) -> Int64[Tensor, "B k"]:
        self.lengths.append(k)
        rows = [[*self.lists[user], *[self.num_items] * k][:k] for user in users.tolist()]
        return torch.tensor(rows)
