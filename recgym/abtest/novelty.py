"""Effects that wear off: what is new draws attention for a while.

The effect is looked at over the exposure of each user (steps or days since the user's first), not over the calendar,
and its trend is estimated from one slope a user, so that the days of a user need not be independent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy import stats

from recgym.evaluation.rollout import Steps

__all__ = ["EffectTrend", "Novelty", "effect_trend", "exposure_panel"]


@dataclass(frozen=True)
class Novelty:
    """An effect that decays with exposure: ``effect(d) = lasting + (first - lasting) exp(-d / fades_after)``.

    Attributes:
        first: effect at first exposure.
        lasting: what remains.
        fades_after: periods until the difference is 1/e of what it was.
    """

    first: float
    lasting: float
    fades_after: float

    def __post_init__(self) -> None:
        if not self.fades_after > 0:
            raise ValueError(f"fades_after must be positive, found {self.fades_after}")

    def effect(self, periods: int) -> Float64[np.ndarray, "D"]:
        """Effect in each period of exposure."""
        gone = np.exp(-np.arange(periods) / self.fades_after)
        effect: np.ndarray = self.lasting + (self.first - self.lasting) * gone
        return effect

    def treated(self, panel: Float64[np.ndarray, "n D"]) -> Float64[np.ndarray, "n D"]:
        """What users of the control would show with this effect."""
        shown: np.ndarray = panel + self.effect(panel.shape[1])
        return shown


class EffectTrend(NamedTuple):
    """An effect over exposure.

    Attributes:
        effect: treatment minus control in each period.
        error: its standard error.
        slope: change of the effect a period, by least squares over all periods.
        slope_error: its standard error.
        p: two-sided p-value of no change.
    """

    effect: Float64[np.ndarray, "D"]
    error: Float64[np.ndarray, "D"]
    slope: float
    slope_error: float
    p: float


def exposure_panel(steps: Steps, channel: int, periods: int, steps_each: int) -> Float64[np.ndarray, "n D"]:
    """A channel of each user, summed over periods of exposure.

    Users who have left count 0 from then on: what they no longer give is part of the effect, and leaving them out would
    compare those who stayed only.

    Args:
        steps: of a rollout that recorded them.
        channel: index of the feedback channel.
        periods: D.
        steps_each: steps of a period; what comes after the last period is left out.
    """
    users = steps.profile.shape[0]
    period = steps.step // steps_each
    kept = period < periods
    worth = steps.feedback[:, :, channel].sum(1, dtype=np.float64)
    cells = steps.user[kept] * periods + period[kept]
    panel: np.ndarray = np.bincount(cells, weights=worth[kept], minlength=users * periods).reshape(users, periods)
    return panel


def effect_trend(control: Float64[np.ndarray, "n D"], treatment: Float64[np.ndarray, "k E"]) -> EffectTrend:
    """The effect in each period of exposure, and whether it changes.

    Each user's slope over its periods is one number, so the slopes of both arms are compared like any metric (Welch).

    Args:
        control: each user's metric by period of exposure.
        treatment: the same under treatment.

    Raises:
        ValueError: the arms have different periods, fewer than two, or an arm has fewer than two users.
    """
    periods = control.shape[1]
    if periods < 2 or treatment.shape[1] != periods or min(len(control), len(treatment)) < 2:
        raise ValueError(
            f"a trend needs two users an arm and the same two periods or more, found {control.shape} and "
            f"{treatment.shape}"
        )
    day = np.arange(periods) - (periods - 1) / 2
    slopes = [panel @ day / (day @ day) for panel in (control, treatment)]
    test = stats.ttest_ind(slopes[1], slopes[0], equal_var=False)
    return EffectTrend(
        treatment.mean(0) - control.mean(0),
        np.sqrt(control.var(0, ddof=1) / len(control) + treatment.var(0, ddof=1) / len(treatment)),
        float(slopes[1].mean() - slopes[0].mean()),
        float(np.sqrt(slopes[0].var(ddof=1) / len(control) + slopes[1].var(ddof=1) / len(treatment))),
        float(test.pvalue),
    )
