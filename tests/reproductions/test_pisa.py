"""The table of repeats: its logs, its runs that are kept, and claims that follow the figures."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recgym.data.synthetic import iid_log, markov_log, random_transitions, zipf_popularity
from recgym.encoders.pisa import PISAConfig
from recgym.evaluation.sessions import SessionReport
from recgym.simulators.actr.sessions import Calendar, live
from recgym.simulators.actr.world import ACTRRecords
from reproductions.pisa import runs
from reproductions.pisa.__main__ import main
from reproductions.pisa.bounds import BOUNDS, OwnLaw
from reproductions.pisa.data import DATASETS, Cut, Dataset, in_sessions, known_memory, unit_time
from reproductions.pisa.learned import LEARNED
from reproductions.pisa.models import BASELINES
from reproductions.pisa.relisten import claims_of
from reproductions.pisa.runs import KEPT, RUNS, SEEDS, Run, fit_and_test, per_query, run_one
from reproductions.pisa.summary import claims, notes


def test_made_up_logs_have_sessions() -> None:
    for log in (in_sessions(iid_log(20, 60, zipf_popularity(50), 0)),
                in_sessions(markov_log(20, 60, random_transitions(50, 0.1, 0), 0)),
                known_memory(20, 60, 5, 0)):  # fmt: skip
        sizes = log.frame.group_by("user", "session").agg(rows=pl.len(), items=pl.col("item").n_unique())
        assert (sizes["rows"] == sizes["items"]).all()
        assert sizes["rows"].is_between(5, 10).all()


def test_order_becomes_unit_time() -> None:
    log = iid_log(3, 4, zipf_popularity(5), 0)
    found = unit_time(log).frame
    assert found["time_s"].to_list() == [0.0, 1.0, 2.0, 3.0] * 3
    assert found["session"].to_list() == list(range(12))
    assert unit_time(log).time_unit == "s"


def test_what_no_seed_changes_runs_once() -> None:
    assert len({run.key for run in RUNS}) == len(RUNS)
    assert sum(run.dataset == "online-retail" and run.model == "p-top" for run in RUNS) == 1
    assert sum(run.dataset == "online-retail" and run.model == "repeat-gate" for run in RUNS) == len(SEEDS)
    assert sum(run.dataset == "actr" and run.model == "p-top" for run in RUNS) == len(SEEDS)
    assert {run.dataset for run in RUNS} == set(DATASETS)


def test_a_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Dataset(lambda root, seed: known_memory(30, 60, 6, seed), 3600.0, seeded=True)
    monkeypatch.setitem(DATASETS, "tiny", tiny)
    run = Run("tiny", "p-top", 1)
    row = run_one(run, tmp_path, tmp_path, 1)
    values = per_query(run, tmp_path, "ndcg@10")
    assert values is not None
    assert row["ndcg@10"]["mean"] == pytest.approx(np.nanmean(values))
    assert per_query(Run("tiny", "p-top", 2), tmp_path, "ndcg@10") is None

    def never(*arguments: Any) -> tuple[dict[str, Any], SessionReport]:
        raise AssertionError("a run that is done was run again")

    monkeypatch.setattr(runs, "fit_and_test", never)
    assert run_one(run, tmp_path, tmp_path, 1) == row


@pytest.mark.parametrize("model", list(BASELINES))
def test_every_baseline_fits(model: str) -> None:
    row, _ = fit_and_test(model, BASELINES[model], Cut.of(known_memory(25, 60, 6, 0), 3600.0, 1, 1), 0)
    assert 0 <= row["ndcg@10"]["mean"] <= 1
    assert row["settings"] is not None


def test_the_oracle_ranks_by_the_law_that_made_the_log() -> None:
    cut = Cut.of(known_memory(40, 60, 8, 0), 3600.0, 1, 1)
    oracle, test, draws = BOUNDS["oracle"](cut, 0).model, cut.split.test, 20_000
    assert isinstance(oracle, OwnLaw)
    history = test.history(np.array([3]), None)
    users, now_s = torch.from_numpy(test.users[[3]]), torch.from_numpy(test.query_time_s[[3]])
    scores = oracle.scores(users, history, now_s)[0].numpy()
    assert scores.sum() == pytest.approx(1.0, abs=1e-5)
    # The same person, at the same moment, takes a first item many times.
    assert history.time_s is not None
    age = (history.time_s - now_s[:, None]).numpy()
    last = age[0, np.flatnonzero(np.diff(age[0]) > 3600.0)[-1] + 1]
    person = ACTRRecords(
        history.items.numpy().repeat(draws, 0), age.repeat(draws, 0), np.full(draws, last),
        oracle.taste[users].numpy().repeat(draws, 0), np.zeros(draws, dtype=np.float32),
    )  # fmt: skip
    calendar = Calendar(torch.zeros(draws, 1, 10, dtype=torch.float64), torch.ones(draws, 1, dtype=torch.int64))
    taken = live(oracle.memory, oracle.items, person, calendar, 80, torch.Generator().manual_seed(0))
    share = np.bincount(taken.item, minlength=60) / draws
    assert np.abs(share - scores).max() < 5 * np.sqrt(scores.max() / draws)


def test_the_oracle_is_above_and_chance_below_all_others() -> None:
    cut = Cut.of(known_memory(150, 300, 16, 0), 3600.0, 2, 2)
    fits = {**BOUNDS, **{name: BASELINES[name] for name in ("g-top", "p-top", "actr-repeat", "tifu-knn")}}
    means = {name: fit_and_test(name, fit, cut, 0)[0]["ndcg@10"]["mean"] for name, fit in fits.items()}
    assert max(means, key=means.__getitem__) == "oracle"
    assert min(means, key=means.__getitem__) == "random"


@pytest.mark.parametrize("model", ["pisa-p", "session-sasrec"])
def test_every_learned_model_fits(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reproductions.pisa.learned._BASE", PISAConfig(width=8, epochs=2))
    row, _ = fit_and_test(model, LEARNED[model], Cut.of(known_memory(25, 60, 6, 0), 3600.0, 1, 1), 0)
    assert 0 <= row["ndcg@10"]["mean"] <= 1
    assert row["epochs"] == 2
    assert row["settings"]["gap_s"] == 3600.0
    assert row["settings"]["spreading"] == (model == "pisa-p")


def _rows(folder: Path, figures: dict[tuple[str, str], tuple[float, float, float]]) -> list[dict[str, Any]]:
    """Rows and the values behind them: NDCG of all, repeated and explored items, by data set and model."""
    rows = []
    for (dataset, model), means in figures.items():
        for seed in SEEDS:
            names = ("ndcg@10", "ndcg@10_repeated", "ndcg@10_explored")
            noise = 0.001 * np.random.default_rng(seed).standard_normal(200)
            parts = {name: mean + noise * (mean > 0) for name, mean in zip(names, means, strict=True)}
            run = Run(dataset, model, seed)
            np.savez(folder / f"{run.key}.npz", users=np.arange(200), **parts)  # type: ignore[arg-type]
            (folder / f"{run.key}.json").write_text("{}")
            intervals = {
                name: {"mean": float(part.mean()), "low": float(part.mean()), "high": float(part.mean())}
                for name, part in parts.items()
            }
            log = {"repeats_of_log": 0.65, "repeats_of_targets": 0.7, "repeats@10": {"mean": 0.9}}
            rows.append({"dataset": dataset, "model": model, "seed": seed, **intervals, **log})
    return rows


GOOD = {
    **{("actr", model): (0.3, 0.5, 0.02) for model in BASELINES},
    ("actr", "actr-repeat"): (0.33, 0.6, 0.0),
    ("actr", "session-sasrec"): (0.2, 0.2, 0.1), ("actr", "pisa-p"): (0.4, 0.55, 0.1),
    ("actr", "pisa-bl"): (0.33, 0.5, 0.05), ("actr", "pisa-bl-spr"): (0.39, 0.5, 0.05),
    ("markov", "pisa-p"): (0.1, 0.1, 0.1), ("markov", "session-sasrec"): (0.11, 0.1, 0.1),
    ("iid", "pisa-p"): (0.1, 0.1, 0.1), ("iid", "session-sasrec"): (0.1, 0.1, 0.1),
}  # fmt: skip


def test_claims_follow_the_figures(tmp_path: Path) -> None:
    made = claims(_rows(tmp_path, GOOD), tmp_path)
    assert len(made) == 8
    assert all(claim.holds for claim in made)
    bad = {
        **GOOD,
        ("actr", "actr-repeat"): (0.33, 0.5, 0.01), ("actr", "pisa-p"): (0.29, 0.55, 0.1),
        ("actr", "tifu-knn"): (0.31, 0.6, 0.0), ("actr", "pisa-bl-spr"): (0.28, 0.5, 0.05),
        ("markov", "pisa-p"): (0.12, 0.1, 0.1),
    }  # fmt: skip
    failing = [claim.claim for claim in claims(_rows(tmp_path, bad), tmp_path) if not claim.holds]
    assert len(failing) == 6
    assert not any(claim.startswith("iid") for claim in failing)


def test_unfinished_models_decide_nothing(tmp_path: Path) -> None:
    some = {key: means for key, means in GOOD.items() if key[1] in BASELINES}
    made = claims(_rows(tmp_path, some), tmp_path)
    assert len(made) == 3
    assert not any("pisa-p" in claim.claim for claim in made)


def test_notes_say_where_a_simple_baseline_wins(tmp_path: Path) -> None:
    figures = {("wikipedia", "p-top"): (0.8, 0.9, 0.1), ("wikipedia", "pisa-p"): (0.7, 0.9, 0.1)}
    said = notes(_rows(tmp_path, figures))[0]
    assert said.startswith("wikipedia: a simple baseline, p-top, is best")
    assert "90% of its lists" in said
    assert "pisa-p has 0.700, with 0.900 on repeated" in said
    alone = notes(_rows(tmp_path, {("wikipedia", "p-top"): (0.8, 0.9, 0.1)}))[0]
    assert "pisa-p" not in alone


def test_fitted_users_are_held_against_popularity() -> None:
    def part(ratio: float, distance: float) -> dict[str, Any]:
        return {"repeat_ratio": {"mean": ratio}, **dict.fromkeys(("gap_ks", "user_ks", "user_error"), distance)}

    row = {"held_out": part(0.5, 0.0), "actr": part(0.45, 0.1), "popularity": part(0.2, 0.4)}
    assert all(claim.holds for claim in claims_of(row))
    assert not any(claim.holds for claim in claims_of({**row, "actr": part(0.9, 0.5)}))


def test_quick(tmp_path: Path) -> None:
    assert main(["--quick", "--work", str(tmp_path), "--threads", "1", "--out", str(tmp_path / "quick.json")]) == 0


def test_kept_metrics_are_those_that_claims_need() -> None:
    assert {"ndcg@10", "ndcg@10_repeated", "ndcg@10_explored"} <= set(KEPT)
