"""Questions put to a recommender: given what a user did so far, what comes next?"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recgym.data import Events, gather_events
from recgym.evaluation.ranking.protocol import RankingProtocol, SampledNegatives, SeenItems
from recgym.types import History

__all__ = ["LaterTraining", "RankingQueries", "spans"]


class LaterTraining(NamedTuple):
    """How much of what a model is trained on happened only after the question was put.

    Attributes:
        queries: share of queries for which any training event lies later than the query.
        events: share of the training events that lie later, in the mean over queries.
    """

    queries: float
    events: float


@dataclass(frozen=True)
class RankingQueries:
    """Questions with their answers.

    Attributes:
        split: how they were cut from the log, in words.
        data: :func:`recgym.evaluation.ranking.log_digest` of the whole log.
        num_items: N.
        time_unit: as in the log.
        events: all consumption that histories are taken from.
        users: who asks.
        start: the first event of each query's history.
        end: the event after its last; ``start == end`` for a user without history.
        query_time_s: when the first target was consumed, in the unit of the log.
        target_start: query q has the targets ``target_start[q]`` to ``target_start[q + 1] - 1``.
        targets: distinct items of each query, ascending.
        popularity: how often each item was consumed in the training part.
        later: how far training looks ahead of the queries; None where the log has no times.
        leaks_time: whether the split lets training look ahead.
    """

    split: str
    data: str
    num_items: int
    time_unit: Literal["s", "order"]
    events: Events
    users: Int64[np.ndarray, "Q"]
    start: Int64[np.ndarray, "Q"]
    end: Int64[np.ndarray, "Q"]
    query_time_s: Float64[np.ndarray, "Q"]
    target_start: Int64[np.ndarray, "Q_plus_1"]
    targets: Int64[np.ndarray, "P"]
    popularity: Int64[np.ndarray, "N"]
    later: LaterTraining | None
    leaks_time: bool

    def __len__(self) -> int:
        return len(self.users)

    @property
    def target_query(self) -> Int64[np.ndarray, "P"]:
        """The query of each target."""
        return np.repeat(np.arange(len(self)), np.diff(self.target_start))

    @property
    def repeated(self) -> Bool[np.ndarray, "P"]:
        """Whether each target is in the history of its query (a repeat), or is new to the user (explored)."""
        keys, first = np.unique(self.events.user * self.num_items + self.events.items, return_index=True)
        query = self.target_query
        wanted = self.users[query] * self.num_items + self.targets
        at = np.searchsorted(keys, wanted)  # the target itself is among the events, so it is always found
        return np.asarray(first[at] < self.end[query])

    def protocol(
        self,
        candidates: SampledNegatives | None = None,
        seen: SeenItems = SeenItems.MASKED,
        query_time_visible: bool = False,
    ) -> RankingProtocol:
        """How these queries are to be answered; arguments as in :class:`RankingProtocol`."""
        return RankingProtocol(self.data, self.split, candidates, seen, query_time_visible)

    def take(self, rows: Int64[np.ndarray, "R"], name: str = "") -> "RankingQueries":
        """Some of the queries, as for a quick look after each epoch.

        Args:
            rows: which ones.
            name: what they are called, added to the name of the split; a part that goes by the name of the whole would
                pass for it.
        """
        _, index = spans(self.target_start[rows], self.target_start[rows + 1])
        lengths = np.diff(self.target_start)[rows]
        return replace(
            self, split=f"{self.split}, {name}" if name else self.split,
            users=self.users[rows], start=self.start[rows], end=self.end[rows], query_time_s=self.query_time_s[rows],
            target_start=np.append(0, np.cumsum(lengths)), targets=self.targets[index],
        )  # fmt: skip

    def history(self, rows: Int64[np.ndarray, "B"], window: int | None, device: str = "cpu") -> History:
        """What the users of some queries did before; T is the length of the longest of them, at most the window.

        Args:
            rows: which queries.
            window: the newest events that are wanted; None for all.
            device: a torch device.
        """
        lengths = self.end[rows] - self.start[rows]
        longest = max(int(lengths.max(initial=0)), 1)
        width = longest if window is None else min(window, longest)
        return gather_events(self.events, self.start[rows], self.end[rows], width, self.num_items, device)


def spans(
    start: Int64[np.ndarray, "B"], end: Int64[np.ndarray, "B"]
) -> tuple[Int64[np.ndarray, "E"], Int64[np.ndarray, "E"]]:
    """The numbers ``start[b]`` to ``end[b] - 1`` of each row, one row after another: of which row each is, and it."""
    lengths = end - start
    rows = np.repeat(np.arange(len(start)), lengths)
    first = np.cumsum(lengths) - lengths
    return rows, np.arange(len(rows)) - first[rows] + start[rows]
