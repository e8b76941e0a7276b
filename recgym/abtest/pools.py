"""What each arm came to for many simulated users: the stock from which replications of an experiment are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from recgym.stats import Interval, t_interval

__all__ = ["Pools", "pools_of"]


@dataclass(frozen=True, eq=False)
class Pools:
    """Outcomes of simulated users under each arm, the control first.

    Attributes:
        arms: names.
        metrics: names.
        values: of each arm, user and metric.
        before: what was seen of each user before the experiment, under the control policy; p may be 0.
        paired: whether row i is the same user in every arm, with the same draws (common random numbers).
    """

    arms: tuple[str, ...]
    metrics: tuple[str, ...]
    values: Float64[np.ndarray, "A n m"]
    before: Float64[np.ndarray, "A n p"]
    paired: bool = False

    def __post_init__(self) -> None:
        if self.values.shape[0] != len(self.arms) or self.values.shape[2] != len(self.metrics):
            raise ValueError(
                f"found outcomes of shape {self.values.shape}, expected {len(self.arms)} arms and "
                f"{len(self.metrics)} metrics"
            )
        if len(self.arms) < 2 or len(set(self.arms)) < len(self.arms):
            raise ValueError(f"an experiment has at least two arms of different names, found {list(self.arms)}")
        if not np.isfinite(self.values).all():
            raise ValueError("outcomes must be finite")

    @property
    def users(self) -> int:
        """Simulated users of each arm."""
        return int(self.values.shape[1])

    def column(self, metric: str) -> Float64[np.ndarray, "A n"]:
        """One metric of all arms.

        Raises:
            ValueError: it was not kept.
        """
        if metric not in self.metrics:
            raise ValueError(f"there is no metric {metric!r}; there are: {', '.join(self.metrics)}")
        column: np.ndarray = np.ascontiguousarray(self.values[:, :, self.metrics.index(metric)])
        return column

    def truth(self, metric: str) -> Float64[np.ndarray, "A"]:
        """Mean of each arm: the truth of replications drawn from these users."""
        means: np.ndarray = self.column(metric).mean(1)
        return means

    def effect(self, metric: str, arm: str, level: float = 0.95) -> Interval:
        """Arm minus control over all simulated users, with a normal interval; paired if they are the same users."""
        values = self.column(metric)
        control, treated = values[0], values[self.arms.index(arm)]
        if self.paired:
            return t_interval(treated - control, level)
        first, second = t_interval(treated, level), t_interval(control, level)
        half = float(np.hypot(first.high - first.mean, second.high - second.mean))
        mean = float(first.mean - second.mean)
        return Interval(mean, mean - half, mean + half)

    def planted(self, metric: str, shift: float = 0.0, scale: float = 1.0, name: str = "planted") -> "Pools":
        """A control and one arm whose users are the control's with a known effect on one metric.

        Args:
            metric: which; others stay those of the control.
            shift: added to the metric.
            scale: factor before that.
            name: of the arm.
        """
        values = np.stack([self.values[0], self.values[0]])
        index = self.metrics.index(metric)
        values[1, :, index] = scale * values[1, :, index] + shift
        before = np.stack([self.before[0], self.before[0]])
        return replace(self, arms=(self.arms[0], name), values=values, before=before, paired=True)

    def adjusted(self) -> "Pools":
        """CUPED with the slopes of the control's users, which are known before an experiment starts.

        Each metric loses what least squares on the covariates foretells of it. The slopes are the same for all users of
        all arms, so differences in means stay unbiased, at any look.

        Raises:
            ValueError: nothing was seen before the experiment.
        """
        p = self.before.shape[2]
        if p == 0:
            raise ValueError("these users were not seen before the experiment; simulate them with a pre-period")
        centred = self.before - self.before.reshape(-1, p).mean(0)
        control = centred[0] - centred[0].mean(0)
        slopes = np.linalg.lstsq(control, self.values[0] - self.values[0].mean(0), rcond=None)[0]
        return replace(self, values=self.values - centred @ slopes)


def pools_of(control: Float64[np.ndarray, "n"], treatment: Float64[np.ndarray, "n"], metric: str = "value") -> Pools:
    """Pools of one metric from two samples of users.

    Args:
        control: outcomes of users under control.
        treatment: of as many users under treatment.
        metric: its name.
    """
    values = np.stack([control, treatment])[:, :, None].astype(np.float64)
    return Pools(("control", "treatment"), (metric,), values, np.zeros((2, control.size, 0)))


def stacked(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arms side by side, cut to the fewest users of any: users are exchangeable, so none is preferred."""
    fewest = min(len(part) for part in parts)
    return np.stack([part[:fewest] for part in parts])
