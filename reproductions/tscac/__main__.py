"""``python -m reproductions.tscac [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from reproductions.claims import RESULTS, Claim, write_result
from reproductions.running import run_all
from reproductions.tscac.arms import ARMS, FULL, QUICK, Run
from reproductions.tscac.runs import measured, run_one
from reproductions.tscac.summary import claims, report, rows
from reproductions.tscac.world import MAIN, VARIANTS

SEEDS = 5

RUNS = tuple(
    Run(variant, arm, setting, seed)
    for seed in range(SEEDS)
    for variant in VARIANTS
    for arm, settings in ARMS.items()
    for setting in settings
)


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.tscac", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/tscac"), help="keeps finished runs")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side")
    parser.add_argument("--only", default="", help="run those whose name, such as boosted_tscac_0.3_0, contains this")
    parser.add_argument("--finished", action="store_true", help="run nothing: state what finished runs can decide")
    args = parser.parse_args(arguments)
    begun = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.quick:
        found, made, seeds, notes = _quick()
        seconds = time.perf_counter() - begun
    else:
        found, made, seeds, notes, seconds = _full(args.work, args.workers, args.only, args.finished)
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "tscac.json")
    # Where the result goes and what it was made from say nothing about it.
    flags = [f"--{name}" for name in ("quick", "finished") if getattr(args, name)]
    command = " ".join(["python -m reproductions.tscac", *flags])
    return 0 if write_result(out, "tscac", command, seeds, seconds, found, made, notes) else 1


def _full(
    work: Path, workers: int, only: str, finished: bool
) -> tuple[list[dict[str, Any]], list[Claim], list[int], list[str], float]:
    """Rows, claims, seeds, notes and seconds of all runs that are done by the end."""
    if not finished:
        run_all(partial(run_one, folder=work, budget=FULL), [run for run in RUNS if only in run.key], workers)
    done = [run for run in RUNS if (work / f"{run.key}.json").exists()]
    runs = [run_one(run, work, FULL) for run in done]
    found: list[dict[str, Any]] = []
    made: list[Claim] = []
    for variant in VARIANTS:
        stated = claims(runs, variant, work)
        made += stated
        if stated:
            found += [*rows(runs, variant), {"variant": variant, "constraints": report(runs, variant).to_json()}]
    seeds, notes = sorted({run.seed for run in done}), [f"{len(done)} of {len(RUNS)} runs are done"]
    return found, made, seeds, notes, sum(run["seconds"] for run in runs)


def _quick() -> tuple[list[dict[str, Any]], list[Claim], list[int], list[str]]:
    """One small log of the boosted users: TSCAC at two lambdas against behaviour cloning."""
    wanted = {name: Run("boosted", *name, 0) for name in (("bc", 0.0), ("tscac", 1.0), ("tscac", 0.1))}
    found = {name: measured(run, QUICK)[0] for name, run in wanted.items()}
    base, near, far = (found[name]["test"] for name in wanted)
    gain = near[MAIN] / base[MAIN] - 1
    more = far[MAIN] / near[MAIN] - 1
    liked = near["like"] / base["like"] - 1
    made = [
        _one("watch time of TSCAC, lambda 1, over BC, as a share", gain, 0.03),
        _one("watch time of lambda 0.1 over lambda 1, as a share", more, 0.0),
        _one("likes of TSCAC, lambda 1, over BC, as a share", liked, -0.02),
    ]
    return list(found.values()), made, [0], ["one seed: figures without intervals"]


def _one(words: str, value: float, reference: float) -> Claim:
    return Claim(f"boosted, one seed: {words}, is above", value, value, value, reference, value > reference)


if __name__ == "__main__":
    raise SystemExit(main())
