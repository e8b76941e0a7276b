"""What the table claims: figures against references, and pairs of models on the same users."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recgym.seeding import make_generator
from recgym.stats import bootstrap_mean
from reproductions.claims import Claim
from reproductions.encoders.models import CONFIGS, RUNS, Run
from reproductions.encoders.runs import per_query

__all__ = ["claims"]

AT_LEAST = (
    ("ml-1m", "sasrec", "hr@10", 0.280),
    ("ml-1m", "sasrec", "ndcg@10", 0.155),
    ("ml-1m", "gru4rec", "hr@10", 0.26),
    ("ml-1m", "bert4rec", "hr@10", 0.26),
    ("ml-1m", "gbce", "hr@10", 0.28),
    ("beauty", "sasrec", "hr@10", 0.074),
    ("beauty", "sasrec", "ndcg@10", 0.043),
)
"""Data set, model, metric and what the mean over seeds is to reach."""

NOT_BELOW = (("ml-1m", "hstu", "sasrec"),)
"""Data set, model, and another that it is not to lie below with its whole interval."""


def claims(rows: Sequence[dict[str, Any]], folder: Path) -> list[Claim]:
    """What the finished runs can decide."""
    made = [claim for target in AT_LEAST if (claim := _reaches(rows, *target)) is not None]
    made += [claim for pair in NOT_BELOW if (claim := _not_below(folder, *pair)) is not None]
    return made


def gains(folder: Path) -> list[dict[str, Any]]:
    """NDCG@10 of each model less that of SASRec on the same users, whichever sign it has."""
    found = []
    for dataset in ("beauty", "ml-1m", "ml-100k"):
        for model in CONFIGS:
            if model == "sasrec" or (pair := _paired(folder, dataset, model, "sasrec", "ndcg@10")) is None:
                continue
            found.append({"dataset": dataset, "model": model, "minus": "sasrec", "ndcg@10": pair._asdict()})
    return found


def _reaches(rows: Sequence[dict[str, Any]], dataset: str, model: str, metric: str, reference: float) -> Claim | None:
    mine = [row[metric] for row in rows if (row["dataset"], row["model"]) == (dataset, model)]
    if not mine:
        return None
    mean, low, high = (float(np.mean([interval[part] for interval in mine])) for part in ("mean", "low", "high"))
    words = f"{dataset}: {metric.upper()} of {model} (mean over {len(mine)} seeds; interval over users)"
    return Claim(words, mean, low, high, reference, mean >= reference)


def _not_below(folder: Path, dataset: str, model: str, other: str) -> Claim | None:
    pair = _paired(folder, dataset, model, other, "ndcg@10")
    if pair is None:
        return None
    words = f"{dataset}: NDCG@10 of {model} minus {other} is not below 0 with its whole interval"
    return Claim(words, pair.mean, pair.low, pair.high, 0.0, pair.high >= 0)


def _paired(folder: Path, dataset: str, model: str, other: str, metric: str) -> Any:
    """Mean over seeds of a metric's difference, with the interval over users."""
    sides = []
    for name in (model, other):
        runs = [run for run in RUNS if (run.dataset, run.model) == (dataset, name)]
        values = [found for run in runs if (found := per_query(run, folder, metric)) is not None]
        if not values:
            return None
        sides.append(np.mean(values, axis=0))
    draw = make_generator(0, "paired", device="numpy")
    assert isinstance(draw, np.random.Generator)
    return bootstrap_mean(sides[0] - sides[1], np.arange(len(sides[0])), draw)


def done(folder: Path) -> list[Run]:
    """The runs that are finished."""
    return [run for run in RUNS if (folder / f"{run.key}.json").exists()]
