"""A log as arrays that a network can be trained on: what users consumed, step by step, and what they were asked.

A *step* is one slate shown at one time, or what a user took at one time without a slate. A step in which something was
consumed is an *event* and moves the user's state. A step that shows items is an *exposure* and has rows to be
explained.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.schema import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.simulators.learned.imputing import Rows, first_time_seen, impute

__all__ = ["Behaviour", "ExposureSource", "IMPUTED_CHANNEL", "exposure_source", "offsets", "ranges", "simulated_schema"]

IMPUTED_CHANNEL = "consumed"


class ExposureSource(StrEnum):
    """Where it is known from what users passed over.

    ``SLATES``: the log has slates. ``IMPUTED``: it has none, so that every row is a consumption and items passed over
    have to be sampled.
    """

    SLATES = "slates"
    IMPUTED = "imputed"


def exposure_source(log: InteractionLog) -> ExposureSource:
    """Where the log says what users passed over."""
    return ExposureSource.SLATES if log.has_slates else ExposureSource.IMPUTED


def _constant_binary(log: InteractionLog) -> str | None:
    for channel in log.schema.channels:
        column = log.frame[channel.name]
        if channel.kind is ChannelKind.BINARY and column.null_count() == 0 and (column == 1).all():
            return channel.name
    return None


def simulated_schema(log: InteractionLog, source: ExposureSource) -> tuple[FeedbackSchema, str | None]:
    """The channels that simulated users answer with, and the one that is imputed.

    Where exposures are imputed, "was it taken at all" needs a channel: one of the log that is always 1,
    such as ``purchase``, or a new one named ``consumed``.
    """
    if source is not ExposureSource.IMPUTED:
        return log.schema, None
    name = _constant_binary(log)
    if name is not None:
        return log.schema, name
    consumed = Channel(IMPUTED_CHANNEL, ChannelKind.BINARY)
    return FeedbackSchema((consumed, *log.schema.channels)), IMPUTED_CHANNEL


def ranges(start: Int64[np.ndarray, "n"], end: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "total"]:
    """``start[0]..end[0]-1``, then ``start[1]..end[1]-1``, and so on, in one array."""
    lengths = end - start
    total = int(lengths.sum())
    index: np.ndarray = np.arange(total) + np.repeat(start - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return index


def offsets(group: Int64[np.ndarray, "n"], groups: int) -> Int64[np.ndarray, "groups_plus_1"]:
    """Where each group starts in an array sorted by group, with the end of the last."""
    return np.searchsorted(group, np.arange(groups + 1)).astype(np.int64)


@dataclass(frozen=True)
class Behaviour:
    """A log as arrays: C consumed items, E events, S exposures, R rows of exposures, U users, F channels.

    Everything is sorted by user and time. An ``*_start`` array holds, for element i, its first part at i and the end
    at i+1.

    Attributes:
        schema: the channels, that of the log or with an imputed one.
        taken_item: item id of each consumption.
        taken_feedback: its feedback, 0 where it was not observed.
        taken_time: its time.
        taken_event: the event it belongs to.
        event_time: time of each event.
        event_gap: time since the user's event before; NaN for the first.
        event_start: first consumption of each event.
        user_event_start: first event of each user.
        step_user: user of each exposure.
        step_time: its time.
        step_events: end of the events before it: the user's own are ``user_event_start[user] .. step_events-1``.
            In a log with times they lie strictly earlier: what is recorded at the very time of the exposure may be its
            own feedback recorded once more.
        step_after: end of the events up to and including it.
        step_taken: whether the exposure is itself an event, with index ``step_after - 1``.
        step_session: its session, -1 if unknown.
        step_index: exposures before it in the same session.
        step_elapsed: seconds since the first exposure of the session; 0 if the session is unknown.
        step_size: items shown; 0 where exposures are imputed, as nothing is known about it.
        step_rows: first row of each exposure.
        row_step: exposure of each row.
        row_item: item shown.
        row_position: its position, -1 if unknown.
        row_labels: feedback, 0 where it was not observed.
        row_observed: where it was observed.
        row_real: False for imputed rows.
    """

    schema: FeedbackSchema
    taken_item: Int64[np.ndarray, "C"]
    taken_feedback: Float32[np.ndarray, "C F"]
    taken_time: Float64[np.ndarray, "C"]
    taken_event: Int64[np.ndarray, "C"]
    event_time: Float64[np.ndarray, "E"]
    event_gap: Float64[np.ndarray, "E"]
    event_start: Int64[np.ndarray, "E_plus_1"]
    user_event_start: Int64[np.ndarray, "U_plus_1"]
    step_user: Int64[np.ndarray, "S"]
    step_time: Float64[np.ndarray, "S"]
    step_events: Int64[np.ndarray, "S"]
    step_after: Int64[np.ndarray, "S"]
    step_taken: Bool[np.ndarray, "S"]
    step_session: Int64[np.ndarray, "S"]
    step_index: Int64[np.ndarray, "S"]
    step_elapsed: Float64[np.ndarray, "S"]
    step_size: Int64[np.ndarray, "S"]
    step_rows: Int64[np.ndarray, "S_plus_1"]
    row_step: Int64[np.ndarray, "R"]
    row_item: Int64[np.ndarray, "R"]
    row_position: Int64[np.ndarray, "R"]
    row_labels: Float32[np.ndarray, "R F"]
    row_observed: Bool[np.ndarray, "R F"]
    row_real: Bool[np.ndarray, "R"]

    @classmethod
    def of(
        cls,
        log: InteractionLog,
        source: ExposureSource,
        negatives: int,
        session_gap_s: float,
        generator: np.random.Generator,
        first_seen: Float64[np.ndarray, "N"] | None = None,
    ) -> "Behaviour":
        """Arrange a log.

        Args:
            log: the log.
            source: where exposures are known from.
            negatives: items sampled as passed over for each consumption, if exposures are imputed.
            session_gap_s: a longer pause starts a new session, where the log has no sessions.
            generator: source of the sampled items.
            first_seen: when each item was first seen before the log began, infinity if it was not.
        """
        schema, imputed = simulated_schema(log, source)
        frame = _stepped(log.frame, source)
        feedback, observed = _feedback(frame, schema, imputed)
        step = frame["step"].to_numpy().astype(np.int64)
        n_steps = int(step[-1]) + 1
        first = offsets(step, n_steps)
        shown = frame["shown"].to_numpy()
        organic = frame["slate"].to_numpy() < 0
        taken = organic | (feedback != 0).any(1)
        user = frame["user"].to_numpy()[first[:-1]]
        time = frame["time_s"].to_numpy()[first[:-1]]
        item = frame["item"].to_numpy()

        is_event = np.logical_or.reduceat(taken, first[:-1])
        event_of_step = np.cumsum(is_event) - is_event
        events_before = _events_before(user, time, event_of_step) if log.time_unit == "s" else event_of_step
        event_user, event_time = user[is_event], time[is_event]
        event_gap = np.diff(event_time, prepend=np.nan)
        event_gap[np.diff(event_user, prepend=-1) != 0] = np.nan
        taken_event = event_of_step[step[taken]]

        is_exposure = np.logical_or.reduceat(shown, first[:-1])
        exposure = np.cumsum(is_exposure) - 1
        n_exposures = int(is_exposure.sum())
        row_step = exposure[step[shown]]
        position = frame["position"].fill_null(-1).cast(pl.Int64).to_numpy()[shown]
        rows = Rows(
            row_step, item[shown], position, feedback[shown], observed[shown], np.ones(row_step.size, dtype=bool)
        )
        size = np.bincount(row_step, minlength=n_exposures)
        if imputed is not None:
            first_time = first_time_seen(log, first_seen)
            row_time = time[is_exposure][row_step]
            rows = impute(rows, schema.index(imputed), negatives, first_time, row_time, generator)
            size = np.zeros_like(size)
        session = frame["session"].fill_null(-1).to_numpy()[first[:-1]][is_exposure]
        if (session < 0).all() and log.time_unit == "s":
            session = _sessions_by_gap(user[is_exposure], time[is_exposure], session_gap_s)
        return cls(
            schema=schema,
            taken_item=item[taken], taken_feedback=feedback[taken], taken_time=time[step[taken]],
            taken_event=taken_event, event_time=event_time, event_gap=event_gap, event_start=offsets(taken_event,
            event_time.size), user_event_start=offsets(event_user, log.n_users),
            step_user=user[is_exposure], step_time=time[is_exposure], step_events=events_before[is_exposure],
            step_after=(event_of_step + is_event)[is_exposure], step_taken=is_event[is_exposure],
            step_session=session, step_index=_index_in_session(session),
            step_elapsed=_elapsed_in_session(session, time[is_exposure]),
            step_size=size, step_rows=offsets(rows.step, n_exposures),
            row_step=rows.step, row_item=rows.item, row_position=rows.position, row_labels=rows.labels,
            row_observed=rows.observed, row_real=rows.real,
        )  # fmt: skip

    @property
    def n_steps(self) -> int:
        """S."""
        return self.step_user.size

    def rows_of(self, steps: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "total"]:
        """The rows of the given exposures, in their order."""
        return ranges(self.step_rows[steps], self.step_rows[steps + 1])

    def recent_items(self, steps: Int64[np.ndarray, "n"], length: int) -> Int64[np.ndarray, "n T"]:
        """The last consumptions before each exposure as indices into ``taken_*``, oldest first; -1 for none."""
        end = self.event_start[self.step_events[steps]]
        start = self.event_start[self.user_event_start[self.step_user[steps]]]
        index = end[:, None] + np.arange(-length, 0)
        return np.where(index >= start[:, None], index, -1)

    def repeats(self, length: int, block: int = 200_000) -> Float32[np.ndarray, "R"]:
        """How often each row's item is among the user's last ``length`` consumptions before the exposure."""
        counts = np.zeros(self.row_item.size, dtype=np.float32)
        if self.taken_item.size == 0:
            return counts
        for start in range(0, counts.size, block):
            rows = slice(start, start + block)
            steps, inverse = np.unique(self.row_step[rows], return_inverse=True)
            recent = self.recent_items(steps, length)
            items = np.where(recent >= 0, self.taken_item[recent], -1)
            counts[rows] = (items[inverse] == self.row_item[rows, None]).sum(1)
        return counts


def _stepped(frame: pl.DataFrame, source: ExposureSource) -> pl.DataFrame:
    """The rows in the order of steps, with columns ``step`` (its number) and ``shown`` (part of an exposure)."""
    shown = pl.lit(True) if source is not ExposureSource.SLATES else pl.col("slate").is_not_null()
    frame = frame.with_columns(slate=pl.col("slate").fill_null(-1), shown=shown)
    frame = frame.sort("user", "time_s", "slate", "position", maintain_order=True)
    return frame.with_columns(step=pl.struct("user", "time_s", "slate").rle_id())


def _feedback(frame: pl.DataFrame, schema: FeedbackSchema, imputed: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Feedback with 0 for what was not observed, and where it was."""
    columns = [
        frame[name] if name in frame.columns else pl.repeat(1.0, frame.height, dtype=pl.Float32, eager=True)
        for name in schema.names
    ]
    observed = np.stack([column.is_not_null().to_numpy() for column in columns], 1)
    values = np.stack([column.fill_null(0).to_numpy() for column in columns], 1).astype(np.float32)
    if imputed is not None:
        values[:, schema.index(imputed)] = 1.0
        observed[:, schema.index(imputed)] = True
    return values, observed


