"""Weak scaling over the workers of a Ray of this machine: ``python -m benchmarks.scaling --json``.

Twice the workers get twice the work. What is timed: ``rollout``, a random policy on ``recgym/ShortVideo-v0``, blocks of
1024 users; and ``replicate``, experiments of 20,000 users, looked at every 100 and decided by the mixture sequential
probability ratio test and its confidence sequence. Runs with one worker and with several take turns, each after one
that does not count and in which the workers start. Every process has one thread of PyTorch. ``scaling`` is work per
second over that of one worker; the aim is 1.7 with two. ``bare`` is what the machine itself allows: the same rollouts
in processes that know nothing of one another and return nothing, so many of them over one. ``result_bytes`` is what
workers send back for a million units, ``setup_bytes`` what is sent once to each machine, both as they are packed for
the object store.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import cloudpickle
import numpy as np
import torch

from benchmarks.measure import finish, machine, options
from recgym.abtest import Method, Pools, pools_of, replicate
from recgym.abtest.blocks import BLOCK as REPLICATIONS
from recgym.agents import RandomPolicy
from recgym.envs import Task, make_task
from recgym.evaluation import action_spec, rollout
from recgym.evaluation.rollout import BLOCK as USERS
from recgym.scale import RayWorkers, connected
from recgym.workers import Processes, Workers

__all__ = ["AIM", "Scaling", "bare", "main", "run"]

AIM = 1.7
_EXPERIMENT, _EVERY = 20_000, 100


@dataclass(frozen=True)
class Scaling:
    """Speeds of one kind of work with one worker and with several, from runs in turn.

    Attributes:
        what: kind of work.
        unit: what is counted.
        workers: of the several.
        blocks: pieces of work for each worker.
        alone: units per second with one worker, of each run.
        together: with several.
        per_worker: median of the latter over the workers.
        result_bytes: sent back for a million units.
        setup_bytes: sent once to each machine.
        min: smallest ratio of a pair of runs.
        median: over pairs.
        max: largest.
    """

    what: str
    unit: str
    workers: int
    blocks: int
    alone: list[float]
    together: list[float]
    per_worker: float
    result_bytes: float
    setup_bytes: int
    min: float
    median: float
    max: float


@dataclass
class _Weighed:
    """Workers whose results are weighed on the way."""

    workers: Workers
    setup: int = 0
    results: int = 0

    def map(self, work: Callable[..., Any], setup: Any, pieces: Iterable[Any]) -> Generator[Any, None, None]:
        self.setup = len(cloudpickle.dumps((work, setup)))
        for made in self.workers.map(work, setup, pieces):
            self.results += len(cloudpickle.dumps(made))
            yield made


def run(workers: int, seconds: float, repeats: int) -> list[Scaling]:
    """Both kinds of work.

    One worker and several have a Ray of their own each time: in a larger one, a worker that rests is stopped after a
    second, and to start another takes as long as it takes to import PyTorch.

    Args:
        workers: of the several.
        seconds: of a run, about; decides how many pieces of work there are for each worker.
        repeats: pairs of runs.
    """
    task, draw = _world(), np.random.default_rng(0)
    pools = pools_of(draw.normal(0.0, 1.0, USERS), draw.normal(0.02, 1.0, USERS))
    kinds = [
        _Kind("rollout", "user-steps", lambda some, count: _rollout(task, some, count)),
        _Kind("replicate", "users", lambda some, count: _replicate(pools, some, count)),
    ]
    for _ in range(repeats):
        for count in (1, workers):
            with connected("auto", count):
                for kind in kinds:
                    kind.time(count, seconds)
    return [kind.scaling(workers) for kind in kinds]


class _Kind:
    """A kind of work, and how fast it was done."""

    def __init__(self, what: str, unit: str, work: Callable[[Workers, int], int]) -> None:
        self.what, self.unit, self.work = what, unit, work
        self.blocks, self.result_bytes, self.setup_bytes = 0, 0.0, 0
        self.speeds: dict[int, list[float]] = {}

    def time(self, workers: int, seconds: float) -> None:
        """One run, all workers having begun before it; the first decides how much a run does."""
        weighed = _Weighed(RayWorkers())
        units = self.work(weighed, 4 * workers)
        self.result_bytes, self.setup_bytes = 1e6 * weighed.results / units, weighed.setup
        if not self.blocks:
            start = time.perf_counter()
            self.work(RayWorkers(), 4)
            self.blocks = max(round(4 * seconds / (time.perf_counter() - start)), 1)
        start = time.perf_counter()
        done = self.work(RayWorkers(), workers * self.blocks)
        self.speeds.setdefault(workers, []).append(done / (time.perf_counter() - start))

    def scaling(self, workers: int) -> Scaling:
        """What the runs say."""
        alone, together = self.speeds[1], self.speeds[workers]
        ratios = [several / one for one, several in zip(alone, together, strict=True)]
        return Scaling(
            self.what, self.unit, workers, self.blocks, alone, together, statistics.median(together) / workers,
            self.result_bytes, self.setup_bytes, min(ratios), statistics.median(ratios), max(ratios),
        )  # fmt: skip


def bare(count: int, seconds: float, repeats: int) -> list[float]:
    """User-steps per second of so many processes over those of one, one ratio a pair of runs.

    Args:
        count: of processes.
        seconds: of a run.
        repeats: pairs of runs.
    """

    def speed(processes: int) -> float:
        command = [sys.executable, "-m", "benchmarks.scaling", "--alone", str(seconds)]
        pipes = subprocess.PIPE
        running = [subprocess.Popen(command, stdin=pipes, stdout=pipes, text=True) for _ in range(processes)]
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()  # ready
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return sum(float(one.communicate()[0]) for one in running)

    return [speed(count) / speed(1) for _ in range(repeats)]


def _alone(seconds: float) -> None:
    """One of these processes: says that it is ready, begins when it is told to, and prints its speed."""
    torch.set_num_threads(1)
    task, done = _world(), 0
    _rollout(task, Processes(1), 1)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += _rollout(task, Processes(1), 1)
    print(done / (time.perf_counter() - start))


def _world() -> Task:
    return make_task("recgym/ShortVideo-v0", {"num_candidates": 10})


def _rollout(task: Task, workers: Workers, blocks: int) -> int:
    """User-steps; one block a seed, so that all are of one size."""
    played = rollout(RandomPolicy(action_spec(task)), task, users=USERS, seeds=range(blocks), workers=workers)
    return int(played.episodes.length.sum())


def _replicate(pools: Pools, workers: Workers, blocks: int) -> int:
    looks = range(_EVERY, _EXPERIMENT + 1, _EVERY)
    methods = (Method.MSPRT, Method.CONFIDENCE_SEQUENCE)
    replicate(pools, looks, blocks * REPLICATIONS, methods=methods, workers=workers)
    return blocks * REPLICATIONS * _EXPERIMENT


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/scaling.json``."""
    parser = options("scaling", __doc__)
    parser.add_argument("--workers", type=int, default=2, help="how many are compared with one")
    parser.add_argument("--alone", type=float, metavar="SECONDS", help=argparse.SUPPRESS)  # see :func:`bare`
    args = parser.parse_args(arguments)
    if args.alone:
        _alone(args.alone)
        return 0
    torch.set_num_threads(1)
    seconds, repeats = (0.5, 2) if args.quick else (10.0, 5)
    rows = run(args.workers, seconds, repeats)
    free = sorted(bare(args.workers, seconds, repeats))
    body = machine(("recgym", "numpy", "torch", "ray")) | {
        "aim": AIM,
        "rows": [asdict(row) for row in rows],
        "bare": free,
    }
    said = f"bare processes, {args.workers} over one: {statistics.median(free):.2f} ({free[0]:.2f} to {free[-1]:.2f})"
    return finish("scaling", body, args, f"{_table(rows)}\n{said}")


def _table(rows: list[Scaling]) -> str:
    lines = [f"{'what':10} {'unit':>10} {'workers':>8} {'a worker':>14} {'KB / million':>13} {'scaling':>22}"]
    lines += [
        f"{r.what:10} {r.unit:>10} {r.workers:8} {r.per_worker:12,.0f}/s {r.result_bytes / 1e3:13.1f} "
        f"{r.min:8.2f} {r.median:6.2f} {r.max:6.2f}"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
