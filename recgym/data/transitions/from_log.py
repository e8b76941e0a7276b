"""Logs of real behaviour as transitions that agents learn from."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.batches import Events, consumed_events
from recgym.data.features import FeatureEncoder
from recgym.data.schema import InteractionLog, LeftOut
from recgym.data.transitions.columns import Problem
from recgym.data.transitions.readings import Reading, Rows, Steps
from recgym.data.transitions.store import TransitionStore
from recgym.data.transitions.writing import Block, in_memory, writing
from recgym.seeding import make_generator

__all__ = ["LogTransitions", "transitions_from_log"]

_CODES = 32  # width of what tells items without features apart


class LogTransitions(NamedTuple):
    """A log as transitions.

    Attributes:
        store: the transitions.
        left_out: rows of the log that no step shows, and why; what was consumed of them is in the histories all the
            same.
        notes: what one should know before trusting the transitions, one sentence each.
    """

    store: TransitionStore
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def transitions_from_log(
    log: InteractionLog,
    reading: Reading,
    reward: Mapping[str, float],
    folder: Path | str | None = None,
    *,
    window: int = 20,
    by_session: bool = True,
    terminates: bool | None = None,
    item_features: Float32[np.ndarray, "N D"] | None = None,
) -> LogTransitions:
    """Read a log as steps of users.

    What an agent sees at a step is what the user consumed strictly before it, as :func:`recgym.data.history_before`
    tells; sessions before this one are part of it. After the last step of an episode it sees what was consumed up to
    the step's end, and the candidates of that step once more. Feedback that was not observed counts as 0. Features of
    users are the profile: numbers standardised, categories one-hot, see :class:`recgym.data.features.FeatureEncoder`.

    Args:
        log: the log.
        reading: what is a step: :class:`SlateReading`, :class:`PickReading` or :class:`EventReading`.
        reward: the weight of each channel that counts; a step is worth the weighted sum of its feedback.
        folder: where the store is written; it is kept in memory if None.
        window: T.
        by_session: an episode is a session, where the log has sessions. Otherwise it is all that is known of a user,
            and its sessions are counted within it.
        terminates: whether the end of an episode is an end for the user (``terminated``) or only for the log
            (``truncated``); by default the former for sessions and the latter for whole records.
        item_features: one row an item, such as an encoder's vectors. By default the log's own, encoded as those of
            users; random codes, which only tell items apart, if it has none.

    Raises:
        ValueError: a channel is unknown, the window is not positive, the features are not one row an item, or no step
            is left.
    """
    weights = np.zeros(len(log.schema), np.float32)
    for name, weight in reward.items():
        weights[log.schema.index(name)] = weight
    if window < 1:
        raise ValueError(f"the window must be at least 1, found {window}")
    rows = Rows(log)
    sessions = by_session and log.frame["session"].null_count() < log.n_rows
    if sessions:
        rows.keep(pl.col("session") >= 0, "in no session")
    steps, notes = reading.read(rows), []
    features, remark = _item_features(log, item_features)
    notes += [remark] if remark else []
    unknown = int(np.isnan(steps.propensity).sum())
    if unknown:
        notes.append(f"The propensity of {unknown:,} of {len(steps.user):,} steps is unknown.")
    profiles = FeatureEncoder.fit(log.user_features).encode(log.user_features, log.n_users)
    m = steps.candidates.shape[1]
    problem = Problem(
        log.schema, log.n_items, m or log.n_items, steps.slate.shape[1], window, profiles.shape[1], features.shape[1],
        candidates_vary=m > 0, name=log.source,
    )  # fmt: skip
    block = _block(log, steps, weights, profiles, sessions, sessions if terminates is None else terminates)
    if folder is None:
        return LogTransitions(in_memory(problem, features, block), tuple(rows.left_out), tuple(notes))
    with writing(folder, problem, features) as writer:
        writer.add(block)
    return LogTransitions(TransitionStore.open(folder), tuple(rows.left_out), tuple(notes))


def _item_features(
    log: InteractionLog, given: Float32[np.ndarray, "N D"] | None
) -> tuple[Float32[np.ndarray, "N D"], str]:
    """The features of the items, and a remark if they say nothing."""
    if given is not None:
        if len(given) != log.n_items:
            raise ValueError(f"{log.source}: found features of {len(given)} items, expected {log.n_items}")
        return np.asarray(given, np.float32), ""
    features = FeatureEncoder.fit(log.item_features).encode(log.item_features, log.n_items)
    if features.shape[1]:
        return features, ""
    codes = make_generator(0, "item codes", device="numpy").standard_normal((log.n_items, _CODES), dtype=np.float32)
    return codes, "The log has no features of items: random codes, which only tell them apart, stand in."


def _block(
    log: InteractionLog,
    steps: Steps,
    weights: Float32[np.ndarray, "F"],
    profiles: Float32[np.ndarray, "U P"],
    by_session: bool,
    terminates: bool,
) -> Block:
    """The columns of all points and events."""
    order, episode = _episodes(steps, by_session)
    steps = Steps(*(part[order] for part in steps))
    lengths = np.bincount(episode)
    starts = np.cumsum(lengths + 1) - lengths - 1
    point_of = np.arange(len(order)) + episode
    # Each step's own point, and behind the last one of an episode a closing point, filled from that step.
    closing_of = np.flatnonzero(np.diff(episode, append=-1))
    source = np.sort(np.concatenate([np.arange(len(order)), closing_of]))
    closing = np.zeros(len(source), bool)
    closing[starts + lengths] = True
    session, session_step, away_s, gap_s = _sessions(steps, episode, by_session)
    events = consumed_events(log)
    moment = np.where(closing, steps.end_s[source], steps.begin_s[source])

    def answer(values: np.ndarray, at_closing: float) -> np.ndarray:
        part: np.ndarray = values[source]
        part[closing] = at_closing
        return part

    final = np.zeros(len(order), bool)
    final[closing_of] = True
    feedback = steps.feedback
    return {
        "user": steps.user[source], "clock_s": moment, "time_s": answer(steps.end_s, np.nan),
        "session": session[source], "step": np.arange(len(source)) - np.repeat(starts, lengths + 1),
        "session_step": session_step[source] + closing, "away_s": away_s[source],
        "first_event": events.start[steps.user[source]],
        "last_event": _events_until(events, steps.user[source], moment, closing),
        "profile": profiles[steps.user[source]], "candidates": steps.candidates[source],
        "flat": np.zeros((len(source), 0), np.float32), "action": answer(steps.action, 0),
        "slate": answer(steps.slate, 0), "feedback": answer(feedback, 0),
        "reward": answer((feedback @ weights).sum(1), 0), "costs": np.zeros((len(source), 0), np.float32),
        "log_propensity": answer(np.log(steps.propensity), np.nan), "return_gap_s": answer(gap_s, np.nan),
        "terminated": answer(final & terminates, False), "truncated": answer(final & (not terminates), False),
        "event_items": events.items, "event_feedback": events.feedback, "event_time_s": events.time_s,
        "event_point": _shown_at(log, steps, point_of), "episodes": np.stack([starts, starts + lengths], -1),
    }  # fmt: skip


def _episodes(steps: Steps, by_session: bool) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """The steps in order of users, episodes and time, and the number of each one's episode."""
    session = steps.session if by_session else np.zeros_like(steps.session)
    keys = pl.DataFrame({"user": steps.user, "session": session, "begin": steps.begin_s})
    keys = keys.with_columns(first=pl.col("begin").min().over("user", "session"))
    order = keys.select(pl.arg_sort_by("user", "first", "session", "begin", maintain_order=True)).to_series().to_numpy()
    number = keys.select(pl.struct("user", "session").gather(order).rle_id()).to_series()
    return order.astype(np.int64), number.cast(pl.Int64).to_numpy()


