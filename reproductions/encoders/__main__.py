"""``python -m reproductions.encoders [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.encoders import FitConfig, SASRecConfig
from recgym.evaluation.ranking import evaluate_ranking
from recgym.types import History
from reproductions.claims import RESULTS, Claim, write_result
from reproductions.encoders.data import split_of
from reproductions.encoders.models import RUNS
from reproductions.encoders.runs import run_one, train_and_test
from reproductions.encoders.summary import claims, done, gains


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.encoders", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/encoders"), help="keeps finished runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--only", default="", help="run those whose name, such as ml-1m_sasrec_0, contains this")
    parser.add_argument("--finished", action="store_true", help="run nothing: state what finished runs can decide")
    args = parser.parse_args(arguments)
    begun = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    if args.quick:
        rows, made, notes = _quick(args.data)
    else:
        for run in () if args.finished else RUNS:
            if args.only in run.key:
                row = run_one(run, args.work, args.data, args.threads)
                print(
                    f"{run.key}: HR@10 {row['hr@10']['mean']:.4f}, NDCG@10 {row['ndcg@10']['mean']:.4f}",
                    file=sys.stderr,
                )
        finished = done(args.work)
        rows = [run_one(run, args.work, args.data, args.threads) for run in finished]
        made, notes = claims(rows, args.work), [f"{len(finished)} of {len(RUNS)} runs are done"]
        rows = [*rows, *gains(args.work)]
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "encoders.json")
    # Where the result goes and what it was made from say nothing about it.
    flags = [f"--{name}" for name in ("quick", "finished") if getattr(args, name)]
    command = " ".join(["python -m reproductions.encoders", *flags])
    seconds = time.perf_counter() - begun if args.quick else sum(row.get("seconds", 0.0) for row in rows)
    seeds = sorted({row["seed"] for row in rows if "seed" in row})
    return 0 if write_result(out, "encoders", command, seeds, seconds, rows, made, notes) else 1


@dataclass(frozen=True)
class _RandomScores:
    """Scores without any sense: where chance lies."""

    num_items: int
    generator: torch.Generator
    window: int = 1

    def scores(self, users: Tensor, history: History, query_time_s: Tensor | None) -> Tensor:
        return torch.rand(len(users), self.num_items, generator=self.generator)


def _quick(root: Path) -> tuple[list[dict[str, Any]], list[Claim], list[str]]:
    """A small SASRec on MovieLens-100K for a few epochs: far above chance, and chance is where it should be."""
    split = split_of("ml-100k", root)
    config = SASRecConfig(width=32, blocks=1, window=50, fit=FitConfig(epochs=12, batch_size=32, step_size=3e-3))
    row, report = train_and_test("sasrec", config, split, 0)
    control = _RandomScores(split.train.n_items, torch.Generator().manual_seed(0))
    chance = evaluate_ranking(control, split.test, ks=(10,), name="random")
    found, random = report.metrics()["hr@10"], chance.metrics()["hr@10"]
    unseen = split.train.n_items - (split.test.end - split.test.start)
    expected = float(np.mean(10 / unseen))
    above = "ml-100k: HR@10 of a small SASRec lies above five times chance with its whole interval"
    covered = "ml-100k: the interval of HR@10 of random scores covers chance"
    made = [
        Claim(above, *found, 5 * expected, bool(found.low > 5 * expected)),
        Claim(covered, *random, expected, bool(random.low <= expected <= random.high)),
    ]
    return [{"dataset": "ml-100k", **row}], made, []


if __name__ == "__main__":
    raise SystemExit(main())
