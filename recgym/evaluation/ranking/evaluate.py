"""Putting queries to a recommender, batch after batch."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from recgym.evaluation.ranking.base import Recommender, Retriever
from recgym.evaluation.ranking.negatives import NegativeSampler
from recgym.evaluation.ranking.protocol import RankingProtocol, SeenItems
from recgym.evaluation.ranking.queries import RankingQueries, spans
from recgym.evaluation.ranking.ranks import Pairs, Ranked, rank_scores, rank_served
from recgym.evaluation.ranking.report import RankingReport
from recgym.types import History

__all__ = ["evaluate_ranking"]


def evaluate_ranking(
    recommender: Recommender | Retriever,
    queries: RankingQueries,
    protocol: RankingProtocol | None = None,
    *,
    ks: Sequence[int] = (5, 10, 20),
    batch_size: int = 256,
    device: str = "cpu",
    name: str | None = None,
) -> RankingReport:
    """Rank the targets of all queries.

    Queries with histories of like length share a batch, so that little is padding. Memory is a few times
    ``batch_size`` x N, whatever the number of queries and targets.

    Args:
        recommender: what is judged; one that serves lists is judged by these.
        queries: what is asked.
        protocol: how it is to be answered; None for ``queries.protocol()``: full ranking with seen items masked.
        ks: cuts of the metrics.
        batch_size: queries at a time.
        device: the torch device that histories are put on.
        name: of the recommender in the report; None for the name of its class.

    Raises:
        ValueError: the protocol is of other queries or cannot be kept, the catalogues differ, the recommender gives NaN
            or a wrong shape, a cut or the batch size is below 1.
    """
    protocol = protocol or queries.protocol()
    _check(recommender, queries, protocol, ks, batch_size)
    began = time.perf_counter()
    run = _Run(recommender, queries, protocol, min(max(ks), queries.num_items), device)
    lengths = queries.end - queries.start
    order = np.argsort(lengths, kind="stable")
    ranks = np.empty(len(queries.targets), dtype=np.int64)
    lists = np.empty((len(queries), run.length), dtype=np.int64)
    with torch.no_grad():
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            target_rows, index = spans(queries.target_start[rows], queries.target_start[rows + 1])
            ranked = run.batch(rows, target_rows, queries.targets[index])
            ranks[index] = ranked.ranks.cpu().numpy()
            lists[rows] = ranked.lists.cpu().numpy()
    return RankingReport(
        name or type(recommender).__name__, protocol, tuple(ks), queries, ranks, queries.repeated, lists,
        run.length if isinstance(recommender, Retriever) else None, time.perf_counter() - began, run.seconds,
    )  # fmt: skip


class _Run:
    """One evaluation under way."""

    def __init__(
        self,
        recommender: Recommender | Retriever,
        queries: RankingQueries,
        protocol: RankingProtocol,
        length: int,
        device: str,
    ) -> None:
        self.seconds = 0.0
        self.length = length
        self._recommender, self._queries, self._protocol, self._device = recommender, queries, protocol, device
        sampled = protocol.candidates
        self._sampler = None if sampled is None else NegativeSampler(sampled, queries.popularity)

    def batch(
        self, rows: Int64[np.ndarray, "B"], target_rows: Int64[np.ndarray, "P"], targets: Int64[np.ndarray, "P"]
    ) -> Ranked:
        """The answer to some queries, whose targets are given with their row in the batch."""
        queries = self._queries
        masked_rows, event = spans(queries.start[rows], queries.end[rows])
        masked = queries.events.items[event]
        if self._protocol.seen is SeenItems.KEPT:
            masked_rows, masked = masked_rows[:0], masked[:0]
        history = queries.history(rows, self._recommender.window, self._device)
        users = self._tensor(queries.users[rows])
        asked = self._tensor(queries.query_time_s[rows]) if self._protocol.query_time_visible else None
        if isinstance(self._recommender, Retriever):
            surplus = int(np.bincount(masked_rows, minlength=1).max())
            served = self._retrieve(users, history, min(self.length + surplus, queries.num_items), asked)
            pairs = (self._pairs(served, masked_rows, masked), self._pairs(served, target_rows, targets))
            return rank_served(served, *pairs, self.length, queries.num_items)
        negatives = None
        if self._sampler is not None:
            instead = targets[np.searchsorted(target_rows, np.arange(len(rows)))]
            barred = np.concatenate([masked_rows, target_rows]), np.concatenate([masked, targets])
            negatives = self._sampler.draw(len(rows), *barred, instead)
        scores = self._scores(self._recommender, users, history, asked)
        return rank_scores(
            scores, self._pairs(scores, masked_rows, masked), self._pairs(scores, target_rows, targets), self.length,
            None if negatives is None else torch.as_tensor(negatives, device=scores.device),
        )  # fmt: skip

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self._device)

    @staticmethod
    def _pairs(beside: Tensor, rows: Int64[np.ndarray, "E"], items: Int64[np.ndarray, "E"]) -> Pairs:
        return Pairs(torch.as_tensor(rows, device=beside.device), torch.as_tensor(items, device=beside.device))

    def _scores(
        self,
        recommender: Recommender,
        users: Int64[Tensor, "B"],
        history: History,
        query_time_s: Float64[Tensor, "B"] | None,
    ) -> Float[Tensor, "B N"]:
        began = time.perf_counter()
        scores: Tensor = recommender.scores(users, history, query_time_s)
        self.seconds += time.perf_counter() - began
        expected = (len(users), self._queries.num_items)
        if tuple(scores.shape) != expected or not scores.is_floating_point():
            raise ValueError(
                f"{type(recommender).__name__}.scores gave {scores.dtype} of shape {tuple(scores.shape)}, "
                f"floating-point scores of shape {expected} were expected"
            )
        bad = torch.isnan(scores)
        if bool(bad.any()):
            row, item = (int(index) for index in bad.nonzero()[0])
            raise ValueError(
                f"{type(recommender).__name__}.scores gave NaN for user {int(users[row])}, item {item}; a number (or "
                "minus infinity for an item never to be recommended) was expected"
            )
        return scores

    def _retrieve(
        self, users: Int64[Tensor, "B"], history: History, k: int, query_time_s: Float64[Tensor, "B"] | None
    ) -> Int64[Tensor, "B k"]:
        assert isinstance(self._recommender, Retriever)
        began = time.perf_counter()
        served: Tensor = self._recommender.retrieve(users, history, k, query_time_s)
        self.seconds += time.perf_counter() - began
        if tuple(served.shape) != (len(users), k) or served.dtype != torch.int64:
            raise ValueError(
                f"{type(self._recommender).__name__}.retrieve gave {served.dtype} of shape {tuple(served.shape)}, "
                f"item ids (torch.int64) of shape {(len(users), k)} were expected"
            )
        return served


def _check(
    recommender: Recommender | Retriever,
    queries: RankingQueries,
    protocol: RankingProtocol,
    ks: Sequence[int],
    batch_size: int,
) -> None:
    if recommender.num_items != queries.num_items:
        raise ValueError(f"the recommender knows {recommender.num_items} items, the queries {queries.num_items}")
    if (protocol.data, protocol.split) != (queries.data, queries.split):
        raise ValueError(
            f"the protocol is for the log {protocol.data}, {protocol.split}; the queries are of {queries.data}, "
            f"{queries.split}"
        )
    if protocol.query_time_visible and queries.time_unit == "order":
        raise ValueError("the log knows the order of events but no times, so no time of the query can be shown")
    if protocol.candidates is not None and isinstance(recommender, Retriever):
        raise ValueError("a served list cannot be ranked among sampled negatives, only in the whole catalogue")
    if not ks or min(ks) < 1 or batch_size < 1:
        raise ValueError(f"cuts and batch size must be at least 1, found cuts {tuple(ks)}, batch size {batch_size}")
