"""What to look at before believing an off-policy estimate."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import stats

from recgym.ope.base import Estimator, LoggedRounds, Weighted, shared_row

__all__ = ["Diagnostics", "diagnose", "propensity_gap", "unsupported_share", "weight_diagnostics"]

ENOUGH = 200
"""Rounds that the effective sample size should reach for intervals to hold."""
LARGE_SHARE = 0.05
"""Share of the weight that no single row should have."""
LOST = 0.01
"""Share of the target policy's actions that may be out of the log's sight."""
_DOUBT = 1e-3
_SEEN = 10


@dataclass(frozen=True)
class Diagnostics:
    """How far the log supports the value of a target policy.

    Attributes:
        n: rows (rounds, slates, episodes).
        effective_n: ``(sum w)^2 / sum w^2``, how many rows of the target policy the log is worth.
        max_weight: largest weight.
        max_share: share of all weight that the largest one has.
        mean_weight: 1 is expected, where the log sees all that the target does.
        mean_weight_z: how many standard errors it lies off 1.
        unsupported: share of the target policy's actions that the log never takes, None if not known.
        propensity_gap: by what factor the action whose logged propensities fit worst was taken more often than they
            say, None if not known.
        propensity_p: probability of such a misfit by chance, all actions considered; None if not known.
        warnings: a sentence for each reason not to trust the value; none if the log supports it.
    """

    n: int
    effective_n: float
    max_weight: float
    max_share: float
    mean_weight: float
    mean_weight_z: float
    unsupported: float | None = None
    propensity_gap: float | None = None
    propensity_p: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether nothing speaks against the value."""
        return not self.warnings

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; numbers that are not finite become null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def diagnose(estimator: Estimator[Any], data: Any) -> Diagnostics:
    """The diagnostics of one estimate, by the estimator's own weights if it has some and else by the data's.

    Args:
        estimator: of the value.
        data: rounds get the checks of support and propensities; other data (which must have ``weight`` if the
            estimator has none; of weights by step the last counts) only those of the weights.
    """
    weight = estimator.weights(data) if isinstance(estimator, Weighted) else data.weight
    weight = weight if weight.ndim == 1 else weight[:, -1]
    if not isinstance(data, LoggedRounds):
        return weight_diagnostics(weight)
    return weight_diagnostics(weight, unsupported_share(data), propensity_gap(data))


def weight_diagnostics(
    weight: Float64[np.ndarray, "n"], unsupported: float | None = None, propensity: tuple[float, float] | None = None
) -> Diagnostics:
    """Diagnostics of importance weights, one a row.

    Args:
        weight: of each row.
        unsupported: see :func:`unsupported_share`.
        propensity: see :func:`propensity_gap`.
    """
    n, total = len(weight), float(np.abs(weight).sum())
    square = float((weight**2).sum())
    effective = float(weight.sum()) ** 2 / square if square > 0 else 0.0
    largest = float(weight.max())
    share = float(np.abs(weight).max()) / total if total > 0 else float("nan")
    mean = float(weight.mean())
    error = float(weight.std(ddof=1)) / np.sqrt(n) if n > 1 else float("nan")
    z = (mean - 1) / error if error > 0 else (0.0 if abs(mean - 1) < 1e-9 else float("inf"))
    gap, p = propensity if propensity is not None else (None, None)
    warnings = (
        *_weight_warnings(n, effective, share, mean, z),
        *_support_warnings(unsupported),
        *_propensity_warnings(gap, p),
    )
    return Diagnostics(n, effective, largest, share, mean, float(z), unsupported, gap, p, warnings)


def unsupported_share(data: LoggedRounds) -> float:
    """Share of the target policy's actions that the log never takes.

    Where the logging policy is known, actions to which it gives probability 0 in their round; otherwise actions that no
    round of the log took.
    """
    if data.logging is not None:
        target, logging = data.target, data.logging
        if shared_row(target) is not None and shared_row(logging) is not None:
            target, logging = target[:1], logging[:1]
        return float((target * (logging <= 0)).sum(1).mean())
    never = np.bincount(data.action, minlength=data.target.shape[1]) == 0
    row = shared_row(data.target)
    return float(((data.target if row is None else row) @ never.astype(np.float64)).mean())


def propensity_gap(data: LoggedRounds) -> tuple[float, float] | None:
    """The action whose propensities fit worst with how often it was taken: by what factor, and how likely by chance.

    ``mean(1[a_i = a] / propensity_i)`` of each action is compared with the share of rounds in which the logging policy
    can take it. Without the logging policy that share is not known to be more than some, so that only actions taken
    too often count. Of p-values the smallest is taken, times the number of actions (Bonferroni).

    Returns:
        None if no action was taken ten times.
    """
    actions, n = data.target.shape[1], data.n
    taken = np.bincount(data.action, minlength=actions)
    inverse = 1 / data.propensity
    mean = np.bincount(data.action, weights=inverse, minlength=actions) / n
    second = np.bincount(data.action, weights=inverse**2, minlength=actions) / n
    possible = np.ones(actions)
    if data.logging is not None:
        row = shared_row(data.logging)
        possible = ((data.logging if row is None else row) > 0).mean(0)
    seen = taken >= _SEEN
    if not seen.any():
        return None
    error = np.sqrt(np.maximum(second - mean**2, 0) / n)[seen]
    apart = (mean - possible)[seen]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(np.abs(apart) < 1e-9, 0.0, apart / error)
        factor = (mean / possible)[seen]
    size = np.abs(z) if data.logging is not None else z
    worst = int(np.argmax(size))
    tails = 2 if data.logging is not None else 1
    return float(factor[worst]), float(min(1.0, tails * stats.norm.sf(size[worst]) * int(seen.sum())))


def _weight_warnings(n: int, effective: float, share: float, mean: float, z: float) -> tuple[str, ...]:
    found = []
    if effective < ENOUGH:
        found.append(
            f"the {n} rows of the log are worth {effective:.0f} of the target policy's, fewer than the {ENOUGH} that "
            "intervals need"
        )
    if share > LARGE_SHARE:
        found.append(f"a single row has {share:.0%} of the weight")
    if abs(z) > stats.norm.isf(_DOUBT / 2):
        found.append(f"the weights have mean {mean:.3g}, where 1 is expected: propensities or support are wrong")
    return tuple(found)


def _support_warnings(unsupported: float | None) -> tuple[str, ...]:
    if unsupported is None or unsupported <= LOST:
        return ()
    return (f"the log never takes {unsupported:.0%} of what the target policy does, and says nothing of what follows",)


def _propensity_warnings(gap: float | None, p: float | None) -> tuple[str, ...]:
    if gap is None or p is None or p >= _DOUBT:
        return ()
    return (f"the logged propensities are wrong: an action was taken {gap:.3g} times as often as they say",)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
