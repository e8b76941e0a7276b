"""Whether draws have the mean that is claimed for them."""

import numpy as np
from jaxtyping import Float64

__all__ = ["mean_gap"]

Z = 6.0
"""Standard errors allowed; by Bernstein's inequality a true claim fails once in 30 million."""
ENOUGH = 30
"""Draws that are not 0, below which the spread of a channel that is not binary is unknown and nothing is said."""
ROUNDING = 1e-5


def mean_gap(draws: Float64[np.ndarray, "n B K"], expected: Float64[np.ndarray, "B K"], *, binary: bool) -> str | None:
    """Compare claimed expectations with the means of draws, user by user and over all users.

    The second comparison finds small errors that all users share.

    Args:
        draws: n answers of each of B users at each of K positions.
        expected: what their means are claimed to be.
        binary: whether the draws are 0 or 1, so that the claim also says how far they spread.

    Returns:
        One phrase about the first claim that cannot be true, or None.
    """
    n, users = draws.shape[:2]
    mean, spread, span = draws.mean(0), draws.var(0), np.abs(draws).max()
    if binary:
        spread = np.maximum(spread, expected * (1 - expected))
    answers = (draws != 0).sum(0)
    slack = ROUNDING * (np.abs(expected) + np.abs(mean))
    bound = Z * np.sqrt(spread / n) + Z * span / n + slack
    apart = (np.abs(mean - expected) > bound) & ((answers >= ENOUGH) | binary)
    if apart.any():
        user, position = (int(i) for i in np.argwhere(apart)[0])
        return (
            f"{expected[user, position]:.5g} for user {user} at position {position}, but {n} draws have the mean "
            f"{mean[user, position]:.5g}"
        )
    shared, claimed = mean.mean(0), expected.mean(0)
    total = n * users
    bound = Z * np.sqrt(spread.mean(0) / total) + Z * span / total + slack.mean(0)
    apart = (np.abs(shared - claimed) > bound) & ((answers.sum(0) >= ENOUGH) | binary)
    if apart.any():
        position = int(np.argwhere(apart)[0, 0])
        return (
            f"{claimed[position]:.5g} over all users at position {position}, but {total} draws have the mean "
            f"{shared[position]:.5g}"
        )
    return None
