"""One run: fit, choose the epoch, look at the test events once, keep what was found; and what there is to run."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.encoders import HSTUConfig, Sequences
from recgym.encoders.baselines import BaselineConfig
from recgym.encoders.fitted import ModelConfig
from recgym.encoders.settings import settings_to_json
from recgym.evaluation.encoders import EncoderSplit, fit_encoder
from recgym.evaluation.ranking import RankingProtocol, RankingQueries, RankingReport, evaluate_ranking
from recgym.files import atomic_file
from reproductions.encoders import loop, stream
from reproductions.encoders.data import split_of
from reproductions.encoders.models import BASELINES, CONFIGS, TABLE, Run
from reproductions.running import kept

__all__ = ["RUNS", "per_query", "run_one", "train_and_test"]

RUNS = (*TABLE, *stream.RUNS, *loop.RUNS)
"""All of them, in the order in which they are run."""

METRICS = ("hr@10", "ndcg@10", "coverage@10", "popularity_percentile_bias@10")


def train_and_test(
    name: str, config: ModelConfig, split: EncoderSplit, seed: int
) -> tuple[dict[str, Any], RankingReport]:
    """Fit a model and rank the test events; returns a row of the table, and the report it is taken from."""
    begun = time.perf_counter()
    shown = isinstance(config, HSTUConfig) and config.sees_query_time

    def protocol(queries: RankingQueries) -> RankingProtocol:
        return queries.protocol(query_time_visible=shown)

    encoder, epochs = fit_encoder(name, config, split, seed, protocol=protocol)
    seconds = time.perf_counter() - begun
    report = evaluate_ranking(encoder.model, split.test, protocol(split.test), ks=(10,), name=name)
    best = max((epoch for epoch in epochs if epoch.validation is not None), key=lambda epoch: epoch.validation or 0.0)
    learned = {
        "seed": seed,
        "validation_ndcg@10": best.validation,
        "best_epoch": best.number,
        "epochs": len(epochs),
        "parameters": sum(parameter.numel() for parameter in encoder.model.parameters()),
        "training_seconds": round(sum(epoch.seconds for epoch in epochs), 1),
    }
    return {**_row(report, config, seconds), **learned}, report


def count_and_test(name: str, config: BaselineConfig, split: EncoderSplit) -> tuple[dict[str, Any], RankingReport]:
    """The same for what is counted."""
    begun = time.perf_counter()
    model = config.fit(Sequences.from_log(split.train))
    seconds = time.perf_counter() - begun
    report = evaluate_ranking(model, split.test, ks=(10,), name=name)
    return {**_row(report, config, seconds), "seed": 0}, report


def _row(report: RankingReport, config: ModelConfig | BaselineConfig, seconds: float) -> dict[str, Any]:
    metrics = report.metrics()
    return {
        "model": report.name,
        **{metric: metrics[metric]._asdict() for metric in METRICS},
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "protocol": {**report.protocol.to_json(), "digest": report.protocol.digest()},
        "settings": settings_to_json(config),
    }


def run_one(run: Run, folder: Path, root: Path, threads: int) -> dict[str, Any]:
    """The row of a run, from the folder if it was run before."""

    def make() -> dict[str, Any]:
        torch.set_num_threads(threads)
        row, found = _made(run, folder, root)
        # What pairs need goes first: a row that stands says that it does.
        with atomic_file(folder / f"{run.key}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **found)  # type: ignore[arg-type]
        return {"dataset": run.dataset, **row}

    return kept(folder / f"{run.key}.json", make)


def _made(run: Run, folder: Path, root: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The row of a run, and its metrics of each user."""
    if run.dataset == "stream":
        return stream.foretold(run)
    if run.dataset == "loop":
        return loop.played(run, folder)
    split = split_of(run.dataset, root)
    if run.model in BASELINES:
        row, report = count_and_test(run.model, BASELINES[run.model], split)
    else:
        row, report = train_and_test(run.model, CONFIGS[run.model][run.dataset], split, run.seed)
    found = report.per_query()
    return row, {metric: found[metric] for metric in METRICS[:2]}


def per_query(run: Run, folder: Path, metric: str) -> np.ndarray | None:
    """A metric of each test user, in their order; None if the run is not done."""
    path = folder / f"{run.key}.npz"
    if not path.exists() or not (folder / f"{run.key}.json").exists():
        return None
    with np.load(path) as found:
        values: np.ndarray = found[metric]
    return values
