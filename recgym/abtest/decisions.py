"""From p-values at looks to decisions: when an experiment stops, several metrics at once, and checks of the split."""

from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from recgym.abtest.looks import Looks

__all__ = ["Analysis", "Decisions", "benjamini_hochberg", "decide", "sample_ratio_p_value"]


@runtime_checkable
class Analysis(Protocol):
    """A way to tell whether two arms differ.

    ``peeking`` says whether its level holds over all looks; where it does not, only the last look counts.
    """

    peeking: ClassVar[bool]

    @property
    def alpha(self) -> float:
        """Level."""
        ...

    def p_values(self, looks: Looks) -> Float64[np.ndarray, "R L"]:
        """Two-sided p-value at each look."""
        ...

    def interval(self, looks: Looks) -> tuple[Float64[np.ndarray, "R L"], Float64[np.ndarray, "R L"]]:
        """Bounds of the difference at each look."""
        ...


class Decisions(NamedTuple):
    """What became of each replication.

    Attributes:
        rejected: whether a difference was found.
        look: the look at which the experiment stopped: the first one that rejects, or the last.
        difference: treatment minus control when it stopped.
        low: lower bound then.
        high: upper bound then.
    """

    rejected: Bool[np.ndarray, "R"]
    look: Int64[np.ndarray, "R"]
    difference: Float64[np.ndarray, "R"]
    low: Float64[np.ndarray, "R"]
    high: Float64[np.ndarray, "R"]


def decide(analysis: Analysis, looks: Looks, *, peek: bool | None = None) -> Decisions:
    """Stop each replication at the first look that rejects.

    Args:
        analysis: gives p-values and bounds.
        looks: what was seen.
        peek: whether every look may stop the experiment; as the analysis allows if None. True with an analysis that
            does not allow it shows what peeking does.
    """
    p = analysis.p_values(looks)
    rejects = p <= analysis.alpha
    if not (analysis.peeking if peek is None else peek):
        rejects[:, :-1] = False
    rejected = np.asarray(rejects.any(1))
    look = np.where(rejected, rejects.argmax(1), p.shape[1] - 1)
    rows = np.arange(len(p))
    low, high = analysis.interval(looks)
    return Decisions(rejected, look, looks.difference[rows, look], low[rows, look], high[rows, look])


def benjamini_hochberg(p_values: Float64[np.ndarray, "*R m"]) -> Float64[np.ndarray, "*R m"]:
    """Adjusted p-values of m metrics: rejecting those at most q keeps the false discovery rate at q or below.

    ``adjusted_(i) = min over j >= i of m p_(j) / j``, for independent or positively dependent metrics (Benjamini and
    Hochberg 1995).
    """
    m = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1)
    ranked = np.take_along_axis(p_values, order, -1) * m / np.arange(1, m + 1)
    ranked = np.minimum(np.minimum.accumulate(ranked[..., ::-1], axis=-1)[..., ::-1], 1.0)
    adjusted = np.empty_like(ranked)
    np.put_along_axis(adjusted, order, ranked, -1)
    return adjusted


def sample_ratio_p_value(
    counts: Int64[np.ndarray, "*R A"], shares: Float64[np.ndarray, "A"]
) -> Float64[np.ndarray, "*R"]:
    """How likely so uneven a split of users is under the planned shares: Pearson's chi-square test.

    A value below 0.001 means that users are lost in one arm, or assigned in another way than planned: the experiment
    should not be read.

    Args:
        counts: users of each arm.
        shares: planned, summing to 1.

    Raises:
        ValueError: a share is not positive, or they do not sum to 1.
    """
    if (shares <= 0).any() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"planned shares must be positive and sum to 1, found {shares.tolist()}")
    expected = counts.sum(-1, keepdims=True) * shares
    score = ((counts - expected) ** 2 / expected).sum(-1)
    return np.asarray(stats.chi2.sf(score, counts.shape[-1] - 1))
