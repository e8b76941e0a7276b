"""``python -m reproductions.dt4ier [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recgym.stats import rank_correlation
from reproductions.claims import RESULTS, Claim, at_least, at_most, write_result
from reproductions.dt4ier.arms import ARMS, SCALAR, Job, Size
from reproductions.dt4ier.data import a_log, task
from reproductions.dt4ier.runs import (
    LOG_SEED,
    against,
    asked,
    episodes_of,
    levels,
    nearest,
    reference,
    run_job,
    test_seed,
    trained,
)
from reproductions.dt4ier.summary import claims, rows
from reproductions.running import run_all

SEEDS = (0, 1, 2, 3, 4)
QUICK = Size(width=32, heads=4, batch=64, updates=500, log_steps=160_000, validation=32)


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.dt4ier", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/dt4ier"), help="keeps finished and begun runs")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many seeds")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    seeds = (0,) if args.quick else SEEDS[: args.seeds]
    found, made, notes = quick(QUICK) if args.quick else full(args.work, args.workers, seeds)
    command = "python -m reproductions.dt4ier" + (" --quick" if args.quick else "")
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "dt4ier.json")
    holds = write_result(out, "dt4ier", command, seeds, time.perf_counter() - start, found, made, notes)
    return 0 if holds else 1


def full(
    work: Path, workers: int, seeds: tuple[int, ...], size: Size | None = None
) -> tuple[list[dict[str, Any]], list[Claim], list[str]]:
    """Every arm on every seed, those of a seed one after the other."""
    size = size or Size()
    jobs = [Job(arm, seed, size) for seed in seeds for arm in ARMS]
    runs: list[dict[str, Any]] = run_all(partial(run_job, folder=work), jobs, workers)
    duels = [against(Job("dt4ier", seed, size), rival, work) for seed in seeds for rival in SCALAR]
    references = [
        {"arm": name, "seed": seed, "test": reference(name, seed, size, work)}
        for name in ("random", "oracle")
        for seed in seeds
    ]
    minutes = sum(run["cpu_seconds"] for run in runs) / 60
    return rows(runs, references, duels), claims(runs, duels), [f"{minutes:.0f} CPU minutes of training and serving"]


def quick(size: Size) -> tuple[list[dict[str, Any]], list[Claim], list[str]]:
    """A small DT4IER on one seed: do users click more when more clicks are asked for?"""
    torch.set_num_threads(1)
    log = a_log(task(), size.log_steps, LOG_SEED)
    policy: Any = trained(Job("dt4ier", 0, size), log, None).policy()
    episodes = episodes_of(log)
    asks = levels(episodes, 0)
    found = asked(policy, asks, size.validation, test_seed(0))
    made = [
        at_least(
            "dt4ier, clicks: Spearman of what is asked for and what users do (one seed)",
            [rank_correlation(asks[:, 0], found[:, 0])], 0.7,
        ),
        at_most(
            "distance of the loneliest prompt from the log's episodes, in deviations", [nearest(episodes, asks)], 0.5
        ),
    ]  # fmt: skip
    table = [{"asked": one.tolist(), "found": other.tolist()} for one, other in zip(asks, found, strict=True)]
    return table, made, []


if __name__ == "__main__":
    raise SystemExit(main())
