"""Temperature scaling with a bias: two numbers a logit, fitted on behaviour that training never saw.

Source: Guo et al., On calibration of modern neural networks (arXiv 1706.04599); Platt scaling is the same with the
bias.
"""

import numpy as np
from jaxtyping import Bool, Float32

__all__ = ["calibrate"]

_FEWEST = 30


def calibrate(logits: Float32[np.ndarray, "n"], labels: Bool[np.ndarray, "n"]) -> tuple[float, float]:
    """Scale and shift of a logit that minimise the log-loss, by Newton's method with a weak pull towards (1, 0).

    Args:
        logits: uncalibrated logits.
        labels: what happened.

    Returns:
        ``(1, 0)`` if there are fewer than 30 labels of either kind.
    """
    positives = int(labels.sum())
    if min(positives, labels.size - positives) < _FEWEST:
        return 1.0, 0.0
    design = np.stack([logits.astype(np.float64), np.ones(logits.size)], 1)
    start = np.array([1.0, 0.0])
    weights, pull = start.copy(), 1.0
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -40, 40)))
        gradient = design.T @ (probability - labels) + pull * (weights - start)
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + pull * np.eye(2)
        move = np.linalg.solve(curvature, gradient)
        weights = weights - move * min(1.0, 2.0 / max(float(np.abs(move).max()), 1e-12))
        if np.abs(move).max() < 1e-8:
            break
    # A negative scale would turn the ranking round; the validation tail is too small to be trusted with that.
    return (float(weights[0]), float(weights[1])) if weights[0] > 0 else (1.0, 0.0)
