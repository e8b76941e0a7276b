"""Statistics that several layers share: rank metrics, calibration, distances between samples, intervals.

Bootstraps resample clusters (users), because rows of one user are not independent, and resample by weights: a
replicate is a vector of how often each cluster was drawn, so that a statistic of all replicates is a few matrix
products.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from scipy import sparse, stats

from recgym.types import Array

__all__ = [
    "CalibrationBin", "Interval",
    "auc", "auc_replicates", "log_loss", "log_losses", "rank_correlation",
    "expected_calibration_error", "reliability_curve",
    "kendall_tau", "ks_distance", "survival_curves", "wasserstein_distance",
    "bootstrap_mean", "cluster_weights", "few_clusters", "paired_bootstrap_mean", "percentile_interval", "t_interval",
]  # fmt: skip

_EPSILON = 1e-7
MAX_CLUSTERS = 10_000


class Interval(NamedTuple):
    """An estimate with the bounds of its confidence interval, NaN where there is too little to say.

    Attributes:
        mean: the estimate.
        low: lower bound.
        high: upper bound.
    """

    mean: float
    low: float
    high: float


def auc(scores: Float[np.ndarray, "n"], labels: Shaped[np.ndarray, "n"]) -> float:
    """Probability that a random positive has a higher score than a random negative, ties counting one half.

    By ranks: (sum of the positives' ranks - n1 (n1 + 1) / 2) / (n1 n0).

    Args:
        scores: any real scores.
        labels: positive where not 0.

    Returns:
        NaN if there are no positives or no negatives.
    """
    positive = labels != 0
    n1, n0 = int(positive.sum()), int((~positive).sum())
    if n1 == 0 or n0 == 0:
        return float("nan")
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def auc_replicates(
    scores: Float[np.ndarray, "n"],
    labels: Shaped[np.ndarray, "n"],
    cluster: Int64[np.ndarray, "n"],
    weights: Float64[np.ndarray, "replicates clusters"],
    bins: int = 500,
) -> Float64[np.ndarray, "replicates"]:
    """:func:`auc` of each bootstrap replicate, in which cluster c counts ``weights[:, c]`` times.

    Scores are put into bins of equal mass, and two scores of one bin count as tied, so that all replicates cost one
    product of a sparse [bins, clusters], with as many entries as there are rows, and [clusters, replicates]; all are
    then shifted by what the bins change in the estimate.

    Args:
        scores: any real scores.
        labels: positive where not 0.
        cluster: cluster of each row, ``0..clusters-1``.
        weights: see :func:`cluster_weights`.
        bins: bins at most; equal scores are never torn apart.
    """
    ordered = np.sort(scores)
    edges = np.unique(ordered[np.arange(bins) * ordered.size // bins])
    bin_of = np.searchsorted(edges, scores, side="right") - 1
    shape = (edges.size, weights.shape[1])
    positive = labels != 0
    everyone = np.concatenate([np.ones((1, shape[1])), weights]).T
    above, below = (
        (sparse.csr_array((np.ones(int(chosen.sum())), (bin_of[chosen], cluster[chosen])), shape=shape) @ everyone).T
        for chosen in (positive, ~positive)
    )
    lower = np.cumsum(below, axis=1) - 0.5 * below
    with np.errstate(invalid="ignore", divide="ignore"):
        value: np.ndarray = (above * lower).sum(1) / (above.sum(1) * below.sum(1))
    shifted: np.ndarray = value[1:] + (auc(scores, labels) - value[0])
    return shifted


def log_losses(probability: Float[np.ndarray, "n"], labels: Shaped[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Negative log-likelihood of each label; probabilities are kept 1e-7 away from 0 and 1."""
    p = np.clip(probability.astype(np.float64), _EPSILON, 1 - _EPSILON)
    return np.where(labels != 0, -np.log(p), -np.log1p(-p))


def log_loss(probability: Float[np.ndarray, "n"], labels: Shaped[np.ndarray, "n"]) -> float:
    """Mean negative log-likelihood of binary labels; NaN if there are none."""
    return float(log_losses(probability, labels).mean()) if labels.size else float("nan")


def rank_correlation(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"]) -> float:
    """Spearman's rank correlation; NaN if either is constant or there are fewer than 3 pairs."""
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


@dataclass(frozen=True)
class CalibrationBin:
    """One point of a reliability curve.

    Attributes:
        predicted: mean prediction in the bin.
        observed: mean of what happened.
        n: rows in the bin.
    """

    predicted: float
    observed: float
    n: int


def reliability_curve(
    predicted: Float[np.ndarray, "n"], observed: Shaped[np.ndarray, "n"], bins: int = 15
) -> tuple[CalibrationBin, ...]:
    """Mean prediction against mean outcome in bins of equal mass.

    Equal predictions are never torn apart, so there are fewer bins where predictions repeat.

    Args:
        predicted: predictions.
        observed: what happened, binary or real.
        bins: bins at most.
    """
    if predicted.size == 0:
        return ()
    order = np.argsort(predicted, kind="stable")
    p, y = predicted[order].astype(np.float64), observed[order].astype(np.float64)
    edges = np.searchsorted(p, p[np.arange(bins) * p.size // bins])
    starts = np.unique(edges)
    counts = np.diff(np.append(starts, p.size))
    means = np.add.reduceat(p, starts) / counts, np.add.reduceat(y, starts) / counts
    return tuple(CalibrationBin(float(a), float(b), int(n)) for a, b, n in zip(*means, counts, strict=True))


def expected_calibration_error(
    predicted: Float[np.ndarray, "n"], observed: Shaped[np.ndarray, "n"], bins: int = 15
) -> float:
    """Mean absolute gap between prediction and outcome over the bins of :func:`reliability_curve`, weighted by rows."""
    curve = reliability_curve(predicted, observed, bins)
    total = sum(point.n for point in curve)
    return sum(point.n * abs(point.predicted - point.observed) for point in curve) / total if total else float("nan")


def _cumulative(mass: np.ndarray) -> np.ndarray:
    total: np.ndarray = np.cumsum(mass.astype(np.float64)) / mass.sum()
    return total


def ks_distance(first: Float[np.ndarray, "n"], second: Float[np.ndarray, "n"]) -> float:
    """Kolmogorov-Smirnov distance of two distributions over 0, 1, 2, ...: largest gap between their cumulative ones.

    Args:
        first: mass (counts or probabilities) of each value.
        second: the same of the other distribution.
    """
    return float(np.abs(_cumulative(first) - _cumulative(second)).max())


def wasserstein_distance(first: Float[np.ndarray, "n"], second: Float[np.ndarray, "n"]) -> float:
    """Wasserstein-1 distance of two distributions over 0, 1, 2, ..., in steps; arguments as in :func:`ks_distance`."""
    return float(np.abs(_cumulative(first) - _cumulative(second))[:-1].sum())


def cluster_weights(
    clusters: int, replicates: int, generator: np.random.Generator
) -> Float64[np.ndarray, "replicates clusters"]:
    """How often each cluster is drawn in each bootstrap replicate: multinomial counts."""
    return generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=replicates).astype(np.float64)


def few_clusters(cluster: Int64[np.ndarray, "n"]) -> tuple[Int64[np.ndarray, "n"], int]:
    """Clusters numbered from 0, and how many there are: at most 10,000.

    Beyond that clusters are put together. Groups of independent clusters are independent too, so that bootstrapping
    them is as valid, and the weights of all replicates stay small.
    """
    names, index = np.unique(cluster, return_inverse=True)
    count = min(names.size, MAX_CLUSTERS)
    return (index % max(count, 1)).astype(np.int64), count


def survival_curves(
    time: Float64[np.ndarray, "n"],
    seen: Bool[np.ndarray, "n"],
    grid: Float64[np.ndarray, "g"],
    weights: Float64[np.ndarray, "replicates n"],
) -> Float64[np.ndarray, "replicates g"]:
    """Share that lasts beyond each time of a grid, by Kaplan and Meier, of each weighting of the rows.

    S(t) = product over event times u <= t of (1 - events at u / at risk just before u). What is censored at u counts as
    at risk at u.

    Args:
        time: when the event was, or until when none had been seen; infinity for an event that never comes.
        seen: whether the event was seen; where it was not, the row is censored at its time.
        grid: at which times to read the curve.
        weights: how often each row counts, a row of weights a replicate.
    """
    order = np.argsort(time, kind="stable")
    ordered, weighted = time[order], weights[:, order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: time.size])
    at_risk = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1][:, starts]
    events = np.add.reduceat(weighted * seen[order], starts, axis=1)
    hazard = np.divide(events, at_risk, out=np.zeros_like(events), where=at_risk > 0)
    alive = np.concatenate([np.ones((weights.shape[0], 1)), np.cumprod(1 - hazard, axis=1)], axis=1)
    curves: np.ndarray = alive[:, np.searchsorted(ordered[starts], grid, side="right")]
    return curves


def kendall_tau(
    first: Float[np.ndarray, "*replicates n"], second: Float[np.ndarray, "*replicates n"]
) -> Float64[np.ndarray, "*replicates"]:
    """Kendall's rank correlation (tau-b) along the last axis; NaN where either is constant.

    Every pair is looked at, which suits the few policies of a comparison and all its replicates at once.
    """
    above = np.triu_indices(first.shape[-1], 1)
    signs = [np.sign(values[..., above[0]] - values[..., above[1]]).astype(np.float64) for values in (first, second)]
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = np.sqrt((signs[0] ** 2).sum(-1) * (signs[1] ** 2).sum(-1))
        tau: np.ndarray = np.asarray((signs[0] * signs[1]).sum(-1) / norm)
    return tau


def percentile_interval(
    estimate: float, replicates: Float64[np.ndarray, "replicates"], level: float = 0.95
) -> Interval:
    """An estimate with the percentile interval of its replicates; no bounds if half of them are not finite."""
    finite = replicates[np.isfinite(replicates)]
    if finite.size == 0 or finite.size < replicates.size / 2:
        return Interval(estimate, float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def _cluster_sums(values: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    names, row = np.unique(cluster, return_inverse=True)
    return np.bincount(row, weights=values, minlength=names.size), np.bincount(row, minlength=names.size)


def bootstrap_mean(
    values: Float[np.ndarray, "n"],
    cluster: Int64[np.ndarray, "n"],
    generator: np.random.Generator,
    replicates: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Mean of the values, resampled by cluster; the cost hardly depends on the number of rows."""
    if values.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    sums, counts = _cluster_sums(values.astype(np.float64), cluster)
    estimate = float(sums.sum() / counts.sum())
    if sums.size < 2:
        return Interval(estimate, float("nan"), float("nan"))
    weights = cluster_weights(sums.size, replicates, generator)
    return percentile_interval(estimate, (weights @ sums) / (weights @ counts), level)


def paired_bootstrap_mean(
    first: Float[np.ndarray, "n"],
    second: Float[np.ndarray, "n"],
    cluster: Int64[np.ndarray, "n"],
    generator: np.random.Generator,
    replicates: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Mean of ``first - second``, both resampled alike."""
    return bootstrap_mean(first.astype(np.float64) - second, cluster, generator, replicates, level)


def t_interval(values: Array, level: float = 0.95) -> Interval:
    """Mean of independent values (one a seed) with Student's t interval; a single value has no bounds.

    Args:
        values: one-dimensional.
        level: confidence level.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return Interval(float(sample.mean()) if sample.size else float("nan"), float("nan"), float("nan"))
    mean, error = float(sample.mean()), float(sample.std(ddof=1) / np.sqrt(sample.size))
    half = float(stats.t.ppf((1 + level) / 2, sample.size - 1)) * error
    return Interval(mean, mean - half, mean + half)
