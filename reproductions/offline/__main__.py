"""``python -m reproductions.offline [--quick] [--finished] [--only WORLD] [--out FILE]``: see the package."""

import argparse
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reproductions.claims import RESULTS, write_result
from reproductions.offline.arms import ARMS, FULL, QUICK, WORLDS, Run, missing
from reproductions.offline.runs import measured, run_one
from reproductions.offline.summary import claims, rows
from reproductions.offline.worlds import FOLDS
from reproductions.running import run_all

RUNS = tuple(Run(world, arm, seed) for seed in range(FOLDS) for world in WORLDS for arm in ARMS)
_QUICK = ("random", "bc", "bc10", "tscac")


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.offline", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--finished", action="store_true", help="run nothing: state what finished runs can decide")
    parser.add_argument("--only", choices=WORLDS, help="one of the two logs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ebnerd"), help="folder of EB-NeRD")
    parser.add_argument("--work", type=Path, default=Path("runs/offline"), help="keeps finished runs")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side")
    parser.add_argument("--out", type=Path, help="where the result goes")
    args = parser.parse_args(arguments)
    begun = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    worlds = ("short-video",) if args.quick else WORLDS if args.only is None else (args.only,)
    notes = _absent(args.data) if "ebnerd" in worlds else []
    if args.quick:
        runs = [measured(Run("short-video", arm, 0), QUICK, args.data) for arm in _QUICK]
        seconds = time.perf_counter() - begun
        notes += ["quick: one log, and arms that need nothing installed"]
    else:
        wanted = [run for run in RUNS if run.world in worlds]
        if not args.finished:
            able = [run for run in wanted if not missing(run.arm) and not (run.world == "ebnerd" and notes)]
            run_all(partial(run_one, folder=args.work, budget=FULL, data=args.data), able, args.workers)
        done = [run for run in wanted if (args.work / f"{run.key}.json").exists()]
        runs = [run_one(run, args.work, FULL, args.data) for run in done]
        seconds = sum(run.get("seconds", 0.0) for run in runs)
        notes += [f"d3rlpy {version('d3rlpy')}"] if not missing("iql") else []
        notes += [f"{len(done)} of {len(wanted)} runs are done"]
    found: list[dict[str, Any]] = [row for world in worlds for row in rows(runs, world)]
    made = [claim for world in worlds for claim in claims(runs, world)]
    name = "quick.json" if args.quick else "only.json"
    out = args.out or (args.work / name if args.quick or args.only else RESULTS / "offline.json")
    # Where the result goes and what it was made from say nothing about it.
    only = [] if args.only is None else [f"--only {args.only}"]
    flags = [*(f"--{flag}" for flag in ("quick", "finished") if getattr(args, flag)), *only]
    command = " ".join(["python -m reproductions.offline", *flags])
    seeds = sorted({run["seed"] for run in runs})
    return 0 if write_result(out, "offline", command, seeds, seconds, found, made, notes) else 1


def _absent(data: Path) -> list[str]:
    """That EB-NeRD is not there, if it is not."""
    if data.is_dir():
        return []
    return [f"EB-NeRD was left out: there is no folder {data.name}; --data says where it is"]


if __name__ == "__main__":
    raise SystemExit(main())
