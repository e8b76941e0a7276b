"""A classifier two-sample test: can anybody tell simulated sessions from real ones?

Source: Lopez-Paz and Oquab, Revisiting classifier two-sample tests (arXiv 1610.06545).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.stats import rankdata

from recgym.evaluation.fidelity.classifiers import boosted_trees, logistic_regression
from recgym.evaluation.fidelity.features import SessionFeatures
from recgym.evaluation.fidelity.plain import bounds, plain
from recgym.seeding import make_generator
from recgym.stats import Interval, auc, auc_replicates, cluster_weights, few_clusters, percentile_interval

__all__ = ["Telltale", "TwoSample", "real_against_real", "two_sample_test"]

FOLDS = 5
_CLASSIFIERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "boosted trees": boosted_trees,
    "logistic regression": logistic_regression,
}


@dataclass(frozen=True)
class Telltale:
    """One feature of sessions by itself.

    Attributes:
        name: which.
        auc: that it is larger in a simulated session than in a real one; 0.5 tells nothing.
        real: its mean in real sessions that have it.
        simulated: its mean in simulated ones.
    """

    name: str
    auc: float
    real: float
    simulated: float


@dataclass(frozen=True)
class TwoSample:
    """How well simulated sessions can be told from real ones: an AUC of 0.5 is as good as it gets, 1 as bad.

    Attributes:
        auc: cross-validated, of the classifier that is better at it.
        classifier: which one that is.
        aucs: of each classifier.
        excess: ``auc - 0.5`` of each bootstrap replicate, for comparisons between simulators.
        telltales: the features that tell most by themselves, best first.
        sessions: real and simulated ones together.
    """

    auc: Interval
    classifier: str
    aucs: dict[str, float]
    excess: Float64[np.ndarray, "replicates"]
    telltales: tuple[Telltale, ...]
    sessions: int

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            **bounds(auc=self.auc),
            "classifier": self.classifier,
            "aucs": plain(self.aucs),
            "sessions": self.sessions,
            "telltales": [plain(vars(telltale)) for telltale in self.telltales],
        }


def two_sample_test(
    real: SessionFeatures,
    simulated: SessionFeatures,
    user: Int64[np.ndarray, "S"],
    seed: int,
    replicates: int = 400,
    level: float = 0.95,
) -> TwoSample:
    """Train classifiers to tell simulated from real sessions, and see how they do on users that they have not seen.

    Users are put into 5 folds, all their sessions of both kinds into the same. Scores are ranked within a fold, as each
    has classifiers of its own.

    Args:
        real: features of real sessions.
        simulated: features of as many simulated ones, each in place of the real one in the same row.
        user: of each row.
        seed: root seed of the folds and of the bootstrap, which resamples users.
        replicates: bootstrap replicates.
        level: confidence level of the interval.
    """
    values = np.concatenate([real.values, simulated.values])
    labels = np.arange(values.shape[0]) >= real.values.shape[0]
    return _test(SessionFeatures(real.names, values), labels, np.concatenate([user, user]), seed, replicates, level)


def real_against_real(
    real: SessionFeatures, user: Int64[np.ndarray, "S"], seed: int, replicates: int = 400, level: float = 0.95
) -> TwoSample:
    """The same test of the real sessions of one half of the users, drawn at random, against those of the other half."""
    names, index = np.unique(user, return_inverse=True)
    half = make_generator(seed, "halves", device="numpy").permutation(names.size) < names.size // 2
    return _test(real, half[index], user, seed, replicates, level)


def _test(
    features: SessionFeatures,
    labels: Bool[np.ndarray, "n"],
    user: Int64[np.ndarray, "n"],
    seed: int,
    replicates: int,
    level: float,
) -> TwoSample:
    names, index = np.unique(user, return_inverse=True)
    folds = make_generator(seed, "folds", device="numpy").permutation(names.size) % FOLDS
    filled = _filled(features.values)
    scores = {name: np.zeros(labels.size) for name in _CLASSIFIERS}
    for fold in range(FOLDS):
        out = folds[index] == fold
        if not out.any() or labels[~out].all() or not labels[~out].any():
            continue
        for name, classify in _CLASSIFIERS.items():
            scores[name][out] = rankdata(classify(filled[~out], labels[~out], filled[out])) / out.sum()
    aucs = {name: auc(score, labels) for name, score in scores.items()}
    best = max(aucs, key=lambda name: aucs[name])
    cluster, clusters = few_clusters(user)
    weights = cluster_weights(clusters, replicates, make_generator(seed, "two-sample bootstrap", device="numpy"))
    areas = auc_replicates(scores[best], labels, cluster, weights)
    return TwoSample(
        percentile_interval(aucs[best], areas, level), best, aucs, areas - 0.5, _telltales(features, labels),
        labels.size,
    )  # fmt: skip


def _filled(values: np.ndarray) -> np.ndarray:
    """The columns with their median in place of what is not there, and a column that says so where that varies."""
    missing = np.isnan(values)
    there = ~missing.all(0)
    values, missing = values[:, there], missing[:, there]
    filled = np.where(missing, np.nanmedian(values, axis=0), values)
    return np.column_stack([filled, np.unique(missing[:, missing.any(0)], axis=1)]).astype(np.float64)


def _telltales(features: SessionFeatures, labels: np.ndarray, most: int = 8) -> tuple[Telltale, ...]:
    found = []
    for name, column in zip(features.names, features.values.T, strict=True):
        has = ~np.isnan(column)
        area = auc(column[has], labels[has])
        if np.isfinite(area):
            means = (float(column[has & which].mean()) for which in (~labels, labels))
            found.append(Telltale(name, area, *means))
    return tuple(sorted(found, key=lambda telltale: -abs(telltale.auc - 0.5))[:most])
