"""Histories of users as padded, right-aligned arrays, made by index arithmetic without a loop over users."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float32, Float64, Int, Int64

from recgym.arrays import permutation, to_numpy
from recgym.data.schema import InteractionLog
from recgym.types import Array, Generator, History

__all__ = [
    "Events",
    "HistoryBatch",
    "consumed_events",
    "gather_events",
    "histories",
    "history_before",
    "iter_histories",
]


class HistoryBatch(NamedTuple):
    """Stretches of users' consumption.

    Attributes:
        users: whose stretch each row is.
        history: the stretches; T is the length of the longest in the batch.
    """

    users: Int64[Array, "B"]
    history: History


class Events(NamedTuple):
    """What was consumed, sorted by user and time; user u has the events ``start[u]`` to ``start[u + 1] - 1``.

    Attributes:
        items: item ids.
        feedback: one column a channel; feedback that was not observed is 0.
        time_s: in the unit of the log.
        user: whose event each is.
        session: as in the log; -1 where unknown.
        start: first event of each user, and the number of events at the end.
    """

    items: Int64[np.ndarray, "E"]
    feedback: Float32[np.ndarray, "E F"]
    time_s: Float64[np.ndarray, "E"]
    user: Int64[np.ndarray, "E"]
    session: Int64[np.ndarray, "E"]
    start: Int64[np.ndarray, "U"]


def histories(log: InteractionLog, window: int, device: str = "cpu") -> History:
    """Each user's last ``window`` consumptions at the end of the log.

    Args:
        log: the log; what counts as consumed is :attr:`InteractionLog.consumed`. Feedback that was not observed is 0.
        window: T, at least 1.
        device: a torch device.

    Returns:
        One row a user of the id map (B = ``log.n_users``); a user without consumption is all padding.

    Raises:
        ValueError: the window is not positive.
    """
    _check_positive("window", window)
    events = consumed_events(log)
    return gather_events(events, events.start[:-1], events.start[1:], window, log.n_items, device)


def history_before(
    log: InteractionLog,
    users: Int64[np.ndarray, "Q"],
    times: Float64[np.ndarray, "Q"],
    window: int,
    device: str = "cpu",
) -> History:
    """The last ``window`` consumptions of each queried user strictly before a time.

    Args:
        log: the log; what counts as consumed is :attr:`InteractionLog.consumed`. Feedback that was not observed is 0.
        users: the user of each query, ``0..n_users-1``; users may repeat, in any order.
        times: the time of each query, in the unit of the log's ``time_s``.
        window: T, at least 1.
        device: a torch device.

    Returns:
        One row a query (B = Q).

    Raises:
        ValueError: the window is not positive, a user is unknown, or a time is NaN.
    """
    _check_positive("window", window)
    if len(users) and not (0 <= users.min() and users.max() < log.n_users):
        raise ValueError(
            f"{log.source}: queried users must be in 0..{log.n_users - 1}, found {users.min()}..{users.max()}"
        )
    if np.isnan(times).any():
        raise ValueError(f"{log.source}: a queried time is NaN, a time in the unit of the log was expected")
    events = consumed_events(log)
    # Times become ranks, so that user and time fit one sorted integer key: no float is added to a large number.
    moments = np.unique(events.time_s)
    span = len(moments) + 1
    keys = events.user * span + np.searchsorted(moments, events.time_s)
    ends = np.searchsorted(keys, users * span + np.searchsorted(moments, times, side="left"), side="left")
    return gather_events(events, events.start[users], ends, window, log.n_items, device)


def iter_histories(
    log: InteractionLog, window: int, batch_size: int, generator: Generator, device: str = "cpu"
) -> Iterator[HistoryBatch]:
    """One pass over all consumption, for training: each event is in exactly one stretch.

    Each user's events are cut into stretches of ``window`` from the end (the first one may be shorter). Stretches of
    like length share a batch, so that little is padding; ties and the order of the batches are random.

    Args:
        log: the log; what counts as consumed is :attr:`InteractionLog.consumed`. Feedback that was not observed is 0.
        window: the longest stretch, at least 1.
        batch_size: B; the last batch of the length order may be smaller.
        generator: draws the order.
        device: a torch device.

    Raises:
        ValueError: the window or the batch size is not positive.
    """
    _check_positive("window", window)
    _check_positive("batch size", batch_size)
    events = consumed_events(log)
    lengths = np.diff(events.start)
    pieces = -(-lengths // window)
    users = np.repeat(np.arange(log.n_users), pieces)
    nth = np.arange(len(users)) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # 0 is the user's last stretch
    ends = events.start[users + 1] - nth * window
    starts = np.maximum(ends - window, events.start[users])
    shuffled = to_numpy(permutation(generator, len(users)))
    order = shuffled[np.argsort((ends - starts)[shuffled], kind="stable")]
    batches = np.arange(0, len(order), batch_size)
    for first in batches[to_numpy(permutation(generator, len(batches)))]:
        rows = order[first : first + batch_size]
        longest = int((ends - starts)[rows].max())
        history = gather_events(events, starts[rows], ends[rows], longest, log.n_items, device)
        yield HistoryBatch(torch.as_tensor(users[rows], device=device), history)


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"the {name} must be at least 1, found {value}")


def consumed_events(log: InteractionLog) -> Events:
    """All that was consumed, see :attr:`InteractionLog.consumed`, as flat arrays."""
    frame = log.frame.filter(log.consumed)
    feedback = frame.select(pl.col(name).fill_null(0.0) for name in log.schema.names).to_numpy()
    user = frame["user"].to_numpy()
    counts = np.bincount(user, minlength=log.n_users)
    return Events(
        frame["item"].to_numpy(), np.ascontiguousarray(feedback, dtype=np.float32), frame["time_s"].to_numpy(), user,
        frame["session"].fill_null(-1).to_numpy(), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )  # fmt: skip


def gather_events(
    events: Events,
    starts: Int64[np.ndarray, "B"],
    ends: Int64[np.ndarray, "B"],
    window: int,
    padding: int,
    device: str,
) -> History:
    """The last ``window`` of the events ``start..end-1`` of each row, right-aligned.

    Args:
        events: of a log.
        starts: first event that each row may hold.
        ends: the event after each row's last.
        window: T.
        padding: N, the id that stands where no event is.
        device: a torch device.
    """
    arrays = gather_window(events.items, events.feedback, events.time_s, starts, ends, window, padding)
    return History(*(torch.as_tensor(array, device=device) for array in arrays))


def gather_window(
    items: Int[np.ndarray, "n"],
    feedback: Float32[np.ndarray, "n F"],
    time_s: Float64[np.ndarray, "n"],
    starts: Int[np.ndarray, "B"],
    ends: Int[np.ndarray, "B"],
    window: int,
    padding: int,
) -> tuple[Int64[np.ndarray, "B T"], Float32[np.ndarray, "B T F"], Float64[np.ndarray, "B T"], Bool[np.ndarray, "B T"]]:
    """The fields of :func:`gather_events`, from flat arrays: items, feedback, times and the mask."""
    index = ends[:, None] - window + np.arange(window)
    mask = index >= starts[:, None]
    if len(items) == 0:
        items, feedback, time_s = (np.zeros((1, *part.shape[1:]), part.dtype) for part in (items, feedback, time_s))
    index = np.where(mask, index, 0)
    return (
        np.where(mask, items[index], padding).astype(np.int64, copy=False),
        feedback[index] * mask[..., None].astype(np.float32),
        np.where(mask, time_s[index], 0.0),
        mask,
    )
