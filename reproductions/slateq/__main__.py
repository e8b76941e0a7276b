"""``python -m reproductions.slateq [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from recgym.stats import t_interval
from reproductions.claims import RESULTS, write_result
from reproductions.running import run_all
from reproductions.slateq.arms import ARMS, MYOPIC, RECSIM, Job
from reproductions.slateq.runs import is_done, reference, run_job
from reproductions.slateq.summary import claims, lifts, rows, user_claims

STEPS, USERS, SEEDS = 300_000, 2000, 5
QUICK_STEPS, QUICK_USERS = 150_000, 1000
QUICK_ARMS = (MYOPIC, "QL-OT-OS")

JOBS = tuple(Job(arm, seed, STEPS) for seed in range(SEEDS) for arm in ARMS)


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.slateq", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/slateq"), help="keeps finished runs")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--finished", action="store_true", help="train nothing: state what finished runs can decide")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    runs = _quick() if args.quick else _full(args.work, args.workers, args.finished)
    # Kept runs took their time too, if not now.
    seconds = max(time.perf_counter() - start, sum(run.get("seconds", 0.0) for run in runs))
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "slateq.json")
    flags = [f"--{name}" for name in ("quick", "finished") if getattr(args, name)]
    command = " ".join(["python -m reproductions.slateq", *flags])
    made, notes = (user_claims(runs), []) if args.quick else (claims(runs), _notes(runs))
    seeds = sorted({run["seed"] for run in runs})
    return 0 if write_result(out, "slateq", command, seeds, seconds, rows(runs), made, notes) else 1


def _quick() -> list[dict[str, Any]]:
    """Half the steps, one seed, two arms; nothing is kept."""
    with TemporaryDirectory() as folder:
        jobs = [Job(arm, 0, QUICK_STEPS) for arm in QUICK_ARMS]
        trained = [run_job(job, Path(folder), QUICK_USERS) for job in jobs]
        return reference(0, Path(folder), QUICK_USERS) + trained


def _full(work: Path, workers: int, finished: bool) -> list[dict[str, Any]]:
    jobs = [job for job in JOBS if not finished or is_done(job, work, USERS)]
    trained = run_all(partial(run_job, folder=work, users=USERS), jobs, workers)
    return [run for seed in sorted({job.seed for job in jobs}) for run in reference(seed, work, USERS)] + trained


def _notes(runs: list[dict[str, Any]]) -> list[str]:
    trained = [run["seconds"] for run in runs if run["arm"] in ARMS]
    notes = [
        f"{len(trained)} of {len(JOBS)} runs; {sum(trained) / 60:.0f} minutes of training; kept runs are not run again",
        "tried before: a label network renewed every 200 gradient steps, two or three times in a run, left two of four "
        "seeds at 159 to 170 minutes in every long-term arm; it is renewed every 10",
    ]
    lift = lifts(runs, RECSIM)
    if len(lift) > 1:
        mean, low, high = t_interval(np.array(lift))
        notes.append(
            f"with a null item of no worth, as in RecSim's agent, the lift is {mean:.1f} % [{low:.1f}, {high:.1f}]: "
            "picking nothing then ends the future, and values look ahead a few steps only"
        )
    return notes


if __name__ == "__main__":
    raise SystemExit(main())
