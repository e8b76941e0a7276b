"""``python -m reproductions.sim2rec [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch

from recgym.stats import t_interval
from reproductions.claims import RESULTS, Claim, at_most, write_result
from reproductions.running import run_all
from reproductions.sim2rec import learned
from reproductions.sim2rec.arms import Job
from reproductions.sim2rec.satisfaction import bounds, probe, run_job, serve
from reproductions.sim2rec.summary import claims, rows

STEPS = 8_000_000
LEARNED_STEPS = 2_000_000
USERS = 1000
TESTS = (14, 6, 8)

JOBS = (
    *(
        Job("alpha=4", arm, seed, STEPS)
        for seed in range(5)
        for arm in ("sim2rec", "dr_osi", "dr_uni", "direct_transfer", "direct", "direct_transfer_21", "dr_uni_lambda_1")
    ),
    *(Job("from=10", arm, seed, STEPS) for seed in range(5) for arm in ("sim2rec", "dr_osi")),
    *(Job("alpha=4", "world_only", seed, STEPS) for seed in range(3)),
    *(
        Job(f"alpha={alpha}", arm, seed, STEPS)
        for seed in range(3)
        for alpha in (2, 6)
        for arm in ("sim2rec", "dr_uni")
    ),
)

LEARNED_JOBS = tuple(
    learned.LearnedJob(arm, seed, LEARNED_STEPS) for seed in range(5) for arm in ("sim2rec", "one", "dr_osi")
)

Found: TypeAlias = tuple[list[dict[str, Any]], list[Claim], list[int], list[str]]
"""Rows, claims, seeds and notes."""


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.sim2rec", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/sim2rec"), help="keeps finished and begun runs")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side")
    parser.add_argument("--finished", action="store_true", help="run nothing: state what finished runs can decide")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.quick:
        found, made, seeds, notes = _quick(args.work)
    else:
        found, made, seeds, notes = _full(args.work, args.workers, args.finished)
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "sim2rec.json")
    # Where the result goes and what it was made from say nothing about it.
    flags = [f"--{name}" for name in ("quick", "finished") if getattr(args, name)]
    command = " ".join(["python -m reproductions.sim2rec", *flags])
    holds = write_result(out, "sim2rec", command, seeds, time.perf_counter() - start, found, made, notes)
    return 0 if holds else 1


def _full(work: Path, workers: int, finished: bool) -> Found:
    """Both settings: what is not done yet is run first, unless only finished runs are asked for."""

    def wanted(name: str) -> bool:
        return not finished or (work / f"{name}.json").exists()

    jobs = [job for job in JOBS if wanted(job.key)]
    runs: list[dict[str, Any]] = run_all(partial(run_job, folder=work, users=USERS, tests=TESTS), jobs, workers)
    learned_jobs = [job for job in LEARNED_JOBS if wanted(job.key)] if wanted("learned_reference") else []
    found, made = rows(runs), claims(runs)
    trained = []
    if learned_jobs:
        reference = learned.run_reference(work)  # fits the set, before several workers ask for it
        trained = run_all(partial(learned.run_learned, folder=work), learned_jobs, workers)
        found, made = found + learned.rows(trained, reference), made + learned.claims(trained, reference)
    hours = sum(run["seconds"] for run in [*runs, *trained]) / 3600
    note = f"{len(runs)} of {len(JOBS)} runs on long-term satisfaction and {len(trained)} of {len(LEARNED_JOBS)} on"
    seeds = sorted({job.seed for job in jobs} | {job.seed for job in learned_jobs})
    return found, made, seeds, [f"{note} learned users; {hours:.1f} hours of training"]


def _quick(work: Path) -> Found:
    """A tenth of the steps and one seed: whether v tells unseen worlds, and whether many worlds beat a wrong one."""
    torch.set_num_threads(1)
    steps, users = 800_000, 300
    agents = {}
    for arm in ("sim2rec", "direct_transfer"):
        agents[arm] = Job("alpha=4", arm, 0, steps).agent()
        agents[arm].learn(steps)
    returns = {arm: serve(agent.policy(100), 14.0, users) for arm, agent in agents.items()}
    bound = bounds(14, users, work)
    found = [
        {"arm": arm, "choc": 14, "steps": agents[arm].steps,
         "score": (value.mean() - bound["random"]) / (bound["oracle"] - bound["random"])}
        for arm, value in returns.items()
    ]  # fmt: skip
    gap = t_interval((returns["sim2rec"] - returns["direct_transfer"]) / (bound["oracle"] - bound["random"]))
    told = probe(agents["sim2rec"].policy(100), Job("alpha=4", "sim2rec", 0, steps).worlds(), 0)
    made = [
        at_most(
            "RMSE of a linear probe of v for unseen chocs, at its worst step", [max(told["rmse_by_step"].values())], 0.6
        ),
        Claim(
            "choc 14, score: sim2rec minus direct_transfer is above 0 (one seed, interval over users)",
            float(gap.mean), float(gap.low), float(gap.high), 0.0, bool(gap.low > 0),
        ),
    ]  # fmt: skip
    return found, made, [0], [f"v: {told}"]


if __name__ == "__main__":
    raise SystemExit(main())
