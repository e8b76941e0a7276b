"""``python -m reproductions.slateq [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np

from recgym.stats import t_interval
from reproductions.claims import RESULTS, write_result
from reproductions.running import run_all
from reproductions.slateq.arms import ARMS, MYOPIC, RECSIM, Job
from reproductions.slateq.runs import reference, run_job
from reproductions.slateq.summary import claims, lifts, rows, user_claims

STEPS, USERS, SEEDS = 300_000, 2000, (0, 1, 2, 3, 4)
QUICK_STEPS, QUICK_USERS, QUICK_SEEDS = 150_000, 1000, (0,)
QUICK_ARMS = (MYOPIC, "QL-OT-OS")


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.slateq", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/slateq"), help="keeps finished runs")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    steps, users, seeds = (QUICK_STEPS, QUICK_USERS, QUICK_SEEDS) if args.quick else (STEPS, USERS, SEEDS)
    jobs = [Job(arm, seed, steps) for seed in seeds for arm in (QUICK_ARMS if args.quick else ARMS)]
    trained = run_all(partial(run_job, folder=args.work, users=users), jobs, args.workers)
    runs = [run for seed in seeds for run in reference(seed, args.work, users)] + trained
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "slateq.json")
    command = "python -m reproductions.slateq" + (" --quick" if args.quick else "")
    made = user_claims(runs) if args.quick else claims(runs)
    seconds = time.perf_counter() - start
    notes = [f"{sum(run['seconds'] for run in trained) / 60:.0f} minutes of training; runs that were kept are not"
             " trained again"]  # fmt: skip
    if not args.quick:
        notes.append(_recsim_note(lifts(runs, RECSIM)))
    holds = write_result(out, "slateq", command, seeds, seconds, rows(runs), made, notes)
    return 0 if holds else 1


def _recsim_note(lift: list[float]) -> str:
    mean, low, high = t_interval(np.array(lift))
    return (
        f"with a null item of no worth, as in RecSim's agent, the lift is {mean:.1f} % [{low:.1f}, {high:.1f}]: "
        "picking nothing then ends the future, and values look ahead a few steps only"
    )


if __name__ == "__main__":
    raise SystemExit(main())
