"""Lengths of sessions: of the log, and as the leave model has them along the same sessions."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recgym.evaluation.fidelity.plain import plain
from recgym.stats import ks_distance, wasserstein_distance

__all__ = ["SessionLength"]


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
        return {**plain(asdict(self)), "observed": list(self.observed), "simulated": list(self.simulated)}
