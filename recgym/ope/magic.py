"""MAGIC: a blend of estimates that trust the log for some steps and a model thereafter.

Source: Thomas and Brunskill, "Data-Efficient Off-Policy Policy Evaluation for Reinforcement Learning" (arXiv
1604.00923), section 8. ``g_j`` is the weighted doubly robust estimate of the first j steps, and what the model says of
the rest; ``g_0`` is the direct method, ``g_T`` is WDR. Weights x on the simplex minimise ``x' (Omega + b b') x``, with
Omega the covariance of the ``g_j`` and ``b_j`` how far ``g_j`` lies outside a 50 % interval of ``g_T``.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from scipy import optimize, stats

from recgym.ope.base import Fraction, Trajectories, needed

__all__ = ["MAGIC", "step_estimates"]

_PENALTY = 1e4  # of weights that do not sum to 1, against a largest squared error of 1


def step_estimates(
    data: Trajectories, steps: np.ndarray, counts: Float64[np.ndarray, "n"] | None = None
) -> Float64[np.ndarray, "n J"]:
    """What each episode adds to ``g_j``; ``g_j`` is the mean over episodes.

    Args:
        data: with a model of values.
        steps: the js, in ``0..T``.
        counts: how often each episode counts; once if None. The mean is then weighted by them.
    """
    q, v = needed(data.q, "q"), needed(data.v, "v")
    once = np.ones(data.n) if counts is None else counts
    weight = data.weight
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.nan_to_num(weight / (once @ weight / once.sum()))
    before = np.concatenate([np.ones((data.n, 1)), weight[:, :-1]], 1)
    logged = ((weight * (data.reward - q) + before * v) * data.discount).cumsum(1)
    logged = np.concatenate([np.zeros((data.n, 1)), logged], 1)
    rest = np.concatenate([before * v * data.discount, np.zeros((data.n, 1))], 1)
    both: np.ndarray = (logged + rest)[:, steps]
    return both


@dataclass(frozen=True)
class MAGIC:
    """See the module's docstring.

    Attributes:
        blended: at most so many js, evenly spread from 0 to T.
        level: of the interval of ``g_T`` outside which a ``g_j`` counts as biased.
    """

    name: ClassVar[str] = "MAGIC"

    blended: int = 10
    level: float = 0.5

    def __post_init__(self) -> None:
        if self.blended < 2 or not 0 < self.level < 1:
            raise ValueError(f"MAGIC blends at least 2 estimates at a level in (0, 1), found {self}")

    def weights(self, data: Trajectories) -> Float64[np.ndarray, "n"]:
        """See :class:`recgym.ope.base.Weighted`."""
        last: np.ndarray = data.weight[:, -1]
        return last

    def _blend(self, data: Trajectories, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """What each episode adds to each estimate, and the weights of the estimates."""
        horizon = data.mask.shape[1]
        steps = np.unique(np.linspace(0, horizon, min(self.blended, horizon + 1)).round().astype(np.int64))
        parts = step_estimates(data, steps, counts)
        once = np.ones(data.n) if counts is None else counts
        mean = once @ parts / once.sum()
        centred = (parts - mean) * np.sqrt(once / once.sum())[:, None]
        omega = centred.T @ centred / once.sum()
        half = stats.norm.ppf(0.5 + self.level / 2) * np.sqrt(omega[-1, -1])
        bias = np.maximum(np.abs(mean - mean[-1]) - half, 0.0)
        error = omega + np.outer(bias, bias)
        return parts, _on_simplex(error)

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`."""
        parts, x = self._blend(data)
        return (Fraction(parts @ x),)

    def rerun(self, data: Trajectories, counts: Float64[np.ndarray, "R n"]) -> Float64[np.ndarray, "R"]:
        """See :class:`recgym.ope.base.Rerun`."""
        values = []
        for row in counts:
            parts, x = self._blend(data, row.astype(np.float64))
            values.append(row @ parts @ x / row.sum())
        return np.array(values)


def _on_simplex(error: Float64[np.ndarray, "J J"]) -> Float64[np.ndarray, "J"]:
    """The weights, not negative and summing to 1, that minimise ``x' error x``: least squares with a heavy last row."""
    scale = max(float(np.trace(error)), 1e-300)
    value, vector = np.linalg.eigh(error / scale)
    root = (vector * np.sqrt(np.maximum(value, 0.0))).T
    rows = np.vstack([root, np.full((1, len(error)), _PENALTY)])
    target = np.zeros(len(rows))
    target[-1] = _PENALTY
    x, _ = optimize.nnls(rows, target)
    blend: np.ndarray = x / x.sum()
    return blend
