"""Experiments that send more users to the arm that does better so far, and write down how likely each arm was.

Users come in batches; within a batch the probabilities of the arms stay as they are. All replications of a block go
from batch to batch together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64
from scipy import special

from recgym.abtest.blocks import in_blocks, joined
from recgym.abtest.pools import Pools
from recgym.seeding import make_generator
from recgym.workers import Workers

__all__ = ["AdaptiveData", "EpsilonGreedy", "Rule", "Thompson", "allocate_adaptively", "regret_curve"]

_NODES = 24


class AdaptiveData(NamedTuple):
    """What an adaptive experiment logged: sums over batches of users with the same probabilities; a batch may be one.

    Attributes:
        probability: of each arm in each batch.
        users: who got it.
        total: their outcomes, summed.
        square: their squares, summed.
    """

    probability: Float64[np.ndarray, "R T A"]
    users: Int64[np.ndarray, "R T A"]
    total: Float64[np.ndarray, "R T A"]
    square: Float64[np.ndarray, "R T A"]

    @classmethod
    def of_log(
        cls,
        values: Float64[np.ndarray, "R n"],
        arm: Int64[np.ndarray, "R n"],
        probability: Float64[np.ndarray, "R n A"],
    ) -> "AdaptiveData":
        """From a log with one row a user.

        Args:
            values: outcome of each user, in the order of arrival.
            arm: what the user got.
            probability: of every arm for that user, known before its outcome.
        """
        got = (arm[:, :, None] == np.arange(probability.shape[2])).astype(np.int64)
        return cls(probability, got, values[:, :, None] * got, values[:, :, None] ** 2 * got)


@runtime_checkable
class Rule(Protocol):
    """From what was seen so far to the probabilities of the arms."""

    def probabilities(
        self, mean: Float64[np.ndarray, "R A"], error: Float64[np.ndarray, "R A"], users: int
    ) -> Float64[np.ndarray, "R A"]:
        """How likely each arm is for the next users.

        Args:
            mean: of each arm so far.
            error: its standard error.
            users: who came so far.
        """
        ...


@dataclass(frozen=True)
class Thompson:
    """Each arm with the probability that it is the best, under normal posteriors of the means (flat priors).

    Attributes:
        decay: each arm keeps a probability of ``users ** -decay / A`` at least, as the theory of adaptive weights asks
            for (arXiv 1911.02768: a decay below 1). Less of it means less regret and intervals that need more users.
    """

    decay: float = 0.5

    def probabilities(
        self, mean: Float64[np.ndarray, "R A"], error: Float64[np.ndarray, "R A"], users: int
    ) -> Float64[np.ndarray, "R A"]:
        """See :class:`Rule`. Users are drawn from these numbers, so they are true however the integral was done."""
        best = best_probabilities(mean, error)
        least = float(max(users, 1)) ** -self.decay
        floored: np.ndarray = (1 - least) * best + least / mean.shape[1]
        return floored


@dataclass(frozen=True)
class EpsilonGreedy:
    """The best arm so far, and any arm for a share of the users.

    Attributes:
        epsilon: that share.
    """

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ValueError(f"epsilon must lie in (0, 1], found {self.epsilon}")

    def probabilities(
        self, mean: Float64[np.ndarray, "R A"], error: Float64[np.ndarray, "R A"], users: int
    ) -> Float64[np.ndarray, "R A"]:
        """See :class:`Rule`."""
        probability = np.full(mean.shape, self.epsilon / mean.shape[1])
        probability[np.arange(len(mean)), mean.argmax(1)] += 1 - self.epsilon
        return probability


def best_probabilities(
    mean: Float64[np.ndarray, "R A"], error: Float64[np.ndarray, "R A"]
) -> Float64[np.ndarray, "R A"]:
    """Probability that each arm has the largest mean, the means being normal and independent.

    In closed form for two arms, by Gauss-Hermite quadrature for more.
    """
    if mean.shape[1] == 2:
        second = special.ndtr((mean[:, 1] - mean[:, 0]) / np.maximum(np.hypot(error[:, 0], error[:, 1]), 1e-300))
        return np.stack([1 - second, second], -1)
    node, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    x = mean[:, :, None] + error[:, :, None] * node  # R A nodes
    below = special.ndtr((x[..., None] - mean[:, None, None]) / np.maximum(error[:, None, None], 1e-300))
    itself = np.eye(mean.shape[1], dtype=bool)[None, :, None]
    raw = (np.where(itself, 1.0, below).prod(-1) * weight).sum(-1)
    normalised: np.ndarray = raw / raw.sum(1, keepdims=True)
    return normalised


class _Setup(NamedTuple):
    stock: np.ndarray
    rule: Rule
    sizes: tuple[int, ...]
    seed: int


def allocate_adaptively(
    pools: Pools,
    metric: str,
    rule: Rule,
    users: int,
    replications: int,
    *,
    batches: int = 50,
    seed: int = 0,
    workers: int | Workers = 1,
) -> AdaptiveData:
    """Replications of an experiment whose allocation follows what was seen; more of the metric is better.

    Args:
        pools: what users do under each arm.
        metric: what is maximised.
        rule: how.
        users: of each experiment.
        replications: R.
        batches: T; the first one is split evenly.
        seed: root seed.
        workers: processes, or others; the result does not depend on them.

    Raises:
        ValueError: there are more batches than users.
    """
    if not 1 <= batches <= users:
        raise ValueError(f"found {batches} batches of {users} users in all, expected 1 user a batch or more")
    edges = np.linspace(0, users, batches + 1).astype(int)
    setup = _Setup(pools.column(metric), rule, tuple(np.diff(edges).tolist()), seed)
    data: AdaptiveData = joined(list(in_blocks(_block, setup, replications, workers)))
    return data


def _block(setup: _Setup, index: int, size: int) -> AdaptiveData:
    generator = make_generator(setup.seed, "adaptive", index, "numpy")
    arms, pool = setup.stock.shape
    # Outcomes are summed around their mean, so that many users keep their digits.
    centre = float(setup.stock.mean())
    flat = (setup.stock - centre).reshape(-1)
    counts, totals, squares = (np.zeros((size, arms)) for _ in range(3))
    logged: list[AdaptiveData] = []
    for batch, users in enumerate(setup.sizes):
        if batch == 0:
            probability = np.full((size, arms), 1 / arms)
        else:
            mean, error = _summaries(counts, totals, squares)
            probability = setup.rule.probabilities(mean, error, int(counts[0].sum()))
        draw = generator.random((size, users))
        arm = sum(((draw >= edge[:, None]).astype(np.int64) for edge in probability.cumsum(1).T[:-1]), np.int64(0))
        values = flat[
            np.broadcast_to(arm, draw.shape) * pool + generator.integers(pool, size=draw.shape, dtype=np.int32)
        ]
        sums = _sums(values, np.broadcast_to(arm, draw.shape), arms)
        counts, totals, squares = (old + new for old, new in zip((counts, totals, squares), sums, strict=True))
        count, total, square = sums
        square = square + 2 * centre * total + centre**2 * count
        logged.append(AdaptiveData(probability, count.astype(np.int64), total + centre * count, square))
    return AdaptiveData(*(np.stack(column, 1) for column in zip(*logged, strict=True)))


def _sums(values: np.ndarray, arm: np.ndarray, arms: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, outcomes and squares of each arm, ``[R, A]`` each."""
    got = [arm == which for which in range(arms)]
    made: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda member: member.sum(1).astype(np.float64),
        lambda member: np.einsum("rn,rn->r", values, member),
        lambda member: np.einsum("rn,rn,rn->r", values, values, member),
    ]
    count, total, square = (np.stack([of(member) for member in got], -1) for of in made)
    return count, total, square


def _summaries(counts: np.ndarray, totals: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of each arm; the spread is that of all arms together, known after a few users."""
    n = np.maximum(counts, 1)
    mean = totals / n
    within = (squares - n * mean**2).clip(0).sum(1, keepdims=True)
    variance = within / np.maximum(counts.sum(1, keepdims=True) - counts.shape[1], 1)
    return mean, np.sqrt(variance / n)


def regret_curve(data: AdaptiveData, truth: Float64[np.ndarray, "A"]) -> Float64[np.ndarray, "R T"]:
    """What all users up to each batch would have gained more under the best arm, on average.

    Args:
        data: of many replications.
        truth: mean of each arm.
    """
    lost: np.ndarray = (data.users * (truth.max() - truth)).sum(-1).cumsum(1)
    return lost
