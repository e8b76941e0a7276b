"""What a classifier may look at to tell simulated sessions from real ones."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from recgym.data.schema import ChannelKind, FeedbackSchema
from recgym.evaluation.fidelity.traces import Traces

__all__ = ["SessionFeatures", "session_features"]


class SessionFeatures(NamedTuple):
    """One row a session.

    Attributes:
        names: of the columns.
        values: the matrix; NaN where a session has nothing to measure, such as a pause between its only step.
    """

    names: tuple[str, ...]
    values: Float64[np.ndarray, "S X"]


def session_features(
    traces: Traces, schema: FeedbackSchema, primary: int, popularity: Float64[np.ndarray, "N"]
) -> SessionFeatures:
    """Lengths, times, feedback by channel and place, and which items were taken.

    ==============================  ====================================================================================
    length                          log(1 + steps)
    duration                        log(1 + seconds from the first step to the last)
    pause, pause_spread             mean and standard deviation of log(1 + seconds between steps)
    CHANNEL_rate                    share of the shown items with a value above 0 (mean value of a rating)
    CHANNEL_total                   log(1 + sum)
    CHANNEL_level, CHANNEL_spread   mean and standard deviation of log(value) of the values above 0, of amounts
    kinds, kinds_spread             mean and standard deviation of how many channels answered, of items with any answer
    empty_steps, full_steps         share of steps with no, and with more than one, item of the primary channel
    first_step, last_step           rate of the primary channel there
    switches                        share of neighbouring steps that differ in whether it occurs
    place                           mean position of items of the primary channel less that of shown ones
    popularity                      the same of log popularity
    repeats                         share of taken items that were taken before in the session
    ==============================  ====================================================================================

    Args:
        traces: the sessions.
        schema: the feedback channels.
        primary: the channel that says whether the user took an item.
        popularity: rate of the primary channel of each item.
    """
    columns = {**_times(traces), **_channels(traces, schema), **_steps(traces, primary)}
    columns |= _items(traces, primary, popularity)
    return SessionFeatures(tuple(columns), np.stack(list(columns.values()), 1))


def _mean(values: np.ndarray, group: np.ndarray, groups: int) -> Float64[np.ndarray, "groups"]:
    """Mean of each group, NaN of an empty one."""
    sums = np.bincount(group, weights=values, minlength=groups)
    counts = np.bincount(group, minlength=groups)
    mean: np.ndarray = np.divide(sums, counts, out=np.full(groups, np.nan), where=counts > 0)
    return mean


def _spread(values: np.ndarray, group: np.ndarray, groups: int) -> Float64[np.ndarray, "groups"]:
    """Standard deviation of each group, NaN of one with fewer than two values."""
    mean = _mean(values, group, groups)
    variance = _mean((values - mean[group]) ** 2, group, groups)
    return np.where(np.bincount(group, minlength=groups) > 1, np.sqrt(variance), np.nan)


def _times(traces: Traces) -> dict[str, np.ndarray]:
    sessions, n = traces.step_session, traces.n_sessions
    within = sessions[1:] == sessions[:-1]
    pause, owner = np.log1p(np.maximum(np.diff(traces.step_time), 0.0))[within], sessions[1:][within]
    duration = np.zeros(n)
    np.maximum.at(duration, sessions, traces.step_time)
    return {
        "length": np.log1p(traces.lengths),
        "duration": np.log1p(duration),
        "pause": _mean(pause, owner, n),
        "pause_spread": _spread(pause, owner, n),
    }


def _channels(traces: Traces, schema: FeedbackSchema) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    owner, n = traces.row_session, traces.n_sessions
    for index, channel in enumerate(schema.channels):
        seen = traces.observed[:, index]
        value, session = traces.feedback[seen, index].astype(np.float64), owner[seen]
        some = value > 0
        rating = channel.kind is ChannelKind.RATING
        columns[f"{channel.name}_rate"] = _mean(value if rating else some, session, n)
        total = np.bincount(session, weights=value, minlength=n)
        columns[f"{channel.name}_total"] = np.log1p(np.maximum(total, 0.0))
        if channel.kind is not ChannelKind.BINARY:
            level = np.log(value[some])
            columns[f"{channel.name}_level"] = _mean(level, session[some], n)
            columns[f"{channel.name}_spread"] = _spread(level, session[some], n)
    some = (traces.feedback > 0) & traces.observed
    answered = some.any(1)
    kinds = some[answered].sum(1).astype(np.float64)
    columns["kinds"] = _mean(kinds, owner[answered], n)
    columns["kinds_spread"] = _spread(kinds, owner[answered], n)
    return columns


def _steps(traces: Traces, primary: int) -> dict[str, np.ndarray]:
    steps, n, sessions = traces.n_steps, traces.n_sessions, traces.step_session
    taken = traces.feedback[:, primary] > 0
    count = np.bincount(traces.row_step[taken], minlength=steps)
    rate = _mean(taken, traces.row_step, steps)
    first = np.flatnonzero(np.diff(sessions, prepend=-1) != 0)
    last = np.append(first[1:], steps) - 1
    within = sessions[1:] == sessions[:-1]
    switched = (count[1:] > 0) != (count[:-1] > 0)
    return {
        "empty_steps": _mean(count == 0, sessions, n),
        "full_steps": _mean(count > 1, sessions, n),
        "first_step": rate[first],
        "last_step": rate[last],
        "switches": _mean(switched[within], sessions[1:][within], n),
    }


def _items(traces: Traces, primary: int, popularity: np.ndarray) -> dict[str, np.ndarray]:
    owner, n = traces.row_session, traces.n_sessions
    taken = traces.feedback[:, primary] > 0
    columns = {}
    for name, value in (
        ("place", traces.position.astype(np.float64)),
        ("popularity", np.log(np.maximum(popularity[traces.item], 1e-6))),
    ):
        columns[name] = _mean(value[taken], owner[taken], n) - _mean(value, owner, n)
    pair = owner[taken] * popularity.size + traces.item[taken]
    _, first = np.unique(pair, return_index=True)
    again = np.ones(pair.size, dtype=bool)
    again[first] = False
    columns["repeats"] = _mean(again, owner[taken], n)
    return columns
