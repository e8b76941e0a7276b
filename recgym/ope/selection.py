"""How well estimates of several policies serve to choose among them (Kiyohara et al., 2023)."""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float64

from recgym.stats import rank_correlation

__all__ = ["Selection", "policy_selection", "regret_at_k", "sharpe_ratio_at_k"]


@dataclass(frozen=True)
class Selection:
    """How well an estimator ranks policies.

    Attributes:
        mse: mean squared error of the values.
        spearman: rank correlation of estimated and true values; NaN for fewer than 3 policies.
        regret: best true value less the best one among the k of highest estimate, for k = 1..P.
        type_1: share of policies below the threshold that the estimates would accept; NaN if there are none.
        type_2: share of policies at or above the threshold that the estimates would refuse; NaN if there are none.
        sharpe: see :func:`sharpe_ratio_at_k`, for k = 2..P.
    """

    mse: float
    spearman: float
    regret: tuple[float, ...]
    type_1: float
    type_2: float
    sharpe: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """As a JSON object; numbers that are not finite become null."""
        found = asdict(self)
        return {key: _plain(value) for key, value in found.items()}


def regret_at_k(true: Float64[np.ndarray, "P"], estimate: Float64[np.ndarray, "P"], k: int) -> float:
    """Best true value less the best one among the k policies of highest estimate.

    Raises:
        ValueError: k is not in 1..P, or the two have different lengths.
    """
    return float(true.max() - true[_top(true, estimate, k)].max())


def sharpe_ratio_at_k(
    true: Float64[np.ndarray, "P"], estimate: Float64[np.ndarray, "P"], k: int, logging_value: float
) -> float:
    """What testing the k policies of highest estimate gains, per risk: ``(best@k - logging value) / std@k``.

    The standard deviation is that of the true values of the k policies, as all of them are tried online before the
    best is kept.

    Args:
        true: value of each policy.
        estimate: of it.
        k: policies tried, at least 2.
        logging_value: value of the logging policy.

    Returns:
        NaN if the k policies have one value.

    Raises:
        ValueError: k is not in 2..P, or the two have different lengths.
    """
    if k < 2:
        raise ValueError(f"the Sharpe ratio needs k of at least 2, found {k}")
    chosen = true[_top(true, estimate, k)]
    risk = float(chosen.std())
    return float((chosen.max() - logging_value) / risk) if risk > 0 else float("nan")


def policy_selection(
    true: Float64[np.ndarray, "P"],
    estimate: Float64[np.ndarray, "P"],
    logging_value: float,
    threshold: float | None = None,
) -> Selection:
    """All metrics of one estimator over P policies.

    Args:
        true: value of each policy.
        estimate: of it.
        logging_value: value of the logging policy.
        threshold: least value of a policy that may be used; that of the logging policy if None.
    """
    limit = logging_value if threshold is None else threshold
    policies = len(true)
    regret = tuple(regret_at_k(true, estimate, k) for k in range(1, policies + 1))
    good, accepted = true >= limit, estimate >= limit
    return Selection(
        float(((true - estimate) ** 2).mean()), rank_correlation(true, estimate), regret,
        float(accepted[~good].mean()) if (~good).any() else float("nan"),
        float((~accepted)[good].mean()) if good.any() else float("nan"),
        tuple(sharpe_ratio_at_k(true, estimate, k, logging_value) for k in range(2, policies + 1)),
    )  # fmt: skip


def _top(true: np.ndarray, estimate: np.ndarray, k: int) -> np.ndarray:
    if len(true) != len(estimate):
        raise ValueError(f"{len(true)} true values and {len(estimate)} estimates, expected as many")
    if not 1 <= k <= len(true):
        raise ValueError(f"k must be in 1..{len(true)}, found {k}")
    return np.argsort(-estimate, kind="stable")[:k]


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
