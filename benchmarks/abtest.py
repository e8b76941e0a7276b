"""Speed of A/B tests on simulated users: ``python -m benchmarks.abtest --json``.

What is timed: ``simulate``, one pass that lets two arms serve the simulated users from which experiments are drawn (a
random policy on ``recgym/ShortVideo-v0``); and ``replicate``, 10,000 experiments of 20,000 users, looked at every 100
and decided by the mixture sequential probability ratio test and its confidence sequence. The processes are started
inside the timed part. The aim is under two minutes for the experiments on two cores.
"""

import sys
import time
from dataclasses import asdict, dataclass

import torch

from benchmarks.measure import finish, machine, options
from recgym.abtest import Method, Pools, pick_metrics, replicate, simulate_arms
from recgym.agents import RandomPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec

__all__ = ["AIM_S", "Timing", "main", "run"]

AIM_S = 120.0
_EVERY = 100


@dataclass(frozen=True)
class Timing:
    """One measured time.

    Attributes:
        what: what was timed.
        users: simulated for each arm, or of one experiment.
        replications: experiments.
        workers: processes.
        seconds: that it took.
        user_outcomes_per_s: users of all experiments a second.
    """

    what: str
    users: int
    replications: int
    workers: int
    seconds: float
    user_outcomes_per_s: float


def run(pool: int, users: int, replications: int, workers: tuple[int, ...]) -> list[Timing]:
    """All times.

    Args:
        pool: users simulated for each arm.
        users: of an experiment.
        replications: experiments.
        workers: numbers of processes to time.
    """
    start = time.perf_counter()
    pools = _pools(pool)
    seconds = time.perf_counter() - start
    rows = [Timing("simulate", pool, 1, 1, seconds, 2 * pool / seconds)]
    looks = range(_EVERY, users + 1, _EVERY)
    for count in workers:
        start = time.perf_counter()
        replicate(
            pools, looks, replications, methods=(Method.MSPRT, Method.CONFIDENCE_SEQUENCE), workers=count
        )  # fmt: skip
        seconds = time.perf_counter() - start
        rows.append(Timing("replicate", users, replications, count, seconds, users * replications / seconds))
    return rows


def _pools(users: int) -> Pools:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 10})
    arms = {name: RandomPolicy(action_spec(task)) for name in ("control", "treatment")}
    return simulate_arms(arms, task, users, metrics=pick_metrics(task, ("return",)))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/abtest.json``."""
    parser = options("abtest", __doc__)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = run(1000, 2000, 200, (1,)) if args.quick else run(20_000, 20_000, 10_000, (1, 2))
    body = machine() | {"aim_s": AIM_S, "rows": [asdict(row) for row in rows]}
    return finish("abtest", body, args, _table(rows))


def _table(rows: list[Timing]) -> str:
    lines = [f"{'what':10} {'users':>8} {'experiments':>12} {'workers':>8} {'seconds':>9}"]
    lines += [f"{r.what:10} {r.users:8,} {r.replications:12,} {r.workers:8} {r.seconds:9.1f}" for r in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
