"""Predictions of each feedback channel against what happened, beside simple baselines, row by row."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64

from recgym.data.schema import ChannelKind
from recgym.evaluation.fidelity.plain import bounds, plain
from recgym.seeding import make_generator
from recgym.simulators.learned import FittedSimulator, Predictions
from recgym.stats import (
    CalibrationBin,
    Interval,
    auc,
    auc_replicates,
    cluster_weights,
    expected_calibration_error,
    few_clusters,
    log_loss,
    log_losses,
    percentile_interval,
    rank_correlation,
    reliability_curve,
)

__all__ = ["ChannelFidelity", "Scores", "judge_channel"]


@dataclass(frozen=True)
class Scores:
    """How well one predictor foretells one channel. NaN: not defined, as the AUC of values that are all above 0.

    Attributes:
        auc: that a value is above 0 ranks before that it is not, with its interval.
        log_loss: of "the value is above 0", with its interval.
        ece: expected calibration error of "the value is above 0", 15 bins of equal mass.
        rate_ratio: predicted mean / observed mean, with its interval.
        rank_correlation: Spearman's, of predicted mean and value.
        reliability: mean prediction against mean outcome; of rates for binary channels, of values for others.
    """

    auc: Interval
    log_loss: Interval
    ece: float
    rate_ratio: Interval
    rank_correlation: float
    reliability: tuple[CalibrationBin, ...]

    def to_json(self) -> dict[str, Any]:
        """Flat numbers; null for NaN."""
        return {
            **bounds(auc=self.auc, log_loss=self.log_loss, rate_ratio=self.rate_ratio),
            **plain({"ece": self.ece, "rank_correlation": self.rank_correlation}),
            "reliability": [plain(asdict(point)) for point in self.reliability],
        }


@dataclass(frozen=True)
class ChannelFidelity:
    """One channel.

    Attributes:
        kind: how its values are to be read.
        given: the gate channel that has to be 1 for a row to count here, or None.
        n: rows.
        positives: those with a value above 0.
        scores: of the simulator.
        baselines: of the baselines ``position``, ``popularity`` and ``global``.
        auc_gain: by baseline, AUC of the simulator minus that of the baseline, with its paired interval.
        log_loss_gain: by baseline, log-loss of the baseline minus that of the simulator, with its paired interval.
    """

    kind: ChannelKind
    given: str | None
    n: int
    positives: int
    scores: Scores
    baselines: Mapping[str, Scores]
    auc_gain: Mapping[str, Interval]
    log_loss_gain: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Numbers of the simulator on top, those of the baselines below; gains above 0 favour the simulator."""
        baselines = {
            name: {
                **scores.to_json(),
                **bounds(auc_gain=self.auc_gain[name], log_loss_gain=self.log_loss_gain[name]),
            }
            for name, scores in self.baselines.items()
        }
        return {
            "kind": self.kind.value, "given": self.given, "n": self.n, "positives": self.positives,
            **self.scores.to_json(), "baselines": baselines,
        }  # fmt: skip


@dataclass(frozen=True)
class _Judged:
    scores: Scores
    auc: np.ndarray
    log_loss: np.ndarray


@dataclass(frozen=True)
class _Judge:
    """The held-out rows of one channel, and how users are resampled: the same way for every predictor."""

    kind: ChannelKind
    values: Float64[np.ndarray, "n"]
    user: Int64[np.ndarray, "n"]
    weights: Float64[np.ndarray, "replicates users"]
    level: float

    def __call__(self, positive: Float[np.ndarray, "n"], mean: Float[np.ndarray, "n"]) -> _Judged:
        """Judge one predictor by its probability of a value above 0 and its mean."""
        labels = self.values > 0
        mixed = 0 < labels.sum() < labels.size
        blank = np.full(self.weights.shape[0], np.nan)
        areas = auc_replicates(positive, labels, self.user, self.weights) if mixed else blank
        losses = self._means(log_losses(positive, labels)) if mixed else blank
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = self._means(mean) / self._means(self.values)
        observed = float(self.values.mean())
        curve = (positive, labels) if self.kind is ChannelKind.BINARY else (mean, self.values)
        scores = Scores(
            auc=percentile_interval(auc(positive, labels), areas, self.level),
            log_loss=percentile_interval(log_loss(positive, labels) if mixed else math.nan, losses, self.level),
            ece=expected_calibration_error(positive, labels) if mixed else math.nan,
            rate_ratio=percentile_interval(float(mean.mean()) / observed if observed else math.nan, ratios, self.level),
            rank_correlation=rank_correlation(mean, self.values),
            reliability=reliability_curve(*curve),
        )
        return _Judged(scores, areas, losses)

    def _means(self, values: np.ndarray) -> np.ndarray:
        """The mean of each replicate."""
        users = self.weights.shape[1]
        sums = np.bincount(self.user, weights=values, minlength=users)
        mean: np.ndarray = (self.weights @ sums) / (self.weights @ np.bincount(self.user, minlength=users))
        return mean


def judge_channel(
    predictions: Predictions, fitted: FittedSimulator, index: int, seed: int, replicates: int, level: float
) -> ChannelFidelity:
    """Judge the simulator and the baselines on the rows of one channel."""
    plan, channel = fitted.plan, fitted.schema.channels[index]
    rows = predictions.modelled[:, index]
    user, users = few_clusters(predictions.user[rows])
    generator = make_generator(seed, f"fidelity of {channel.name}", device="numpy")
    weights = cluster_weights(users, replicates, generator)
    if users < 2:
        weights = np.full_like(weights, np.nan)
    judge = _Judge(channel.kind, predictions.labels[rows, index].astype(np.float64), user, weights, level)
    model = judge(predictions.positive[rows, index], predictions.mean[rows, index])
    baselines = {
        name: judge(table[rows, index, 0], table[rows, index, 1]) for name, table in predictions.baselines.items()
    }
    return ChannelFidelity(
        kind=channel.kind,
        given=None if plan.gate in (None, index) else fitted.schema.names[plan.gate or 0],
        n=judge.values.size,
        positives=int((judge.values > 0).sum()),
        scores=model.scores,
        baselines={name: judged.scores for name, judged in baselines.items()},
        auc_gain={
            name: percentile_interval(model.scores.auc.mean - judged.scores.auc.mean, model.auc - judged.auc, level)
            for name, judged in baselines.items()
        },
        log_loss_gain={
            name: percentile_interval(
                judged.scores.log_loss.mean - model.scores.log_loss.mean, judged.log_loss - model.log_loss, level
            )
            for name, judged in baselines.items()
        },
    )
