"""The table of encoders: runs are kept, claims say what the rows say, pairs are of the same users."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.data import InteractionLog, markov_log, random_transitions
from recgym.encoders import FitConfig, SASRecConfig
from reproductions.encoders import data, models, runs, summary
from reproductions.encoders.models import Run
from tests.shared import shared_data

SMALL = SASRecConfig(width=16, blocks=1, window=8, fit=FitConfig(epochs=2, batch_size=32, step_size=1e-2))


def _log(root: Path) -> InteractionLog:
    return markov_log(60, 10, random_transitions(20, 3, seed=0), seed=0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(data.DATASETS, "beauty", _log)
    monkeypatch.setitem(models.CONFIGS, "sasrec", {"beauty": SMALL})
    data.split_of.cache_clear()
    yield
    data.split_of.cache_clear()


def test_a_run_is_kept_with_its_users(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("beauty", "sasrec", 0)
    row = runs.run_one(run, tmp_path, tmp_path, 1)
    assert json.loads((tmp_path / "beauty_sasrec_0.json").read_text())["hr@10"] == row["hr@10"]
    values = runs.per_query(run, tmp_path, "hr@10")
    assert values is not None
    assert values.mean() == pytest.approx(row["hr@10"]["mean"])
    assert row["protocol"]["ties"] == "ties count against the model"
    monkeypatch.setattr(runs, "train_and_test", None)  # what is kept is not run again
    assert runs.run_one(run, tmp_path, tmp_path, 1) == row


def test_what_is_counted_needs_no_training(small: None, tmp_path: Path) -> None:
    row = runs.run_one(Run("beauty", "markov", 0), tmp_path, tmp_path, 1)
    assert row["hr@10"]["mean"] > 10 / 20
    assert "epochs" not in row


def _row(value: float) -> dict[str, Any]:
    interval = {"mean": value, "low": value - 0.01, "high": value + 0.01}
    return {"dataset": "beauty", "model": "sasrec", "seed": 0, "hr@10": interval, "ndcg@10": interval}


@pytest.mark.parametrize(("value", "holds"), [(0.08, [True, True]), (0.05, [False, True]), (0.01, [False, False])])
def test_claims_fail_where_a_mean_is_short_of_its_reference(value: float, holds: list[bool], tmp_path: Path) -> None:
    assert [claim.holds for claim in summary.claims([_row(value)], tmp_path)] == holds


def test_gains_are_paired_over_users(tmp_path: Path) -> None:
    base = np.random.default_rng(0).random(400)
    for name, values in (("sasrec", base), ("gbce", base + 0.01)):
        for seed in range(2):
            (tmp_path / f"beauty_{name}_{seed}.json").write_text("{}")
            np.savez(tmp_path / f"beauty_{name}_{seed}.npz", **{"ndcg@10": values})  # type: ignore[arg-type]
    (gain,) = summary.gains(tmp_path)
    assert (gain["model"], gain["minus"]) == ("gbce", "sasrec")
    assert gain["ndcg@10"]["low"] == pytest.approx(0.01)
    assert gain["ndcg@10"]["high"] == pytest.approx(0.01)


def test_the_data_sets_are_the_public_ones() -> None:
    root = shared_data("ml-1m").parent
    split = data.split_of("beauty", root)
    assert (split.train.n_users, split.train.n_items) == (22_363, 12_101)
    assert len(split.test) == 22_363
