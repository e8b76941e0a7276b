"""Off-line evaluation of bandits that learn: replay of a log.

The bandit goes through the rounds of a log. Where it would have shown what the log shows, it gets the reward and
learns; the other rounds are as if they had not been. Where items were drawn uniformly, the mean reward of the matched
rounds is an unbiased estimate of what the bandit earns over that many rounds (Li, Chu, Langford and Wang, WSDM 2011).
Where they were drawn with other known probabilities, each matched round is weighted by the inverse of its own, and the
weights are normalised; the bandit then learns from a sample that is not uniform, which no weight repairs.

The bootstrapped form draws, for each replication, rounds with replacement, so that its spread is an error bar, and as
many of them as let the bandit live through as many matched rounds as the log has rounds; noise on contexts keeps
repeated rounds apart (Mary, Preux and Nicol, ICML 2014).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recgym.agents.bandits.base import Bandit, BanditSpec, Context
from recgym.data.replay import ReplayRounds

__all__ = ["Replayed", "replay"]


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    Attributes:
        value: mean reward of matched rounds of each replication, weighted; NaN where none matched.
        matched: how many rounds matched.
        rounds: how many there were.
        uniform: whether the log's propensities are all the same, so that values are unbiased.
    """

    value: Float64[np.ndarray, "R"]
    matched: Int64[np.ndarray, "R"]
    rounds: int
    uniform: bool


def replay(
    bandit: Bandit[Any],
    rounds: ReplayRounds,
    generator: np.random.Generator,
    replications: int = 1,
    *,
    bootstrap: int = 0,
    jitter: float = 0.0,
) -> Replayed:
    """Let a bandit learn from a log, in several replications side by side.

    Args:
        bandit: it chooses one item a round.
        rounds: of the log; ``context`` is the user's features.
        generator: of the bandit's choices and of the bootstrap.
        replications: R; without a bootstrap they differ by the bandit's own draws only.
        bootstrap: rounds to draw with replacement for each replication; 0 goes through the log in order. About
            ``rounds.n * rounds.arms`` gives as many matched rounds as the log has rounds.
        jitter: standard deviation of noise on contexts.

    Raises:
        ValueError: the sizes are not positive.
    """
    if replications < 1 or bootstrap < 0 or jitter < 0:
        raise ValueError(
            f"replay needs at least 1 replication, found {replications}; bootstrap and jitter must not be negative"
        )
    steps, arms = bootstrap or rounds.n, rounds.arms
    state = bandit.init_state(BanditSpec(arms, rounds.context.shape[1], replications=replications))
    gained, weights = np.zeros(replications), np.zeros(replications)
    count = np.zeros(replications, np.int64)
    for step in range(steps):
        at = generator.integers(rounds.n, size=replications) if bootstrap else np.full(replications, step)
        context = _context(rounds, at, jitter, generator)
        action = bandit.choose(state, context, generator)
        matched, reward = _answer(rounds, at, action[:, 0])
        state = bandit.update(state, context, action, reward[:, None], matched[:, None])
        weight = matched / (1.0 if rounds.propensity is None else rounds.propensity[at])
        gained, weights, count = gained + weight * reward, weights + weight, count + matched
    value = np.divide(gained, weights, out=np.full(replications, np.nan), where=weights > 0)
    propensity = rounds.propensity
    uniform = propensity is None or bool(np.ptp(propensity) <= 1e-9 * propensity.max())
    return Replayed(value, count, steps, uniform)


def _context(
    rounds: ReplayRounds, at: Int64[np.ndarray, "R"], jitter: float, generator: np.random.Generator
) -> Context:
    user = rounds.context[at][:, None].astype(np.float64)
    if jitter:
        user = user + jitter * generator.standard_normal(user.shape)
    return Context(user, None, None if rounds.allowed is None else rounds.allowed[at][:, None])


def _answer(
    rounds: ReplayRounds, at: Int64[np.ndarray, "R"], action: Int64[np.ndarray, "R"]
) -> tuple[Bool[np.ndarray, "R"], Float64[np.ndarray, "R"]]:
    """Whether the log shows the item, and what it brought."""
    hit = rounds.shown[at] == action[:, None]
    return hit.any(1), (hit * rounds.reward[at]).sum(1).astype(np.float64)
