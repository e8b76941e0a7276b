"""What became of many replications of an experiment: power or level, stopping times, bias when stopping."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from recgym.abtest.choosing import Method
from recgym.abtest.decisions import Analysis, Decisions, benjamini_hochberg, sample_ratio_p_value

__all__ = ["Comparison", "Found", "Path", "Replicated", "binomial_interval"]

_LOST = 0.001


class Path(NamedTuple):
    """One experiment as somebody who peeks sees it.

    Attributes:
        difference: treatment minus control at each look.
        low: lower bound.
        high: upper bound.
        p: p-value.
    """

    difference: Float64[np.ndarray, "L"]
    low: Float64[np.ndarray, "L"]
    high: Float64[np.ndarray, "L"]
    p: Float64[np.ndarray, "L"]


class Comparison(NamedTuple):
    """What is compared, and how.

    Attributes:
        arm: the treatment.
        place: of it among the arms.
        metric: what is counted.
        method: how.
        analysis: that method, for this metric.
    """

    arm: str
    place: int
    metric: str
    method: Method
    analysis: Analysis


class Found(NamedTuple):
    """What became of all replications under one comparison.

    Attributes:
        comparison: which.
        truth: arm minus control over the pools.
        decisions: of each replication.
        last: the same had all replications gone on to the last look.
        p: p-value at that look.
        rejected_by: how many replications had rejected at each look or before.
        path: the first replication.
    """

    comparison: Comparison
    truth: float
    decisions: Decisions
    last: Decisions
    p: Float64[np.ndarray, "R"]
    rejected_by: Int64[np.ndarray, "L"]
    path: Path

    def summary(self, users: Int64[np.ndarray, "L"]) -> dict[str, Any]:
        """Figures as JSON can hold them.

        Args:
            users: who had come at each look.

        Returns:
            ``arm``, ``metric``, ``method``, ``truth``; ``rejected`` with its 95 % bounds ``low`` and ``high`` (power,
            or level where the truth is 0); ``users``, ``users_10``, ``users_90`` when it stopped (median and deciles);
            ``difference`` when it stopped and ``bias`` against the truth; ``coverage`` of the bounds then;
            ``rejected_by`` each look.
        """
        d = self.decisions
        rejected, low, high = binomial_interval(d.rejected)
        tenth, half, most = np.quantile(users[d.look], [0.1, 0.5, 0.9], method="lower").tolist()
        return {
            "arm": self.comparison.arm, "metric": self.comparison.metric, "method": str(self.comparison.method),
            "truth": self.truth, "rejected": rejected, "low": low, "high": high,
            "users": half, "users_10": tenth, "users_90": most,
            "difference": float(d.difference.mean()), "bias": float(d.difference.mean() - self.truth),
            "coverage": float(((d.low <= self.truth) & (self.truth <= d.high)).mean()),
            "rejected_by": (self.rejected_by / d.rejected.size).tolist(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Replicated:
    """Many replications of one experiment.

    Attributes:
        users: who had come at each look.
        found: of each comparison.
        counts: units (users, blocks or clusters) of each arm at the end.
        shares: planned.
        constant: metrics left out because they are the same for all users.
    """

    users: Int64[np.ndarray, "L"]
    found: tuple[Found, ...]
    counts: Int64[np.ndarray, "R A"]
    shares: tuple[float, ...]
    constant: tuple[str, ...] = ()

    @property
    def replications(self) -> int:
        """R."""
        return len(self.counts)

    def of(self, arm: str, metric: str, method: Method) -> Found:
        """One comparison.

        Raises:
            ValueError: it was not made.
        """
        for found in self.found:
            if found.comparison[:1] + found.comparison[2:4] == (arm, metric, method):
                return found
        raise ValueError(f"{arm} was not compared on {metric} by {method}")

    def sample_ratio(self) -> Float64[np.ndarray, "R"]:
        """p-values of the check that arms have their planned shares."""
        return sample_ratio_p_value(self.counts, np.asarray(self.shares))

    def discoveries(
        self, arm: str, method: Method, q: float = 0.05, metrics: Sequence[str] = ()
    ) -> Bool[np.ndarray, "R m"]:
        """Metrics on which an arm differs, at a false discovery rate of q over them (Benjamini and Hochberg).

        p-values are those at the last look.

        Args:
            arm: the treatment.
            method: how it was compared.
            q: false discovery rate.
            metrics: which, in this order; all that were compared if empty.

        Raises:
            ValueError: a comparison is missing.
        """
        asked = tuple(metrics) or tuple(dict.fromkeys(found.comparison.metric for found in self.found))
        p = np.stack([self.of(arm, metric, method).p for metric in asked], -1)
        return benjamini_hochberg(p) <= q

    def summary(self) -> dict[str, Any]:
        """All figures as JSON can hold them: ``looks``, ``replications``, ``comparisons``, ``lost``, ``constant``."""
        return {
            "looks": self.users.tolist(),
            "replications": self.replications,
            "comparisons": [found.summary(self.users) for found in self.found],
            "lost": float((self.sample_ratio() < _LOST).mean()),
            "constant": list(self.constant),
        }


def binomial_interval(successes: Bool[np.ndarray, "R"], level: float = 0.95) -> tuple[float, float, float]:
    """A rate with the exact interval of Clopper and Pearson."""
    n, k = successes.size, int(successes.sum())
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return k / n, low, high
