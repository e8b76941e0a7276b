"""Several metrics at once: what may be called better, and what must not get worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from recgym.abtest.choosing import Method
from recgym.abtest.results import Found, Replicated

__all__ = ["Guardrail", "Verdicts", "verdicts"]


@dataclass(frozen=True)
class Guardrail:
    """A metric that may not get worse by more than a margin (non-inferiority).

    Attributes:
        metric: which.
        margin: how much worse is still accepted, in units of the metric, positive.
        more_is_better: whether getting less is getting worse.
    """

    metric: str
    margin: float
    more_is_better: bool = True

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"the margin of the guardrail {self.metric} must be positive, found {self.margin:g}")

    def holds(self, low: Float64[np.ndarray, "R"], high: Float64[np.ndarray, "R"]) -> Bool[np.ndarray, "R"]:
        """Whether the bounds of the difference exclude a loss of the margin or more.

        With two-sided bounds of level alpha, a metric that loses exactly the margin passes in alpha / 2 of all
        experiments at most; bounds that hold at any time may be looked at at any time.

        Args:
            low: lower bound of treatment minus control.
            high: upper bound.
        """
        return low > -self.margin if self.more_is_better else high < self.margin


class Verdicts(NamedTuple):
    """What was decided about an arm in each replication.

    Attributes:
        better: metrics that improved, in the order in which they were asked for.
        worse: metrics that lost.
        guarded: whether all guardrails hold.
        ship: whether some metric improved, none lost and all guardrails hold.
    """

    better: Bool[np.ndarray, "R m"]
    worse: Bool[np.ndarray, "R m"]
    guarded: Bool[np.ndarray, "R"]
    ship: Bool[np.ndarray, "R"]


def verdicts(
    result: Replicated,
    arm: str,
    metrics: Sequence[str],
    guardrails: Sequence[Guardrail] = (),
    *,
    method: Method = Method.FIXED,
    q: float = 0.05,
) -> Verdicts:
    """Decide about an arm from the last look of each replication.

    Metrics are tested together at a false discovery rate of q (Benjamini and Hochberg). Guardrails all have to hold, so
    they need no correction.

    Args:
        result: with a comparison of the arm by the method on every metric named.
        arm: the treatment.
        metrics: of which more is better.
        guardrails: what must not get worse.
        method: how they were compared.
        q: false discovery rate.
    """
    compared = [result.of(arm, metric, method) for metric in metrics]
    found = result.discoveries(arm, method, q, metrics)
    up = np.stack([entry.last.difference > 0 for entry in compared], -1)
    better, worse = found & up, found & ~up
    guarded = np.ones(len(found), dtype=bool)
    for guardrail in guardrails:
        entry: Found = result.of(arm, guardrail.metric, method)
        guarded &= guardrail.holds(entry.last.low, entry.last.high)
    return Verdicts(better, worse, guarded, better.any(1) & ~worse.any(1) & guarded)
