"""What followed each step of a log."""

import numpy as np
from jaxtyping import Float32, Float64

from recgym.data.transitions import TransitionStore

__all__ = ["discounted_returns", "episode_returns", "returns_to_go"]


def discounted_returns(store: TransitionStore, reward: Float64[np.ndarray, "n"], gamma: float) -> np.ndarray:
    """``G_t = r_t + gamma G_{t+1}`` to the end of the episode, float64 ``[n]`` in the order of ``store.steps``.

    What an episode that was cut would have earned after its last step is not known and counts as nothing.

    Args:
        store: gives the episodes.
        reward: of each step.
        gamma: discount factor.
    """
    lengths = store.lengths
    last = np.cumsum(lengths) - 1
    returns = reward.astype(np.float64).copy()
    # All episodes at once, step by step from their ends; the longest first, so that the others drop out in order.
    order = np.argsort(-lengths, kind="stable")
    last, lengths = last[order], lengths[order]
    for back in range(1, int(lengths[0])):
        at = last[: np.searchsorted(-lengths, -back)] - back
        returns[at] += gamma * returns[at + 1]
    return returns


def episode_returns(store: TransitionStore) -> np.ndarray:
    """Sum of the rewards of each episode, float64 ``[E]``."""
    reward = store.columns["reward"][store.steps].astype(np.float64)
    returns: np.ndarray = np.add.reduceat(reward, np.cumsum(store.lengths) - store.lengths)
    return returns


def returns_to_go(
    store: TransitionStore, rewards: Float64[np.ndarray, "n V"] | None = None
) -> Float32[np.ndarray, "points V"]:
    """At each point of a store, the undiscounted sums of what its step and the later ones of its episode earned.

    Args:
        store: gives the episodes; points outside of them, and closing points, get 0.
        rewards: of ``store.steps``, V kinds side by side; by default the one reward of the store.
    """
    if rewards is None:
        rewards = store.columns["reward"][store.steps].astype(np.float64)[:, None]
    total = np.concatenate([np.zeros_like(rewards[:1]), rewards.cumsum(0)])
    ends = np.cumsum(store.lengths)
    to_go = np.zeros((len(store.columns["user"]), rewards.shape[1]), np.float32)
    to_go[store.steps] = total[ends[store.episode_of_step]] - total[:-1]
    return to_go
