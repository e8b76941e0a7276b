"""``python -m reproductions.pisa [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from recgym.data.synthetic import iid_log, zipf_popularity
from recgym.evaluation.ranking import paired_difference
from recgym.evaluation.sessions import SessionReport
from reproductions.claims import RESULTS, Claim, write_result
from reproductions.pisa.data import Cut, in_sessions, known_memory
from reproductions.pisa.models import MODELS
from reproductions.pisa.relisten import claims_of, relisten_row
from reproductions.pisa.runs import RUNS, fit_and_test, run_one
from reproductions.pisa.summary import claims, done, notes

_HOUR_S = 3_600.0


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.pisa", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/pisa"), help="keeps finished runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--only", default="", help="run those whose name, such as actr_p-top_0, contains this")
    parser.add_argument("--finished", action="store_true", help="run nothing: state what finished runs can decide")
    args = parser.parse_args(arguments)
    begun = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    rows, made, said = _quick() if args.quick else _full(args)
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "pisa.json")
    command = "python -m reproductions.pisa" + (" --quick" if args.quick else "")
    seeds = sorted({row["seed"] for row in rows if "seed" in row})
    return 0 if write_result(out, "pisa", command, seeds, time.perf_counter() - begun, rows, made, said) else 1


def _full(args: argparse.Namespace) -> tuple[list[dict[str, Any]], list[Claim], list[str]]:
    """What is done, after running what is not."""
    for run in () if args.finished else RUNS:
        if args.only in run.key:
            row = run_one(run, args.work, args.data, args.threads)
            parts = " ".join(f"{row[f'ndcg@10{part}']['mean'] or 0:.4f}" for part in ("", "_repeated", "_explored"))
            print(f"{run.key}: NDCG@10 {parts} (all, repeated, explored)", file=sys.stderr, flush=True)
    finished = done(args.work)
    rows = [run_one(run, args.work, args.data, args.threads) for run in finished]
    minutes = sum(row["fit_seconds"] + row["test_seconds"] for row in rows) / 60
    progress = f"{len(finished)} of {len(RUNS)} runs are done: {minutes:.0f} minutes of fitting and ranking"
    made, said = claims(rows, args.work), [progress, *notes(rows)]
    if (args.work / "relisten.json").exists() or (not args.finished and args.only in "relisten"):
        row = relisten_row(args.work, args.data)
        rows, made = [*rows, row], [*made, *claims_of(row)]
    return rows, made, said


def _quick() -> tuple[list[dict[str, Any]], list[Claim], list[str]]:
    """Small made-up logs: where memory decides, personal baselines win by far; where nothing does, they do not."""
    memory = Cut.of(known_memory(200, 300, 16, 0), _HOUR_S, 2, 2)
    chance = Cut.of(in_sessions(iid_log(200, 160, zipf_popularity(300), 0)), _HOUR_S, 2, 2)
    rows, reports = [], {}
    for dataset, cut in (("actr", memory), ("iid", chance)):
        for model in ("g-top", "p-top", "p-top-decay", "tifu-knn", "actr-repeat"):
            row, reports[dataset, model] = fit_and_test(model, MODELS[model], cut, 0)
            rows.append({"dataset": dataset, **row})
    explored = reports["actr", "actr-repeat"].metrics()["ndcg@10_explored"]
    again = _minus(reports["actr", "actr-repeat"], reports["actr", "g-top"])
    none = _minus(reports["iid", "actr-repeat"], reports["iid", "g-top"])
    made = [
        Claim("actr: NDCG@10 of actr-repeat minus g-top lies above 0.1", *again, 0.1, bool(again[1] > 0.1)),
        Claim("actr: NDCG@10 on explored items of actr-repeat is 0", *explored, 0.0, explored.mean == 0.0),
        Claim("iid: NDCG@10 of actr-repeat minus g-top is not above 0", *none, 0.0, bool(none[2] <= 0.0)),
    ]
    return rows, made, []


def _minus(first: SessionReport, second: SessionReport) -> tuple[float, float, float]:
    mean, low, high = paired_difference(first.ranking, second.ranking)["ndcg@10"]
    return mean, low, high


if __name__ == "__main__":
    raise SystemExit(main())
