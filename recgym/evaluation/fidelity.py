"""How far a fitted simulator can be trusted: held against behaviour that it has not seen, beside simple baselines."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from recgym.data.schema import ChannelKind, InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.learned import FittedSimulator, Predictions, predict
from recgym.stats import (
    CalibrationBin,
    Interval,
    auc,
    auc_replicates,
    cluster_weights,
    expected_calibration_error,
    ks_distance,
    log_loss,
    log_losses,
    percentile_interval,
    rank_correlation,
    reliability_curve,
    wasserstein_distance,
)

__all__ = ["ChannelFidelity", "FidelityReport", "Scores", "SessionLength", "check_fidelity"]

MAX_ECE = 0.03


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
        flat: dict[str, Any] = {}
        for name in ("auc", "log_loss", "rate_ratio"):
            value: Interval = getattr(self, name)
            flat |= {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high}
        flat |= {"ece": self.ece, "rank_correlation": self.rank_correlation}
        return {**_plain(flat), "reliability": [_plain(asdict(point)) for point in self.reliability]}


@dataclass(frozen=True)
class ChannelFidelity:
    """One channel.

    Attributes:
        kind: how its values are to be read.
        given: the gate channel that has to be 1 for a row to count here, or None.
        n: rows.
        scores: of the simulator.
        baselines: of the baselines ``position``, ``popularity`` and ``global``.
        auc_gain: by baseline, AUC of the simulator minus that of the baseline, with its paired interval.
        log_loss_gain: by baseline, log-loss of the baseline minus that of the simulator, with its paired interval.
    """

    kind: ChannelKind
    given: str | None
    n: int
    scores: Scores
    baselines: Mapping[str, Scores]
    auc_gain: Mapping[str, Interval]
    log_loss_gain: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        """Numbers of the simulator on top, those of the baselines below; gains above 0 favour the simulator."""
        baselines = {}
        for name, scores in self.baselines.items():
            gains = {"auc_gain": self.auc_gain[name], "log_loss_gain": self.log_loss_gain[name]}
            flat = {
                key: value
                for gain, interval in gains.items()
                for key, value in (
                    (gain, interval.mean),
                    (f"{gain}_low", interval.low),
                    (f"{gain}_high", interval.high),
                )
            }
            baselines[name] = {**scores.to_json(), **_plain(flat)}
        return {
            "kind": self.kind.value, "given": self.given, "n": self.n, **self.scores.to_json(), "baselines": baselines,
        }  # fmt: skip


@dataclass(frozen=True)
class SessionLength:
    """Lengths of sessions, in steps, in the log and as the leave model has it.

    Both come from hazards: the share of sessions of at least t steps that end at t, and the mean predicted
    probability of that. The model is asked along the logged sessions (teacher forcing), so that only leaving is
    judged here and not the choice of items. What the model lets live beyond the longest logged session is put at one
    more step.

    Attributes:
        sessions: held-out sessions, seen from their first step to their end.
        observed: sessions by length; entry i counts those of i steps.
        simulated: the same as the model has it.
        observed_mean: mean length.
        simulated_mean: the same as the model has it.
        ks: Kolmogorov-Smirnov distance.
        wasserstein: Wasserstein-1 distance, in steps.
    """

    sessions: int
    observed: tuple[float, ...]
    simulated: tuple[float, ...]
    observed_mean: float
    simulated_mean: float
    ks: float
    wasserstein: float

    @classmethod
    def of(
        cls, step_index: Int64[np.ndarray, "S"], leave: Float64[np.ndarray, "S"], last: Bool[np.ndarray, "S"]
    ) -> "SessionLength":
        """From the exposures of whole sessions: place in the session from 0, predicted and actual end."""
        longest = int(step_index.max()) + 1
        at_risk = np.bincount(step_index, minlength=longest)
        hazard = np.bincount(step_index, weights=leave, minlength=longest) / at_risk
        alive = np.concatenate([[1.0], np.cumprod(1 - hazard)])
        simulated = np.concatenate([[0.0], alive[:-1] * hazard, alive[-1:]]) * at_risk[0]
        observed = np.concatenate([[0], np.bincount(step_index[last], minlength=longest), [0]]).astype(np.float64)
        lengths = np.arange(longest + 2)
        return cls(
            int(at_risk[0]), tuple(observed.tolist()), tuple(simulated.tolist()),
            float(observed @ lengths / observed.sum()), float(simulated @ lengths / simulated.sum()),
            ks_distance(observed, simulated), wasserstein_distance(observed, simulated),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {**_plain(asdict(self)), "observed": list(self.observed), "simulated": list(self.simulated)}


@dataclass(frozen=True)
class FidelityReport:
    """What a check found.

    Attributes:
        channels: by name.
        primary: the channel that the gate looks at.
        session_length: None if no leave model was learned or no whole session was held out.
        leave_auc: AUC of the leave head, NaN likewise.
        failures: why the gate is not passed; empty if it is.
        notes: what was evaluated.
    """

    channels: Mapping[str, ChannelFidelity]
    primary: str
    session_length: SessionLength | None
    leave_auc: float
    failures: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the gate is passed."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold; null for what is not defined."""
        length = self.session_length
        return {
            "channels": {name: channel.to_json() for name, channel in self.channels.items()},
            "primary": self.primary,
            "session_length": None if length is None else {**length.to_json(), **_plain({"leave_auc": self.leave_auc})},
            "passed": self.passed,
            "failures": list(self.failures),
            "notes": list(self.notes),
        }


