"""The same experiment many times over, on users drawn from pools: level, power, stopping times, bias when stopping.

There is no loop over users or replications: a block of replications is drawn, summed up and decided at once. What is
drawn depends on the block only, so any number of workers gives the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from recgym.abtest.allocation import Allocation, Assignment, Split, Switchback, unit_means
from recgym.abtest.blocks import in_blocks, joined
from recgym.abtest.choosing import Method, analysis_for, detectable_effect
from recgym.abtest.decisions import Analysis, Decisions, benjamini_hochberg, decide, sample_ratio_p_value
from recgym.abtest.looks import looks_of
from recgym.abtest.outcomes import Outcome
from recgym.abtest.pools import Pools
from recgym.seeding import make_generator

__all__ = ["Comparison", "Found", "Path", "Replicated", "binomial_interval", "replicate"]

_UNIT_BURN_IN = 10
_LOST = 0.001


class Path(NamedTuple):
    """One experiment as somebody who peeks sees it.

    Attributes:
        difference: treatment minus control at each look.
        low: lower bound.
        high: upper bound.
        p: p-value.
    """

    difference: Float64[np.ndarray, "L"]
    low: Float64[np.ndarray, "L"]
    high: Float64[np.ndarray, "L"]
    p: Float64[np.ndarray, "L"]


class Comparison(NamedTuple):
    """What is compared, and how.

    Attributes:
        arm: the treatment.
        place: of it among the arms.
        metric: what is counted.
        method: how.
        analysis: that method, for this metric.
    """

    arm: str
    place: int
    metric: str
    method: Method
    analysis: Analysis


class Found(NamedTuple):
    """What became of all replications under one comparison.

    Attributes:
        comparison: which.
        truth: arm minus control over the pools.
        decisions: of each replication.
        last: the same had all replications gone on to the last look.
        p: p-value at that look.
        rejected_by: how many replications had rejected at each look or before.
        path: the first replication.
    """

    comparison: Comparison
    truth: float
    decisions: Decisions
    last: Decisions
    p: Float64[np.ndarray, "R"]
    rejected_by: Int64[np.ndarray, "L"]
    path: Path

    def summary(self, users: Int64[np.ndarray, "L"]) -> dict[str, Any]:
        """Figures as JSON can hold them.

        Args:
            users: who had come at each look.

        Returns:
            ``arm``, ``metric``, ``method``, ``truth``; ``rejected`` with its 95 % bounds ``low`` and ``high`` (power,
            or level where the truth is 0); ``users``, ``users_10``, ``users_90`` when it stopped (median and deciles);
            ``difference`` when it stopped and ``bias`` against the truth; ``coverage`` of the bounds then;
            ``rejected_by`` each look.
        """
        d = self.decisions
        rejected, low, high = binomial_interval(d.rejected)
        tenth, half, most = np.quantile(users[d.look], [0.1, 0.5, 0.9], method="lower").tolist()
        return {
            "arm": self.comparison.arm, "metric": self.comparison.metric, "method": str(self.comparison.method),
            "truth": self.truth, "rejected": rejected, "low": low, "high": high,
            "users": half, "users_10": tenth, "users_90": most,
            "difference": float(d.difference.mean()), "bias": float(d.difference.mean() - self.truth),
            "coverage": float(((d.low <= self.truth) & (self.truth <= d.high)).mean()),
            "rejected_by": (self.rejected_by / d.rejected.size).tolist(),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Replicated:
    """Many replications of one experiment.

    Attributes:
        users: who had come at each look.
        found: of each comparison.
        counts: units (users, blocks or clusters) of each arm at the end.
        shares: planned.
        constant: metrics left out because they are the same for all users.
    """

    users: Int64[np.ndarray, "L"]
    found: tuple[Found, ...]
    counts: Int64[np.ndarray, "R A"]
    shares: tuple[float, ...]
    constant: tuple[str, ...] = ()

    @property
    def replications(self) -> int:
        """R."""
        return len(self.counts)

    def of(self, arm: str, metric: str, method: Method) -> Found:
        """One comparison.

        Raises:
            ValueError: it was not made.
        """
        for found in self.found:
            if found.comparison[:1] + found.comparison[2:4] == (arm, metric, method):
                return found
        raise ValueError(f"{arm} was not compared on {metric} by {method}")

    def sample_ratio(self) -> Float64[np.ndarray, "R"]:
        """p-values of the check that arms have their planned shares."""
        return sample_ratio_p_value(self.counts, np.asarray(self.shares))

    def discoveries(
        self, arm: str, method: Method, q: float = 0.05, metrics: Sequence[str] = ()
    ) -> Bool[np.ndarray, "R m"]:
        """Metrics on which an arm differs, at a false discovery rate of q over them (Benjamini and Hochberg).

        p-values are those at the last look.

        Args:
            arm: the treatment.
            method: how it was compared.
            q: false discovery rate.
            metrics: which, in this order; all that were compared if empty.

        Raises:
            ValueError: a comparison is missing.
        """
        asked = tuple(metrics) or tuple(dict.fromkeys(found.comparison.metric for found in self.found))
        p = np.stack([self.of(arm, metric, method).p for metric in asked], -1)
        return benjamini_hochberg(p) <= q

    def summary(self) -> dict[str, Any]:
        """All figures as JSON can hold them: ``looks``, ``replications``, ``comparisons``, ``lost``, ``constant``."""
        return {
            "looks": self.users.tolist(),
            "replications": self.replications,
            "comparisons": [found.summary(self.users) for found in self.found],
            "lost": float((self.sample_ratio() < _LOST).mean()),
            "constant": list(self.constant),
        }


class _Setup(NamedTuple):
    """What all blocks share."""

    pools: np.ndarray  # metrics, arms, users
    metrics: tuple[str, ...]
    users: int
    at: np.ndarray
    allocation: Allocation
    outcome: Outcome | None
    comparisons: tuple[Comparison, ...]
    seed: int


class _Block(NamedTuple):
    """Of one block of replications: decisions, last p, counts by look and the first path of each comparison."""

    decisions: list[Decisions]
    last: list[Decisions]
    p: list[np.ndarray]
    rejected_by: list[np.ndarray]
    paths: list[Path]
    counts: np.ndarray


def replicate(
    pools: Pools,
    looks: Sequence[int],
    replications: int,
    *,
    allocation: Allocation | None = None,
    methods: Sequence[Method] = (Method.FIXED,),
    metrics: Sequence[str] = (),
    outcome: Outcome | None = None,
    effect: float | None = None,
    alpha: float = 0.05,
    seed: int = 0,
    workers: int = 1,
) -> Replicated:
    """Run an experiment many times on users drawn from pools, with replacement.

    Args:
        pools: what users do under each arm.
        looks: users at each look, ascending; the last is the size of the experiment.
        replications: R.
        allocation: who gets which arm; equal shares of users by default.
        methods: how arms are compared with the control.
        metrics: on which; all by default. Those that are the same for all users are left out.
        outcome: how users influence one another; None if they do not.
        effect: to which always-valid methods are tuned, in units of each metric; the effect that a fixed horizon of
            this size finds with a power of 80 % if None.
        alpha: level.
        seed: root seed.
        workers: processes; worth it from about a minute of work on.

    Raises:
        ValueError: looks do not ascend, shares do not match the arms, no metric varies, or a group sequential test is
            asked for with more than two arms.
    """
    if not looks or looks[0] < 2 or any(b <= a for a, b in pairwise(looks)):
        raise ValueError(f"looks must ascend from 2 users or more, found {list(looks)[:10]}")
    count = len(pools.arms)
    design = allocation or Split((1 / count,) * count)
    if len(design.shares) != count:
        raise ValueError(f"found shares of {len(design.shares)} arms, expected {count}: {', '.join(pools.arms)}")
    if count > 2 and {Method.OBRIEN_FLEMING, Method.POCOCK} & set(methods):
        raise ValueError("group sequential tests plan the users of two arms: compare two arms at a time")
    asked = tuple(metrics) or pools.metrics
    varying = tuple(metric for metric in asked if pools.column(metric).std() > 0)
    if not varying:
        raise ValueError(f"every user has the same {', '.join(asked)}: there is nothing to compare")
    users, at, size = _units(design, np.asarray(looks, dtype=np.int64))
    comparisons = tuple(
        Comparison(arm, index, metric, method, _analysis(pools, metric, index, method, design, at, size, effect, alpha))
        for metric in varying
        for index, arm in enumerate(pools.arms[1:], 1)
        for method in methods
    )
    stock = np.stack([pools.column(metric) for metric in varying])
    setup = _Setup(stock, varying, int(looks[-1]), at, design, outcome, comparisons, seed)
    blocks = list(in_blocks(_block, setup, replications, workers))
    found = tuple(
        Found(
            comparison, float(pools.truth(comparison.metric)[comparison.place] - pools.truth(comparison.metric)[0]),
            joined([block.decisions[i] for block in blocks]), joined([block.last[i] for block in blocks]),
            np.concatenate([block.p[i] for block in blocks]),
            np.sum([block.rejected_by[i] for block in blocks], axis=0), blocks[0].paths[i],
        )
        for i, comparison in enumerate(comparisons)
    )  # fmt: skip
    counts = np.concatenate([block.counts for block in blocks])
    return Replicated(users, found, counts, design.shares, tuple(metric for metric in asked if metric not in varying))


def _units(design: Allocation, looks: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Users at each look, units complete then, and users of a unit; looks without a new unit are dropped."""
    unit = design.assign(np.random.default_rng(0), 1, int(looks[-1])).unit
    if unit is None:
        return looks, looks, 1.0
    last = np.zeros(int(unit.max()) + 1, dtype=np.int64)
    np.maximum.at(last, unit, np.arange(1, unit.size + 1))
    complete = np.searchsorted(np.sort(last), looks, side="right")
    new = (complete >= 2) & (np.diff(complete, prepend=0) > 0)
    if not new.any():
        raise ValueError(f"fewer than 2 units are complete after {int(looks[-1])} users")
    return looks[new], complete[new], unit.size / last.size


