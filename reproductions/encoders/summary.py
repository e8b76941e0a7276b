"""From finished runs to rows and claims: pairs of models on the same users, and figures against references.

All claims are made of rows, so rows of runs that were made elsewhere count like those of this folder.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recgym.stats import Interval, t_interval
from reproductions.claims import Claim
from reproductions.encoders.intervals import over_users
from reproductions.encoders.models import BASES, CONFIGS, Run
from reproductions.encoders.runs import RUNS, per_query
from reproductions.encoders.stream import PUBLISHED

__all__ = ["claims", "done", "merged", "notes", "pairs"]

Row = dict[str, Any]

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

NOT_BELOW = (("ml-1m", "hstu", "sasrec", "ndcg@10"),)
"""Data set, model, another that it is not to lie below with its whole interval, and the metric."""

ABOVE = (
    ("stream", "hstu-softmax-no-bias", "transformer", "hr@10"),
    ("stream", "hstu-no-bias", "hstu-softmax-no-bias", "hr@10"),
    ("loop", "sasrec-state", "mean-pool", "return"),
    ("loop", "mean-pool-vectors", "mean-pool", "return"),
)
"""The same, where it is to lie above with its whole interval."""

STREAM_PAIRS = (*((model, other) for _, model, other, _ in ABOVE[:2]), ("hstu", "hstu-no-bias"))
LOOP_PAIRS = (
    *((model, other) for _, model, other, _ in ABOVE[2:]),
    ("sasrec-state", "mean-pool-vectors"),
    ("sasrec-learning", "sasrec-state"),
)


def done(folder: Path) -> list[Run]:
    """The runs that are finished."""
    return [run for run in RUNS if (folder / f"{run.key}.json").exists()]


def merged(known: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Rows of both, those that were found in place of known ones of the same data set, models and seed."""
    rows = {(row["dataset"], row["model"], row.get("minus", ""), row.get("seed", -1)): row for row in (*known, *found)}
    return [rows[key] for key in sorted(rows)]


def pairs(rows: Sequence[Row], folder: Path) -> Iterator[Row]:
    """Differences of models on the same users, whichever sign they have.

    Over users, of the mean over seeds, for the table and the stream: only of models all of whose runs are in the
    folder. Over seeds for the loop, where it is training that differs most.

    Args:
        rows: of all runs that are known.
        folder: what the runs of it found for each user.
    """
    wanted = [
        (dataset, model, BASES.get((dataset, model), "sasrec"), "ndcg@10")
        for dataset in ("beauty", "ml-1m", "ml-100k")
        for model in CONFIGS
        if model != "sasrec"
    ]
    for dataset, model, other, metric in [*wanted, *(("stream", *pair, "hr@10") for pair in STREAM_PAIRS)]:
        sides = [_mean_of_seeds(rows, folder, dataset, name, metric) for name in (model, other)]
        if sides[0] is not None and sides[1] is not None:
            yield _pair(dataset, model, other, metric, over_users(sides[0] - sides[1]), "users")
    for model, other in LOOP_PAIRS:
        ours, theirs = (_by_seed(rows, "loop", name) for name in (model, other))
        common = sorted(set(ours) & set(theirs))
        if len(common) > 1:
            differences = [ours[seed]["return"]["mean"] - theirs[seed]["return"]["mean"] for seed in common]
            interval = t_interval(np.asarray(differences))
            yield _pair("loop", model, other, "return", interval, f"{len(common)} seeds")


def _pair(dataset: str, model: str, other: str, metric: str, interval: Interval, over: str) -> Row:
    values = {name: float(value) for name, value in interval._asdict().items()}
    return {"dataset": dataset, "model": model, "minus": other, metric: values, "interval_over": over}


def _by_seed(rows: Sequence[Row], dataset: str, model: str) -> dict[int, Row]:
    return {row["seed"]: row for row in rows if (row["dataset"], row["model"]) == (dataset, model) and "seed" in row}


def _mean_of_seeds(rows: Sequence[Row], folder: Path, dataset: str, model: str, metric: str) -> np.ndarray | None:
    """A metric of each user, mean over the seeds; None if there is none, or the folder lacks some."""
    values = [per_query(Run(dataset, model, seed), folder, metric) for seed in _by_seed(rows, dataset, model)]
    known = [value for value in values if value is not None]
    return np.mean(known, axis=0) if known and len(known) == len(values) else None


def claims(rows: Sequence[Row]) -> list[Claim]:
    """What the rows can decide."""
    made = [claim for target in AT_LEAST if (claim := _reaches(rows, *target)) is not None]
    differences = {(row["dataset"], row["model"], row["minus"]): row for row in rows if "minus" in row}
    for whole, targets in ((False, NOT_BELOW), (True, ABOVE)):
        for dataset, model, other, metric in targets:
            if (row := differences.get((dataset, model, other))) is None:
                continue
            value = row[metric]
            words = "is above 0" if whole else "is not below 0"
            sentence = (
                f"{dataset}: {_title(metric)} of {model} minus {other} {words} with its whole interval "
                f"(paired, over {row.get('interval_over', 'users')})"
            )
            holds = value["low"] > 0 if whole else value["high"] >= 0
            made.append(Claim(sentence, value["mean"], value["low"], value["high"], 0.0, holds))
    return made


def _title(metric: str) -> str:
    return metric.upper() if "@" in metric else metric


def _reaches(rows: Sequence[Row], dataset: str, model: str, metric: str, reference: float) -> Claim | None:
    mine = [row[metric] for row in _by_seed(rows, dataset, model).values()]
    if not mine:
        return None
    mean, low, high = (float(np.mean([interval[part] for interval in mine])) for part in ("mean", "low", "high"))
    words = f"{dataset}: {metric.upper()} of {model} (mean over {len(mine)} seeds; interval over users)"
    return Claim(words, mean, low, high, reference, mean >= reference)


def notes(rows: Sequence[Row]) -> list[str]:
    """How much is done, and what has to be said beside the figures."""
    there = {(row["dataset"], row["model"], row["seed"]) for row in rows if "seed" in row}
    count = sum((run.dataset, run.model, run.seed) in there for run in RUNS)
    said = [f"{count} of {len(RUNS)} runs are done"]
    if any(row["dataset"] == "stream" for row in rows):
        published = ", ".join(f"{model} {value}" for model, value in PUBLISHED.items())
        said.append(
            "stream: python -m reproductions.encoders --only stream --threads 1. A stream of our own, of 20,000 "
            f"histories; published on another and far longer one: HR@10 of {published}. What pointwise attention adds "
            "depends on batch and step size: on the stream by which these were chosen it ranged from -0.003 to 0.006."
        )
    for row in rows:
        if (row["dataset"], row["model"], row.get("minus")) == ("loop", "sasrec-state", "mean-pool-vectors"):
            said.append(_of_the_state(row["return"], row["interval_over"]))
    return said


def _of_the_state(gain: dict[str, float], over: str) -> str:
    if gain["low"] > 0:
        verdict = "the state of the sequence adds to what the encoder's item vectors bring"
    elif gain["high"] < 0:
        verdict = (
            "the gain over the mean of the history comes from the encoder's item vectors; its state costs some of it"
        )
    else:
        verdict = "the gain over the mean of the history comes from the encoder's item vectors, not from its state"
    return (
        "loop: python -m reproductions.encoders --only loop --threads 1. Return of the frozen state with item vectors, "
        f"minus that of the mean of the history with the same vectors: {gain['mean']:.2f} "
        f"[{gain['low']:.2f}, {gain['high']:.2f}] over {over}: {verdict}."
    )
