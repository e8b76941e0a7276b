"""Returns-to-go: which rewards are summed up, and what is asked of a policy."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64

from recgym.agents.decision_transformer.rewards import columns_of, logged_quantities
from recgym.agents.offline.returns import returns_to_go
from recgym.data.transitions import Problem, TransitionStore

__all__ = ["FeedbackAndReturns", "LoggedReturns", "OneSum", "ReturnKind", "TaskReturn", "logged_returns"]

_LINEAR = 0.999


@runtime_checkable
class ReturnKind(Protocol):
    """Says which rewards are summed up, as weights of :func:`recgym.agents.decision_transformer.columns_of`."""

    parts: int
    """V, sums side by side."""

    def weights(self, store: TransitionStore) -> Float64[np.ndarray, "V C"]:
        """The weights, where they are taken from a log.

        Raises:
            ValueError: the rewards of the log are not such sums.
        """
        ...


@dataclass(frozen=True)
class TaskReturn:
    """The sum of the task's own rewards, which must be a weighted sum of feedback and days away."""

    parts = 1

    def weights(self, store: TransitionStore) -> Float64[np.ndarray, "1 C"]:
        """See :class:`ReturnKind`: by least squares, which are exact."""
        quantities = logged_quantities(store, store.steps).astype(np.float64)
        quantities[:, -1] = 0.0  # rewards are made of days, not of frequencies
        reward = store.columns["reward"][store.steps].astype(np.float64)
        weights = np.linalg.lstsq(quantities, reward, rcond=None)[0]
        missed = float(np.square(reward - quantities @ weights).sum())
        total = float(np.square(reward - reward.mean()).sum())
        if missed > (1 - _LINEAR) * total + 1e-9:
            raise ValueError(
                f"{store.problem.name}: a policy must see its rewards, and these are not weighted sums of "
                f"{', '.join(columns_of(store.problem)[:-1])}: such sums explain {1 - missed / total:.3f} of them"
            )
        row: np.ndarray = weights[None]
        return row


@dataclass(frozen=True)
class FeedbackAndReturns:
    """Two sums: of immediate feedback, and of the return frequency (DT4IER, arXiv 2404.03637).

    Attributes:
        feedback: name and weight of the channels that count; the first channel if empty.
    """

    feedback: tuple[tuple[str, float], ...] = ()
    parts = 2

    def weights(self, store: TransitionStore) -> Float64[np.ndarray, "2 C"]:
        """See :class:`ReturnKind`."""
        return _two(self.feedback, store.problem)


@dataclass(frozen=True)
class OneSum:
    """Both sums of :class:`FeedbackAndReturns` in one, each in units of its mean over the episodes of the log.

    Attributes:
        feedback: see :class:`FeedbackAndReturns`.
    """

    feedback: tuple[tuple[str, float], ...] = ()
    parts = 1

    def weights(self, store: TransitionStore) -> Float64[np.ndarray, "1 C"]:
        """See :class:`ReturnKind`."""
        both = _two(self.feedback, store.problem)
        mean = np.abs(_rewards(store, both).sum(0)) / len(store.episodes)
        total: np.ndarray = (both / np.where(mean > 0, mean, 1.0)[:, None]).sum(0, keepdims=True)
        return total


def _two(feedback: tuple[tuple[str, float], ...], problem: Problem) -> Float64[np.ndarray, "2 C"]:
    weights = np.zeros((2, len(problem.schema) + 2))
    for name, weight in feedback or ((problem.schema.names[0], 1.0),):
        weights[0, problem.schema.index(name)] = weight
    weights[1, -1] = 1.0
    return weights


def _rewards(store: TransitionStore, weights: Float64[np.ndarray, "V C"]) -> Float64[np.ndarray, "n V"]:
    rewards: np.ndarray = logged_quantities(store, store.steps).astype(np.float64) @ weights.T
    return rewards


class LoggedReturns(NamedTuple):
    """The returns of a log.

    Attributes:
        to_go: what follows each point of the log, its own step included; 0 at points of other episodes.
        episodes: of whole episodes.
    """

    to_go: Float32[np.ndarray, "points V"]
    episodes: Float64[np.ndarray, "E V"]


def logged_returns(store: TransitionStore, weights: Float64[np.ndarray, "V C"]) -> LoggedReturns:
    """Undiscounted sums of the rewards to the end of each episode."""
    rewards = _rewards(store, weights)
    whole = np.add.reduceat(rewards, np.cumsum(store.lengths) - store.lengths)
    return LoggedReturns(returns_to_go(store, rewards), whole)