def _analysis(
    pools: Pools,
    metric: str,
    index: int,
    method: Method,
    design: Allocation,
    at: np.ndarray,
    size: float,
    effect: float | None,
    alpha: float,
) -> Analysis:
    sd = float(pools.column(metric)[0].std()) or float(pools.column(metric).std())
    shares = design.shares
    least = detectable_effect(sd / size**0.5, at[-1] * shares[0], at[-1] * shares[index], alpha)
    looks = tuple(int(look) for look in at)
    if size > 1:  # clusters and blocks are few
        return analysis_for(method, looks, effect or least, alpha, _UNIT_BURN_IN)
    return analysis_for(method, looks, effect or least, alpha)


def _block(setup: _Setup, index: int, size: int) -> _Block:
    generator = make_generator(setup.seed, "replications", index, "numpy")
    drawn = setup.allocation.assign(generator, size, setup.users)
    count = setup.pools.shape[2]
    rows = generator.integers(count, size=drawn.arm.shape, dtype=np.int32)
    block = _Block([], [], [], [], [], np.zeros((0, 0), dtype=np.int64))
    units = drawn.arm
    for metric, stock in zip(setup.metrics, setup.pools, strict=True):
        values = _observed(stock, rows, drawn, setup.outcome, generator)
        if drawn.unit is not None:
            burn = setup.allocation.burn if isinstance(setup.allocation, Switchback) else 0
            values, units = unit_means(values, drawn.arm, drawn.unit, burn)
        for treated in range(1, len(stock)):
            # Other arms count as neither; with two arms nothing needs to be renamed.
            pair = units if len(stock) == 2 else np.where(units == treated, 1, np.where(units == 0, 0, -1))
            looks = looks_of(values, pair, setup.at)
            for comparison in setup.comparisons:
                if comparison.metric == metric and comparison.place == treated:
                    _decide(block, comparison, looks)
    counts = np.stack([(units == arm).sum(1) for arm in range(setup.pools.shape[1])], -1)
    return block._replace(counts=counts)


