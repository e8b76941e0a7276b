"""One run of the table: fit, look at the test sessions once, keep what was found."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.evaluation.sessions import SessionReport, evaluate_sessions
from recgym.files import atomic_file
from reproductions.pisa.bounds import BOUNDS
from reproductions.pisa.data import DATASETS, Cut, cut_of
from reproductions.pisa.fitting import Fit
from reproductions.pisa.models import MODELS, SEEDED
from reproductions.running import kept

__all__ = ["RUNS", "Run", "fit_and_test", "per_query", "run_one"]

SEEDS = (0, 1, 2)
PARTS = ("pisa-u", "pisa-bl", "pisa-bl-spr", *BOUNDS)
"""What is compared on the log of known memory alone."""
KEPT = ("ndcg@10", "recall@10", "ndcg@10_repeated", "ndcg@10_explored")


@dataclass(frozen=True)
class Run:
    """One cell of the table.

    Attributes:
        dataset: name in :data:`reproductions.pisa.data.DATASETS`.
        model: name in :data:`reproductions.pisa.models.MODELS`.
        seed: root seed, of made-up logs too.
    """

    dataset: str
    model: str
    seed: int

    @property
    def key(self) -> str:
        """What its files are called."""
        return f"{self.dataset}_{self.model}_{self.seed}"


RUNS = tuple(
    Run(dataset, model, seed)
    for dataset, known in DATASETS.items()
    for seed in SEEDS
    for model in MODELS
    if (seed == 0 or known.seeded or model in SEEDED) and (dataset == "actr" or model not in PARTS)
)
"""All of them, in the order in which they are run; what no seed changes runs once."""


def fit_and_test(name: str, fit: Fit, cut: Cut, seed: int) -> tuple[dict[str, Any], SessionReport]:
    """Fit a model and foresee the test sessions; returns a row of the table, and the report it is taken from."""
    begun = time.perf_counter()
    fitted = fit(cut, seed)
    seconds = time.perf_counter() - begun
    report = evaluate_sessions(fitted.model, cut.split.test, name=name)
    row = {
        "model": name,
        "seed": seed,
        **{metric: interval._asdict() for metric, interval in report.metrics().items()},
        "repeats_of_log": cut.repeats,
        "repeats_of_targets": float(report.ranking.repeated.mean()),
        "queries": len(report.ranking.queries),
        "fit_seconds": round(seconds, 1),
        "test_seconds": round(report.ranking.seconds, 1),
        "threads": torch.get_num_threads(),
        "protocol": {**report.ranking.protocol.to_json(), "digest": report.ranking.protocol.digest()},
        **fitted.notes,
    }
    return _plain(row), report


def _plain(value: Any) -> Any:
    """The same without numbers that JSON lacks: null for what is not defined."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def run_one(run: Run, folder: Path, root: Path, threads: int) -> dict[str, Any]:
    """The row of a run, from the folder if it was run before."""

    def make() -> dict[str, Any]:
        torch.set_num_threads(threads)
        cut = cut_of(run.dataset, root, run.seed)
        row, report = fit_and_test(run.model, MODELS[run.model], cut, run.seed)
        found = {metric: values for metric, values in report.per_query().items() if metric in KEPT}
        # The values go first: a row that stands says that they do.
        with atomic_file(folder / f"{run.key}.npz") as temporary, temporary.open("wb") as file:
            users = report.ranking.queries.users
            np.savez_compressed(file, users=users, **found)  # type: ignore[arg-type]
        return {"dataset": run.dataset, **row}

    return kept(folder / f"{run.key}.json", make)


def per_query(run: Run, folder: Path, metric: str) -> np.ndarray | None:
    """A metric of each test session (``users`` for whose it is); None if the run is not done."""
    path = folder / f"{run.key}.npz"
    if not path.exists() or not (folder / f"{run.key}.json").exists():
        return None
    with np.load(path) as found:
        values: np.ndarray = found[metric]
    return values
