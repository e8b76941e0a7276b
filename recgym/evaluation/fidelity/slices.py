"""Feedback rates of real and of simulated sessions where they may differ: by position and by history."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy import sparse

from recgym.data.schema import FeedbackSchema
from recgym.evaluation.fidelity.plain import bounds
from recgym.evaluation.fidelity.traces import Traces
from recgym.stats import Interval, few_clusters, percentile_interval

__all__ = ["Slice", "rates_by_history", "rates_by_position"]

_POSITIONS = (0, 1, 2, 3, 5, 10, 20)
_TAKEN = (0, 1, 2, 3, 5, 10)
_FEWEST = 50


@dataclass(frozen=True)
class Slice:
    """Mean feedback of one channel over some shown items.

    Attributes:
        channel: which.
        by: what the items were cut by: ``position``, ``taken so far`` or ``recent rate``.
        label: which part this is.
        n: real items in it.
        observed: their mean.
        simulated: mean of the simulated ones.
        ratio: simulated over observed.
    """

    channel: str
    by: str
    label: str
    n: int
    observed: Interval
    simulated: Interval
    ratio: Interval

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            "channel": self.channel, "by": self.by, "label": self.label, "n": self.n,
            **bounds(observed=self.observed, simulated=self.simulated, ratio=self.ratio),
        }  # fmt: skip


@dataclass(frozen=True)
class _Cut:
    """Parts that real and simulated items fall into; -1 for none."""

    by: str
    labels: tuple[str, ...]
    real: Int64[np.ndarray, "R"]
    simulated: Int64[np.ndarray, "Q"]


def rates_by_position(
    real: Traces,
    simulated: Traces,
    schema: FeedbackSchema,
    weights: Float64[np.ndarray, "replicates users"],
    level: float,
) -> tuple[Slice, ...]:
    """Mean feedback of every channel by position in the slate; parts with fewer than 50 items of either are left out.

    Args:
        real: real sessions.
        simulated: those in their places.
        schema: the feedback channels.
        weights: how often each user counts in each bootstrap replicate, see :func:`recgym.stats.few_clusters`.
        level: confidence level of the intervals.
    """
    parts = [np.searchsorted(_POSITIONS, traces.position, side="right") - 1 for traces in (real, simulated)]
    cut = _Cut("position", _labels(_POSITIONS), *parts)
    return tuple(_slices(cut, real, simulated, schema, weights, level))


def rates_by_history(
    real: Traces,
    simulated: Traces,
    schema: FeedbackSchema,
    primary: int,
    weights: Float64[np.ndarray, "replicates users"],
    level: float,
) -> tuple[Slice, ...]:
    """The same by what came before in the session: items taken so far, and the share of the last step's items taken.

    The share is cut at the terciles of the real sessions; the first step of a session has none.
    """
    taken = [_taken_before(traces, primary) for traces in (real, simulated)]
    parts = [np.searchsorted(_TAKEN, before, side="right") - 1 for before in taken]
    slices = list(_slices(_Cut("taken so far", _labels(_TAKEN), *parts), real, simulated, schema, weights, level))
    recent = [_recent_rate(traces, primary) for traces in (real, simulated)]
    known = recent[0][~np.isnan(recent[0])]
    if known.size:
        edges = np.unique(np.quantile(known, [1 / 3, 2 / 3]))
        labels = (f"up to {edges[0]:.2g}", *(f"above {edge:.2g}" for edge in edges))
        bins = [np.where(np.isnan(rate), -1, np.searchsorted(edges, rate, side="left")) for rate in recent]
        slices += _slices(_Cut("recent rate", labels, *bins), real, simulated, schema, weights, level)
    return tuple(slices)


def _labels(edges: tuple[int, ...]) -> tuple[str, ...]:
    inner = [f"{a}" if b == a + 1 else f"{a} to {b - 1}" for a, b in pairwise(edges)]
    return (*inner, f"{edges[-1]} or more")


def _taken_before(traces: Traces, primary: int) -> Int64[np.ndarray, "R"]:
    """Items taken in earlier steps of the session."""
    taken = np.bincount(traces.row_step[traces.feedback[:, primary] > 0], minlength=traces.n_steps)
    before = np.cumsum(taken) - taken
    first = np.flatnonzero(traces.step_index == 0)
    within = before - np.repeat(before[first], np.diff(np.append(first, traces.n_steps)))
    taken_so_far: np.ndarray = within.astype(np.int64)[traces.row_step]
    return taken_so_far


def _recent_rate(traces: Traces, primary: int) -> Float64[np.ndarray, "R"]:
    """Share of the items of the step before that were taken; NaN in the first step of a session."""
    size = np.maximum(np.bincount(traces.row_step, minlength=traces.n_steps), 1)
    taken = np.bincount(traces.row_step[traces.feedback[:, primary] > 0], minlength=traces.n_steps)
    rate = np.concatenate([[np.nan], (taken / size)[:-1]])
    recent: np.ndarray = np.where(traces.step_index == 0, np.nan, rate)[traces.row_step]
    return recent


def _slices(
    cut: _Cut, real: Traces, simulated: Traces, schema: FeedbackSchema, weights: np.ndarray, level: float
) -> Iterator[Slice]:
    user, users = few_clusters(real.user)
    everyone = np.concatenate([np.ones((1, users)), weights])
    for index, channel in enumerate(schema.channels):
        counts, means = zip(
            *(
                _means(traces, index, part, len(cut.labels), user, everyone)
                for traces, part in ((real, cut.real), (simulated, cut.simulated))
            ),
            strict=True,
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = means[1] / means[0]
        for number, label in enumerate(cut.labels):
            if min(count[number] for count in counts) >= _FEWEST:
                found = [
                    percentile_interval(float(values[0, number]), values[1:, number], level)
                    for values in (*means, ratio)
                ]
                yield Slice(channel.name, cut.by, label, int(counts[0][number]), *found)


def _means(
    traces: Traces, channel: int, part: np.ndarray, parts: int, user: np.ndarray, everyone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Observed values in each part ``[parts]``, and their means ``[1 + replicates, parts]``."""
    kept = traces.observed[:, channel] & (part >= 0)
    cells = (part[kept], user[traces.row_session[kept]])
    shape = (parts, everyone.shape[1])
    value = traces.feedback[kept, channel].astype(np.float64)
    sums, counts = (sparse.csr_array((data, cells), shape=shape) for data in (value, np.ones(value.size)))
    with np.errstate(invalid="ignore", divide="ignore"):
        means: np.ndarray = ((sums @ everyone.T) / (counts @ everyone.T)).T
    return np.asarray(counts.sum(1)).ravel(), means
