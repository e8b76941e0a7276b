"""Queries from a log: leave-one-out, a global time split, or any other split, by slates or by sessions."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recgym.data import Events, InteractionLog, consumed_events, leave_one_out, split_by_time
from recgym.evaluation.ranking.protocol import log_digest
from recgym.evaluation.ranking.queries import LaterTraining, RankingQueries

__all__ = [
    "LeaveOneOutQueries", "TimeSplitQueries", "TimeTargets", "Together",
    "leave_one_out_queries", "make_queries", "time_split_queries",
]  # fmt: skip


class TimeTargets(Enum):
    """Which consumptions after the cut of a time split are asked for.

    ``FIRST``: each user's first one; the history is what came before the cut. ``EVERY``: all of them, one query each;
    the history is all that the user consumed before it, also after the cut.
    """

    FIRST = "first"
    EVERY = "every"


class Together(Enum):
    """Which consumptions make one query.

    Their distinct items are the query's targets, and none of them counts as its history. ``SLATE``: those of one slate
    (a row without a slate stands alone). ``SESSION``: those of one session.
    """

    SLATE = "slate"
    SESSION = "session"


class LeaveOneOutQueries(NamedTuple):
    """Leave-one-out: what to train on, and the two sets of queries.

    Attributes:
        train: all but each user's last two consumptions.
        validation: the last but one, given what came before.
        test: the last one, given all that came before, the validation event among it.
    """

    train: InteractionLog
    validation: RankingQueries
    test: RankingQueries


class TimeSplitQueries(NamedTuple):
    """A global time split.

    Attributes:
        train: what came before the cut.
        test: queries after it.
    """

    train: InteractionLog
    test: RankingQueries


def leave_one_out_queries(log: InteractionLog) -> LeaveOneOutQueries:
    """Ask for each user's last consumption, and for the one before; see :func:`recgym.data.leave_one_out`.

    Consumptions of one slate are one: their distinct items are the targets of a single query.

    Raises:
        ValueError: no user has three consumptions.
    """
    train, validation, test = leave_one_out(log)
    data = log_digest(log)
    return LeaveOneOutQueries(
        train,
        _make(data, train, (train,), validation, "leave-one-out validation", Together.SLATE, leaks_time=True),
        _make(data, train, (train, validation), test, "leave-one-out test", Together.SLATE, leaks_time=True),
    )


def time_split_queries(
    log: InteractionLog, test_fraction: float = 0.2, targets: TimeTargets = TimeTargets.FIRST
) -> TimeSplitQueries:
    """Ask for what users consumed after one moment, common to all; see :func:`recgym.data.split_by_time`.

    Consumptions of one slate are one: their distinct items are the targets of a single query. Users whom the training
    part does not know ask too, without a history.

    Args:
        log: a log with times.
        test_fraction: about how much of the log lies after the cut.
        targets: which consumptions are asked for.

    Raises:
        ValueError: the log cannot be cut, or nobody consumed anything after the cut.
    """
    train, test = split_by_time(log, test_fraction)
    name = f"time split, last {test_fraction:g}, {targets.value} consumption"
    queries = _make(log_digest(log), train, (train,), test, name, Together.SLATE, leaks_time=False)
    if targets is TimeTargets.FIRST:
        firsts = np.flatnonzero(np.append(True, queries.users[1:] != queries.users[:-1]))
        queries = queries.take(firsts)
    return TimeSplitQueries(train, queries)


def make_queries(
    log: InteractionLog,
    train: InteractionLog,
    test: InteractionLog,
    split: str,
    *,
    between: InteractionLog | None = None,
    together: Together = Together.SLATE,
    leaks_time: bool = True,
) -> RankingQueries:
    """Ask for all that was consumed in one part of a log, given another, however the two were cut.

    Args:
        log: the whole, for its digest.
        train: what models are trained on; it comes before all else of the same user.
        test: what is asked for; each query's history holds the earlier queries of the user.
        split: how the log was cut, in words.
        between: consumption after ``train`` and before ``test`` that belongs to histories but is not trained on.
        together: which consumptions make one query.
        leaks_time: whether training may hold events that are later than a query; false for a global cut in time.

    Raises:
        ValueError: nothing was consumed in ``test``, or sessions are asked for that the log does not know.
    """
    before = (train,) if between is None else (train, between)
    return _make(log_digest(log), train, before, test, split, together, leaks_time=leaks_time)


def _make(
    data: str,
    train: InteractionLog,
    before: Sequence[InteractionLog],
    test: InteractionLog,
    split: str,
    together: Together,
    *,
    leaks_time: bool,
) -> RankingQueries:
    asked, unit = _grouped(test, together)
    if len(unit) == 0:
        raise ValueError(f"{test.source}: nothing was consumed in the part to ask for ({split})")
    parts = [*(consumed_events(part) for part in before), asked]
    part = np.repeat(np.arange(len(parts)), [len(events.items) for events in parts])
    unit = np.concatenate([np.full(len(part) - len(unit), -1), unit])
    joined = [np.concatenate(columns) for columns in zip(*(events[:-1] for events in parts), strict=True)]
    user = joined[Events._fields.index("user")]
    order = np.lexsort((unit, part, user))  # stable: rows of one unit, and all before, stay as the log has them
    bounds = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=train.n_users))])
    events = Events._make([*(column[order] for column in joined), bounds.astype(np.int64)])

    unit, in_test = unit[order], part[order] == len(parts) - 1
    opens = in_test & np.append(True, (unit[1:] != unit[:-1]) | (events.user[1:] != events.user[:-1]))
    end = np.flatnonzero(opens)
    query = np.cumsum(opens) - 1
    target_query, targets = np.divmod(
        np.unique(query[in_test] * train.n_items + events.items[in_test]), train.n_items
    )  # each item of a query once
    popularity = np.bincount(parts[0].items, minlength=train.n_items)
    times = events.time_s[end]
    return RankingQueries(
        split, data, train.n_items, train.time_unit, events, events.user[end], events.start[events.user[end]], end,
        times, np.searchsorted(target_query, np.arange(len(end) + 1)).astype(np.int64), targets, popularity,
        None if train.time_unit == "order" else _later(parts[0].time_s, times), leaks_time,
    )  # fmt: skip


def _grouped(log: InteractionLog, together: Together) -> tuple[Events, Int64[np.ndarray, "E"]]:
    """What was consumed, and the number of the first row of what each belongs together with."""
    row = pl.int_range(pl.len(), dtype=pl.Int64)
    key = pl.col("session") if together is Together.SESSION else pl.coalesce(pl.col("slate"), -1 - row)
    frame = log.frame.select(row=row, key=key).filter(log.consumed)
    if frame["key"].null_count():
        raise ValueError(f"{log.source}: column 'session' has rows without a session, queries by session need them all")
    return consumed_events(log), frame.select(pl.col("row").min().over("key"))["row"].to_numpy()


def _later(training: Float64[np.ndarray, "E"], times: Float64[np.ndarray, "Q"]) -> LaterTraining:
    """Own events of the user never count: they come before the query."""
    share = 1 - np.searchsorted(np.sort(training), times, side="right") / max(len(training), 1)
    return LaterTraining(float((share > 0).mean()), float(share.mean()))
