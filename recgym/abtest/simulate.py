"""The same experiment many times over, on users drawn from pools: level, power, stopping times, bias when stopping.

There is no loop over users or replications: a block of replications is drawn, summed up and decided at once. What is
drawn depends on the block only, so any number of workers gives the same result.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from recgym.abtest.allocation import Allocation, Assignment, Split, Switchback, unit_means
from recgym.abtest.blocks import in_blocks, joined
from recgym.abtest.choosing import Method, analysis_for, detectable_effect
from recgym.abtest.decisions import Analysis, Decisions, decide
from recgym.abtest.looks import looks_of, row_chunks
from recgym.abtest.outcomes import Outcome
from recgym.abtest.pools import Pools
from recgym.abtest.results import Comparison, Found, Path, Replicated
from recgym.seeding import make_generator
from recgym.workers import Workers

__all__ = ["replicate"]

_UNIT_BURN_IN = 10


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
    workers: int | Workers = 1,
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
        workers: processes, or others; the result does not depend on them. Worth it from about a minute of work on.

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
        own = np.empty(rows.shape, stock.dtype)
        # No index lies outside; to be told so would take a copy of what is taken.
        for some in row_chunks(rows.shape):
            np.take(stock.reshape(-1), drawn.arm[some] * stock.shape[1] + rows[some], out=own[some], mode="clip")
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