def _events_before(user: np.ndarray, time: np.ndarray, event_of_step: np.ndarray) -> np.ndarray:
    """End of the events strictly before each step: steps of a user at the same time are no history of each other."""
    fresh = (np.diff(user, prepend=-1) != 0) | (np.diff(time, prepend=-np.inf) != 0)
    events: np.ndarray = event_of_step[np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
    return events


def _sessions_by_gap(user: np.ndarray, time: np.ndarray, gap_s: float) -> np.ndarray:
    fresh = (np.diff(user, prepend=-1) != 0) | (np.diff(time, prepend=-np.inf) > gap_s)
    return np.cumsum(fresh) - 1


def _index_in_session(session: np.ndarray) -> np.ndarray:
    """How many earlier elements have the same session; 0 for sessions that are not known."""
    counts = pl.DataFrame({"session": session}).select(pl.int_range(pl.len()).over("session"))
    return np.where(session < 0, 0, counts.to_series().to_numpy()).astype(np.int64)


def _elapsed_in_session(session: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Time since the first element of the same session; 0 for sessions that are not known."""
    frame = pl.DataFrame({"session": session, "time": time})
    elapsed = frame.select(pl.col("time") - pl.col("time").min().over("session"))
    return np.where(session < 0, 0.0, elapsed.to_series().to_numpy())
