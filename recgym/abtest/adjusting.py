"""Less noise from what was known before: CUPED and regression adjustment.

Sources: Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data" (WSDM 2013); Lin, "Agnostic notes on regression adjustments" (arXiv 1208.2301).
"""

import numpy as np
from jaxtyping import Float64, Int64

__all__ = ["cuped", "regression_adjusted"]


def cuped(values: Float64[np.ndarray, "*R n"], before: Float64[np.ndarray, "*R n"]) -> Float64[np.ndarray, "*R n"]:
    """``y - theta (x - mean x)`` with ``theta = cov(x, y) / var(x)`` over all users of both arms.

    Its difference in means estimates the same effect, with the variance cut to ``1 - corr(x, y)^2`` of what it was.

    Args:
        values: metric of each user.
        before: what was known of the user before the experiment; must not depend on the arm.
    """
    x, y = before - before.mean(-1, keepdims=True), values - values.mean(-1, keepdims=True)
    spread = (x**2).sum(-1, keepdims=True)
    theta = np.divide((x * y).sum(-1, keepdims=True), spread, out=np.zeros_like(spread), where=spread > 0)
    adjusted: np.ndarray = values - theta * x
    return adjusted


def regression_adjusted(
    values: Float64[np.ndarray, "n"], arm: Int64[np.ndarray, "n"], before: Float64[np.ndarray, "n p"]
) -> tuple[float, float]:
    """Effect and its standard error by least squares on arm, covariates and their products (Lin's estimator).

    Covariates are centred over all users, so that the coefficient of the arm is the average effect; the error is the
    sandwich of Huber and White (HC2), right for any shape of the truth.

    Args:
        values: metric of each user.
        arm: 0 for control, 1 for treatment.
        before: covariates, known before the experiment.

    Raises:
        ValueError: an arm has no more users than there are covariates.
    """
    treated = arm.astype(np.float64)
    x = before - before.mean(0)
    least = before.shape[1] + 2
    if min(treated.sum(), (1 - treated).sum()) < least:
        raise ValueError(f"each arm needs {least} users for {before.shape[1]} covariates")
    design = np.column_stack([np.ones_like(treated), treated, x, x * treated[:, None]])
    inverse = np.linalg.pinv(design.T @ design)
    coefficient = inverse @ (design.T @ values)
    residual = values - design @ coefficient
    leverage = np.clip((design @ inverse * design).sum(1), 0, 1 - 1e-9)
    meat = (design * (residual**2 / (1 - leverage))[:, None]).T @ design
    return float(coefficient[1]), float(np.sqrt((inverse @ meat @ inverse)[1, 1]))
