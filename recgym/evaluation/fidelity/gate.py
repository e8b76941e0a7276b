"""The gate: what a simulator must come to before anybody relies on it, and what was found."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recgym.evaluation.fidelity.channels import ChannelFidelity
from recgym.evaluation.fidelity.free_run import FreeRun
from recgym.evaluation.fidelity.plain import plain
from recgym.stats import Interval

__all__ = ["GateCheck", "GateConfig", "gate_checks"]


@dataclass(frozen=True)
class GateConfig:
    """Thresholds. What has an interval fails only where the whole interval lies on the wrong side.

    Attributes:
        max_ece: expected calibration error of every channel that has enough positives.
        max_rate_ratio: predicted over observed mean of the same channels; the inverse bounds it from below.
        min_positives: held-out values above 0 (and, for a binary channel, values of 0) that a channel needs to be
            judged; the primary channel is judged in any case.
        min_auc_gain: AUC of the primary channel minus that of item popularity.
        max_session_length: Wasserstein-1 distance between the lengths of simulated and real sessions, as a share of
            the real mean.
        max_return_gap: the same for the pauses between sessions.
        max_two_sample_auc: with which a classifier tells simulated from real sessions.
    """

    max_ece: float = 0.03
    max_rate_ratio: float = 1.5
    min_positives: int = 20
    min_auc_gain: float = 0.0
    max_session_length: float = 0.25
    max_return_gap: float = 0.5
    max_two_sample_auc: float = 0.9

    def __post_init__(self) -> None:
        if not 0.5 <= self.max_two_sample_auc <= 1:
            raise ValueError(f"max_two_sample_auc must lie in [0.5, 1], found {self.max_two_sample_auc}")
        if self.max_rate_ratio < 1:
            raise ValueError(f"max_rate_ratio must be at least 1, found {self.max_rate_ratio}")
        for name in ("max_ece", "min_positives", "max_session_length", "max_return_gap"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, found {getattr(self, name)}")


@dataclass(frozen=True)
class GateCheck:
    """One check.

    Attributes:
        name: what was looked at.
        found: what it came to.
        expected: what was wanted, in words.
        passed: whether it is.
    """

    name: str
    found: Interval
    expected: str
    passed: bool

    @property
    def failure(self) -> str:
        """The check as a sentence, for one that is not passed."""
        low, high = self.found.low, self.found.high
        interval = "" if math.isnan(low) else f" ({low:.3g} to {high:.3g})"
        return f"{self.name} is {self.found.mean:.3g}{interval}, {self.expected} was wanted"

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            "check": self.name,
            **plain({"found": self.found.mean, "low": self.found.low, "high": self.found.high}),
            "expected": self.expected,
            "passed": self.passed,
        }


def gate_checks(
    config: GateConfig, channels: Mapping[str, ChannelFidelity], primary: str, free_run: FreeRun | None
) -> tuple[GateCheck, ...]:
    """All checks that can be made; a measure that is not defined is not checked.

    Args:
        config: the thresholds.
        channels: predictions of each channel.
        primary: the channel that says whether the user took an item.
        free_run: sessions simulated beside the real ones, if there were any.
    """
    checks: list[GateCheck] = []
    for name, channel in channels.items():
        if name == primary or _enough(channel, config.min_positives):
            checks += _calibration(config, name, channel)
    gain = channels[primary].auc_gain["popularity"]
    checks += _at_least(f"AUC of {primary} minus that of item popularity", gain, config.min_auc_gain)
    if free_run is not None:
        length, gap = free_run.session_length.relative, free_run.return_gap.relative
        checks += _at_most("distance of simulated session lengths over their mean", length, config.max_session_length)
        checks += _at_most("distance of simulated return gaps over their mean", gap, config.max_return_gap)
        checks += _at_most(
            "AUC of telling simulated from real sessions", free_run.two_sample.auc, config.max_two_sample_auc
        )
    return tuple(checks)


def _enough(channel: ChannelFidelity, positives: int) -> bool:
    rest = channel.n - channel.positives
    return channel.positives >= positives and (rest == 0 or rest >= positives)


def _calibration(config: GateConfig, name: str, channel: ChannelFidelity) -> Iterator[GateCheck]:
    scores = channel.scores
    ece = Interval(scores.ece, math.nan, math.nan)
    yield from _at_most(f"expected calibration error of {name}", ece, config.max_ece)
    ratio, most = scores.rate_ratio, config.max_rate_ratio
    if math.isnan(ratio.mean):
        return
    low, high = (ratio.mean, ratio.mean) if math.isnan(ratio.low) else (ratio.low, ratio.high)
    passed = low <= most and high >= 1 / most
    yield GateCheck(f"predicted / observed mean of {name}", ratio, f"{1 / most:.2g} to {most:.2g}", passed)


def _at_most(name: str, found: Interval, most: float) -> Iterator[GateCheck]:
    best = found.mean if math.isnan(found.low) else found.low
    if not math.isnan(best):
        yield GateCheck(name, found, f"at most {most:g}", best <= most)


def _at_least(name: str, found: Interval, least: float) -> Iterator[GateCheck]:
    best = found.mean if math.isnan(found.high) else found.high
    if not math.isnan(best):
        yield GateCheck(name, found, f"at least {least:g}", best >= least)