def check_fidelity(
    fitted: FittedSimulator, log: InteractionLog, seed: int = 0, replicates: int = 400, level: float = 0.95
) -> FidelityReport:
    """Hold a simulator against the part of a log that lies after what it was fitted to.

    Predictions are teacher-forced, see :func:`recgym.simulators.learned.predict`. Intervals resample users; those of
    gains resample simulator and baseline alike. The gate, on the primary channel: expected calibration error at most
    0.03, and an AUC not below popularity's (the paired interval of the gain does not lie below 0). Where exposures are
    imputed, they are sampled alike in the check, so that calibration is a test there too.

    Args:
        fitted: the simulator.
        log: a log with rows after the simulator's end of log; rows before serve as history.
        seed: root seed of the resampling.
        replicates: bootstrap replicates.
        level: confidence level of the intervals.

    Raises:
        ValueError: the log does not fit the simulator, or holds nothing new.
    """
    predictions = predict(fitted, log, seed)
    names = fitted.schema.names
    channels = {
        name: _channel(predictions, fitted, index, seed, replicates, level)
        for index, name in enumerate(names)
        if predictions.modelled[:, index].any()
    }
    primary = names[fitted.plan.primary]
    if primary not in channels:
        raise ValueError(f"{log.source}: channel {primary!r} has no value after the simulator's end of log")
    whole = np.isin(predictions.session, predictions.session[predictions.step_index == 0])
    length = None
    if whole.any():
        length = SessionLength.of(predictions.step_index[whole], predictions.leave[whole], predictions.last[whole])
    return FidelityReport(
        channels=channels,
        primary=primary,
        session_length=length,
        leave_auc=auc(predictions.leave, predictions.last),
        failures=_failures(primary, channels[primary]),
        notes=_notes(predictions, fitted),
    )


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


def _channel(
    predictions: Predictions, fitted: FittedSimulator, index: int, seed: int, replicates: int, level: float
) -> ChannelFidelity:
    """Judge the simulator and the baselines on the rows of one channel."""
    plan, channel = fitted.plan, fitted.schema.channels[index]
    rows = predictions.modelled[:, index]
    users, user = np.unique(predictions.user[rows], return_inverse=True)
    generator = make_generator(seed, f"fidelity of {channel.name}", device="numpy")
    weights = cluster_weights(users.size, replicates, generator)
    if users.size < 2:
        weights = np.full_like(weights, np.nan)
    judge = _Judge(channel.kind, predictions.labels[rows, index].astype(np.float64), user, weights, level)
    model = judge(predictions.positive[rows, index], predictions.mean[rows, index])
    baselines = {
        name: judge(table[rows, index, 0], table[rows, index, 1]) for name, table in predictions.baselines.items()
    }
    return ChannelFidelity(
        kind=channel.kind,
        given=None if plan.gate in (None, index) else fitted.schema.names[plan.gate or 0],
        n=user.size,
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


def _failures(name: str, channel: ChannelFidelity) -> tuple[str, ...]:
    """Why the gate is not passed; a bound that is not defined fails nothing."""
    failures = []
    if channel.scores.ece > MAX_ECE:
        failures.append(
            f"expected calibration error of {name} is {channel.scores.ece:.3f}, at most {MAX_ECE} was wanted"
        )
    gain = channel.auc_gain["popularity"]
    worst = gain.mean if math.isnan(gain.high) else gain.high
    if worst < 0:
        failures.append(
            f"AUC of {name} is {channel.scores.auc.mean:.3f}, below the {channel.baselines['popularity'].auc.mean:.3f}"
            " of item popularity"
        )
    return tuple(failures)


def _notes(predictions: Predictions, fitted: FittedSimulator) -> tuple[str, ...]:
    notes = [f"evaluated on {predictions.labels.shape[0]:,} rows of exposures after the end of the simulator's log"]
    if predictions.history_rows:
        notes.append(f"{predictions.history_rows:,} rows up to the end of the simulator's log served as history only")
    return (*notes, *fitted.report.notes)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with null for NaN and infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
