"""One call from logged data to values with intervals and warnings."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from recgym.ope.base import Estimator
from recgym.ope.diagnostics import Diagnostics, diagnose
from recgym.ope.intervals import Bootstrap, IntervalMethod
from recgym.seeding import make_generator
from recgym.stats import Interval

__all__ = ["OPEResult", "evaluate"]


@dataclass(frozen=True)
class OPEResult:
    """The value of a target policy by one estimator, and whether to believe it.

    Attributes:
        estimator: its name.
        interval: the value (``mean``) with its bounds, NaN where there is too little to say.
        level: confidence level of the bounds.
        method: how they were made.
        diagnostics: how far the log supports the value.
    """

    estimator: str
    interval: Interval
    level: float
    method: str
    diagnostics: Diagnostics

    @property
    def value(self) -> float:
        """The estimate."""
        return self.interval.mean

    @property
    def supported(self) -> bool:
        """Whether nothing speaks against the value; the diagnostics' warnings say what does."""
        return self.diagnostics.supported

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; numbers that are not finite become null."""
        value, low, high = (number if np.isfinite(number) else None for number in self.interval)
        found = {key: item for key, item in asdict(self).items() if key in ("estimator", "level", "method")}
        return found | {"value": value, "low": low, "high": high, "diagnostics": self.diagnostics.to_json()}


def evaluate(
    data: Any,
    estimators: Sequence[Estimator[Any]],
    method: IntervalMethod | None = None,
    seed: int = 0,
    cluster: Int64[np.ndarray, "n"] | None = None,
) -> tuple[OPEResult, ...]:
    """Estimate a target policy's value.

    Args:
        data: :class:`~recgym.ope.base.LoggedRounds` or what else the estimators take.
        estimators: for these data.
        method: of the intervals; :class:`~recgym.ope.intervals.Bootstrap` if None.
        seed: of its draws.
        cluster: rows of one number are not independent (rounds of one user); all are if None.

    Returns:
        One result an estimator.

    Raises:
        ValueError: the data lack what an estimator needs, such as a model.
    """
    if cluster is not None and len(cluster) != data.n:
        raise ValueError(f"cluster has {len(cluster)} rows, the data have {data.n}")
    method = Bootstrap() if method is None else method
    generator = make_generator(seed, "off-policy evaluation", device="numpy")
    intervals = method.intervals(estimators, data, generator, cluster)
    return tuple(
        OPEResult(estimator.name, interval, method.level, method.name, diagnose(estimator, data))
        for estimator, interval in zip(estimators, intervals, strict=True)
    )
