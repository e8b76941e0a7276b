"""Distributions of simulated sessions against those of real ones: how long they last, how long until the next."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from recgym.evaluation.fidelity.plain import bounds
from recgym.evaluation.fidelity.traces import Traces
from recgym.stats import Interval, few_clusters, percentile_interval, survival_curves

__all__ = ["Distance", "gap_distance", "length_distance"]

_POINTS = 200
_FEWEST_AT_RISK = 20


@dataclass(frozen=True)
class Distance:
    """Two distributions of a time or count, as the shares that last beyond each point of a grid.

    Attributes:
        sessions: real ones, and as many simulated ones.
        censored: share of the real ones whose end was not seen.
        grid: the points, from 0 to where the real curve can still be told.
        real: share of real ones beyond each point; by Kaplan and Meier where ends were not seen.
        simulated: the same of simulated ones.
        real_mean: area under the real curve: the mean of min(value, last point of the grid).
        simulated_mean: the same of simulated ones.
        ks: largest gap between the curves (Kolmogorov-Smirnov).
        wasserstein: area between the curves (Wasserstein-1), in units of the values.
        relative: that area over ``real_mean``.
    """

    sessions: int
    censored: float
    grid: Float64[np.ndarray, "g"]
    real: Float64[np.ndarray, "g"]
    simulated: Float64[np.ndarray, "g"]
    real_mean: Interval
    simulated_mean: Interval
    ks: Interval
    wasserstein: Interval
    relative: Interval

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        names = ("real_mean", "simulated_mean", "ks", "wasserstein", "relative")
        return {
            "sessions": self.sessions,
            "censored": self.censored,
            **bounds(**{name: getattr(self, name) for name in names}),
            **{name: np.round(getattr(self, name), 6).tolist() for name in ("grid", "real", "simulated")},
        }


def length_distance(
    real: Traces, simulated: Traces, weights: Float64[np.ndarray, "replicates users"], level: float
) -> Distance:
    """Lengths of sessions, in steps.

    Args:
        real: real sessions.
        simulated: those in their places.
        weights: how often each user counts in each bootstrap replicate, see :func:`recgym.stats.few_clusters`.
        level: confidence level of the intervals.
    """
    lengths = [traces.lengths.astype(np.float64) for traces in (real, simulated)]
    grid = np.arange(max(float(length.max()) for length in lengths) + 1)
    seen = np.ones(real.n_sessions, dtype=bool)
    return _distance(real, lengths[0], seen, lengths[1], grid, weights, level)


def gap_distance(
    real: Traces, simulated: Traces, weights: Float64[np.ndarray, "replicates users"], level: float
) -> Distance:
    """Times from sessions to the users' next ones, in seconds.

    A real session whose next one was not seen by the end of the log is censored there. The curves are compared up to
    the time beyond which fewer than 20 real sessions were followed.

    Args:
        real: real sessions.
        simulated: those in their places.
        weights: as in :func:`length_distance`.
        level: confidence level of the intervals.
    """
    followed = np.sort(real.gap_s)[::-1]
    end = float(followed[min(_FEWEST_AT_RISK, followed.size) - 1])
    pooled = np.concatenate([real.gap_s, simulated.gap_s])
    inside = np.sort(pooled[pooled < end])
    places = (np.linspace(0, 1, _POINTS) * max(inside.size - 1, 0)).astype(np.int64)
    grid = np.unique(np.concatenate([[0.0], inside[places] if inside.size else [], [end]]))
    return _distance(real, real.gap_s, real.gap_seen, simulated.gap_s, grid, weights, level)


def _distance(
    real: Traces,
    value: np.ndarray,
    seen: np.ndarray,
    simulated: np.ndarray,
    grid: np.ndarray,
    weights: np.ndarray,
    level: float,
) -> Distance:
    user, _ = few_clusters(real.user)
    everyone = np.concatenate([np.ones((1, user.size)), weights[:, user]])
    curves = survival_curves(value, seen, grid, everyone)
    others = survival_curves(simulated, np.ones_like(seen), grid, everyone)
    width = np.diff(grid)
    apart = np.abs(curves - others)
    area, means = apart[:, :-1] @ width, [curve[:, :-1] @ width for curve in (curves, others)]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = area / means[0]

    def interval(values: np.ndarray) -> Interval:
        return percentile_interval(float(values[0]), values[1:], level)

    return Distance(
        value.size, float(1 - seen.mean()), grid, curves[0], others[0], interval(means[0]), interval(means[1]),
        interval(apart.max(1)), interval(area), interval(relative),
    )  # fmt: skip