def _observed(
    stock: np.ndarray, rows: np.ndarray, drawn: Assignment, outcome: Outcome | None, generator: np.random.Generator
) -> np.ndarray:
    """What the drawn users show: of their own arm, or of all arms through a model of how they influence one another."""
    if outcome is None:
        own: np.ndarray = np.take(stock.reshape(-1), drawn.arm * stock.shape[1] + rows)
        return own
    return outcome.observed(stock[:, rows], drawn.arm, generator)


def _decide(block: _Block, comparison: Comparison, looks: Any) -> None:
    analysis = comparison.analysis
    decisions = decide(analysis, looks, peek=comparison.method.peek)
    p = analysis.p_values(looks)
    low, high = analysis.interval(looks)
    block.decisions.append(decisions)
    block.last.append(
        Decisions(
            p[:, -1] <= analysis.alpha,
            np.full(len(p), p.shape[1] - 1),
            looks.difference[:, -1],
            low[:, -1],
            high[:, -1],
        )
    )
    block.p.append(p[:, -1])
    stopped = np.bincount(decisions.look[decisions.rejected], minlength=p.shape[1])
    block.rejected_by.append(stopped.cumsum())
    block.paths.append(Path(looks.difference[0], low[0], high[0], p[0]))


def binomial_interval(successes: Bool[np.ndarray, "R"], level: float = 0.95) -> tuple[float, float, float]:
    """A rate with the exact interval of Clopper and Pearson."""
    n, k = successes.size, int(successes.sum())
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return k / n, low, high
