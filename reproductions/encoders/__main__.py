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
from recgym.files import read_json
from recgym.types import History
from reproductions.claims import RESULTS, Claim, write_result
from reproductions.encoders.data import split_of
from reproductions.encoders.runs import RUNS, run_one, train_and_test
from reproductions.encoders.summary import claims, done, merged, notes, pairs


def main(arguments: list[str] | None = None) -> int:
    """Run what is not done yet, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.encoders", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; states what that can decide")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--work", type=Path, default=Path("runs/encoders"), help="keeps finished runs")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument(
        "--only", default="", help="run those whose name, such as ml-1m_sasrec_0 or stream_hstu_0, contains this"
    )
    parser.add_argument("--finished", action="store_true", help="run nothing: state what finished runs can decide")
    args = parser.parse_args(arguments)
    begun = time.perf_counter()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    out = args.out or (args.work / "quick.json" if args.quick else RESULTS / "encoders.json")
    if args.quick:
        rows, made, said = _quick(args.data)
        seconds = time.perf_counter() - begun
    else:
        for run in () if args.finished else RUNS:
            if args.only in run.key:
                _say(run.key, run_one(run, args.work, args.data, args.threads))
        rows = _rows(out, args.work, args.data, args.threads)
        made, said = claims(rows), notes(rows)
        seconds = sum(row.get("seconds", 0.0) for row in rows)
    # Where the result goes and what it was made from say nothing about it.
    flags = [f"--{name}" for name in ("quick", "finished") if getattr(args, name)]
    command = " ".join(["python -m reproductions.encoders", *flags])
    seeds = sorted({row["seed"] for row in rows if "seed" in row})
    return 0 if write_result(out, "encoders", command, seeds, seconds, rows, made, said) else 1


def _rows(out: Path, work: Path, data: Path, threads: int) -> list[dict[str, Any]]:
    """What is finished here, and what the result already holds of runs that are not, with the pairs of all that."""
    known = read_json(out)["rows"] if out.exists() else []
    rows = merged(known, [run_one(run, work, data, threads) for run in done(work)])
    return merged(rows, list(pairs(rows, work)))


def _say(name: str, row: dict[str, Any]) -> None:
    found = (f"{metric} {row[metric]['mean']:.4f}" for metric in ("hr@10", "ndcg@10", "return") if metric in row)
    print(f"{name}: {', '.join(found)}, {row['seconds']:.0f} s", file=sys.stderr, flush=True)


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
