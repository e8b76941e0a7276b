"""What a user comes back to and what is new: next sessions as queries, repeated and explored items judged apart.

The last sessions of each user are asked for, those before them validate. Items that the user had before stay candidates
(:attr:`SeenItems.KEPT`), and a recommender is told when a session begins, and nothing else of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64
from rich.table import Table

from recgym.data import InteractionLog
from recgym.evaluation.ranking import (
    RankingQueries,
    RankingReport,
    Recommender,
    Retriever,
    SeenItems,
    Targets,
    Together,
    UserBootstrap,
    evaluate_ranking,
    make_queries,
)
from recgym.stats import Interval

__all__ = ["Repetition", "SessionReport", "SessionSplit", "evaluate_sessions", "repetition", "session_split"]


class SessionSplit(NamedTuple):
    """A log of sessions in three parts.

    Attributes:
        train: what models are fitted on.
        validation: the sessions after it, each a query with all before it as its history.
        test: the last sessions.
    """

    train: InteractionLog
    validation: RankingQueries
    test: RankingQueries


def session_split(log: InteractionLog, test: int = 1, validation: int = 1) -> SessionSplit:
    """Test on each user's last sessions, validate on those before.

    A user who would be left without a session in train is all train.

    Args:
        log: a log with sessions, such as of :func:`recgym.data.distinct_sessions`.
        test: sessions of a user that are tested on.
        validation: sessions of a user, before these, that validate.

    Raises:
        ValueError: a number is below 1, rows have no session, a session belongs to several users or is not in one
            piece, or no user has enough sessions.
    """
    if test < 1 or validation < 1:
        raise ValueError(f"test and validation need at least one session each, found {test} and {validation}")
    _check_sessions(log)
    rank = pl.col("session").rle_id()
    frame = log.frame.select("user", nth=rank)
    last = pl.col("nth").max().over("user")
    frame = frame.with_columns(
        from_end=last - pl.col("nth"), sessions=last - pl.col("nth").min().over("user") + 1
    ).with_columns(enough=pl.col("sessions") > test + validation)
    in_test = frame.select(found=pl.col("enough") & (pl.col("from_end") < test))["found"]
    after_train = frame.select(found=pl.col("enough") & (pl.col("from_end") < test + validation))["found"]
    if not in_test.any():
        raise ValueError(f"{log.source}: no user has more than {test + validation} sessions, as the split needs")
    train = log.with_frame(log.frame.filter(~after_train))
    between = log.with_frame(log.frame.filter(after_train & ~in_test))
    names = (f"last {validation} sessions before the last {test}", f"last {test} sessions")
    return SessionSplit(
        train,
        make_queries(log, train, between, names[0], together=Together.SESSION),
        make_queries(
            log, train, log.with_frame(log.frame.filter(in_test)), names[1], between=between, together=Together.SESSION
        ),
    )


def _check_sessions(log: InteractionLog) -> None:
    if log.frame["session"].null_count():
        raise ValueError(
            f"{log.source}: column 'session' has rows without a session, a split by session needs them all"
        )
    runs = log.frame.select(run=pl.struct("user", "session").rle_id(), session="session").unique()
    if runs["session"].n_unique() < runs.height:
        raise ValueError(f"{log.source}: a session was expected to be one user's rows without a break")


def evaluate_sessions(
    recommender: Recommender | Retriever,
    queries: RankingQueries,
    *,
    k: int = 10,
    batch_size: int = 256,
    device: str = "cpu",
    name: str | None = None,
) -> "SessionReport":
    """Rank the items of each session among all items, those of the user's past too.

    Args:
        recommender: what is judged; it is told when each session begins.
        queries: of :func:`session_split`.
        k: cut of the metrics.
        batch_size: queries at a time.
        device: the torch device that histories are put on.
        name: of the recommender in the report; None for the name of its class.

    Raises:
        ValueError: see :func:`recgym.evaluation.ranking.evaluate_ranking`.
    """
    protocol = queries.protocol(seen=SeenItems.KEPT, query_time_visible=queries.time_unit == "s")
    return SessionReport(
        evaluate_ranking(
            recommender, queries, protocol, ks=(k,), batch_size=batch_size, device=device, name=name
        )
    )  # fmt: skip


class Repetition(NamedTuple):
    """How much of what is recommended the user knows, beside how much of what was consumed; NaN without a list.

    Attributes:
        listed: share of each query's list that is in its history.
        consumed: share of each query's targets that is in its history.
    """

    listed: Float64[np.ndarray, "Q"]
    consumed: Float64[np.ndarray, "Q"]


def repetition(report: RankingReport, k: int) -> Repetition:
    """The share of repeats among the first k recommended items and among the targets, a query each.

    Raises:
        ValueError: the lists of the report are shorter than k.
    """
    queries, n = report.queries, report.queries.num_items
    if not 1 <= k <= report.lists.shape[1]:
        raise ValueError(f"a cut in 1..{report.lists.shape[1]}, the length of the lists, was expected, found {k}")
    items = report.lists[:, :k]
    given = items < n
    row, _ = np.nonzero(given)
    known = np.bincount(row[_had(queries, row, items[given])], minlength=len(queries))
    target = np.bincount(queries.target_query, weights=report.repeated, minlength=len(queries))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Repetition(known / given.sum(1), target / np.diff(queries.target_start))


def _had(
    queries: RankingQueries, query: Int64[np.ndarray, "E"], items: Int64[np.ndarray, "E"]
) -> Bool[np.ndarray, "E"]:
    """Whether each item is in the history of its query."""
    events, n = queries.events, queries.num_items
    keys, first = np.unique(events.user * n + events.items, return_index=True)
    wanted = queries.users[query] * n + items
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.asarray((keys[at] == wanted) & (first[at] < queries.end[query]))


_PER_TARGETS = ("ndcg", "recall")


@dataclass(frozen=True)
class SessionReport:
    """How one recommender foresaw sessions.

    Attributes:
        ranking: ranks and lists, with all the metrics of :class:`RankingReport`; two of them can be compared by
            :func:`recgym.evaluation.ranking.paired_difference`.
    """

    ranking: RankingReport

    @property
    def k(self) -> int:
        """The cut of the metrics."""
        return self.ranking.ks[0]

    def per_query(self) -> Mapping[str, Float64[np.ndarray, "Q"]]:
        """Each measure of each session; NaN where it does not count.

        ``ndcg@k`` and ``recall@k``, for all, ``_repeated`` and ``_explored`` items; ``repeats@k``, the share of the
        list that is in the history, and ``repeats_bias@k``, that less the share of the targets; ``popularity@k``, the
        mean percentile of the list among all items by consumption in training, and ``popularity_bias@k``, that less
        the targets'.
        """
        k = self.k
        found: dict[str, np.ndarray] = {}
        for targets in Targets:
            values = self.ranking.per_query(targets)
            suffix = "" if targets is Targets.ALL else f"_{targets.value}"
            found |= {f"{name}@{k}{suffix}": values[f"{name}@{k}"] for name in _PER_TARGETS}
            if targets is Targets.ALL and f"popularity_percentile@{k}" in values:
                found[f"popularity@{k}"] = values[f"popularity_percentile@{k}"]
                found[f"popularity_bias@{k}"] = values[f"popularity_percentile_bias@{k}"]
        repeats = repetition(self.ranking, min(k, self.ranking.lists.shape[1]))
        return {**found, f"repeats@{k}": repeats.listed, f"repeats_bias@{k}": repeats.listed - repeats.consumed}

    def metrics(self, bootstrap: UserBootstrap | None = None) -> Mapping[str, Interval]:
        """The mean of each measure with its interval over users; see :meth:`per_query`.

        Args:
            bootstrap: of the queries' users; None for the default one.
        """
        return (bootstrap or UserBootstrap(self.ranking.queries.users)).means(self.per_query())

    def means(self) -> Mapping[str, float]:
        """The mean of each measure without its interval, as for choosing settings; NaN where nothing counts."""
        found = self.per_query()
        return {name: float(np.nanmean(value)) if np.isfinite(value).any() else np.nan for name, value in found.items()}

    def notes(self) -> tuple[str, ...]:
        """What one should know before trusting the numbers, one sentence each."""
        repeated = self.ranking.repeated.mean()
        return (f"{repeated:.1%} of the items to be found were in the history of their user.", *self.ranking.notes())

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold; null for what is not defined."""
        return {
            "name": self.ranking.name,
            "protocol": {**self.ranking.protocol.to_json(), "digest": self.ranking.protocol.digest()},
            "queries": len(self.ranking.queries),
            "targets": len(self.ranking.ranks),
            "repeated_share": float(self.ranking.repeated.mean()),
            "metrics": {
                name: {part: value if np.isfinite(value) else None for part, value in interval._asdict().items()}
                for name, interval in self.metrics().items()
            },
            "notes": list(self.notes()),
            "seconds": self.ranking.seconds,
        }

    def table(self) -> Table:
        """The measures for the terminal."""
        caption = "\n".join(self.notes())
        table = Table(title=f"{self.ranking.name}: {self.ranking.protocol.split}", caption=caption)
        table.add_column("measure")
        table.add_column("mean and 95 % interval", justify="right")
        for name, (mean, low, high) in self.metrics().items():
            table.add_row(name, f"{mean:.4f} [{low:.4f}, {high:.4f}]")
        return table