def _sessions(
    steps: Steps, episode: Int64[np.ndarray, "n"], by_session: bool
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Of each step: which session of its episode, which step of it, how long the user was away before and after it.

    The time after is known of the last step of a session that another one follows; it is NaN of all others.
    """
    n = len(episode)
    user, known = steps.user, steps.session
    fresh = np.ones(n, bool)
    fresh[1:] = (user[1:] != user[:-1]) | (known[1:] != known[:-1])
    first = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    follows = np.zeros(n, bool)
    follows[1:] = fresh[1:] & (user[1:] == user[:-1])
    gap = np.zeros(n)
    gap[1:] = np.maximum(steps.begin_s[1:] - steps.end_s[:-1], 0.0)
    after = np.full(n, np.nan)
    after[:-1] = np.where(follows[1:], gap[1:], np.nan)
    count = np.cumsum(fresh)
    start = np.searchsorted(episode, episode)  # the first step of each one's episode
    away = np.zeros(n) if by_session else np.where(follows, gap, 0.0)[first]
    return count - count[start], np.arange(n) - first, away, after


def _events_until(
    events: Events, user: Int64[np.ndarray, "P"], moment: Float64[np.ndarray, "P"], including: Bool[np.ndarray, "P"]
) -> Int64[np.ndarray, "P"]:
    """The number of the event behind those that each user had before a moment, or up to it."""
    # Times become ranks, so that user and time fit one sorted integer key: no float is added to a large number.
    moments = np.unique(events.time_s)
    span = len(moments) + 1
    keys = events.user * span + np.searchsorted(moments, events.time_s)
    before = np.searchsorted(moments, moment, side="left")
    upto = np.searchsorted(moments, moment, side="right")
    ends: np.ndarray = np.searchsorted(keys, user * span + np.where(including, upto, before), side="left")
    return ends


def _shown_at(log: InteractionLog, steps: Steps, point_of: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "E"]:
    """The point that shows each event; -1 if none does."""
    consumed = log.consumed.to_numpy()
    number = np.cumsum(consumed) - 1
    shown = np.full(int(consumed.sum()), -1)
    point = np.repeat(point_of, steps.row.shape[1])
    row = steps.row.reshape(-1)
    kept = consumed[row]
    shown[number[row[kept]]] = point[kept]
    return shown
