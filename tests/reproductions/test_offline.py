"""Offline learners side by side: runs that are kept, users held out, estimates, and claims that can fail."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.data.readers import read_log
from recgym.data.transitions import PickReading, transitions_from_log
from recgym.stats import t_interval
from reproductions.offline import __main__ as command
from reproductions.offline import runs, summary
from reproductions.offline.arms import ARMS, BASES, FULL, LEARNERS, WORLDS, Budget, Run, config_of, missing
from reproductions.offline.valuing import ESTIMATES, values
from reproductions.offline.worlds import FOLDS, SIGNALS, behaviour, fold, logged, short_video, uniform
from tests.data import samples

TINY = Budget(3, 1, 1, 10, 20, 100, 1, 32, 2)
NOWHERE = Path("nowhere")


@pytest.mark.parametrize("arm", LEARNERS)
def test_every_arm_has_settings_or_says_what_is_missing(arm: str) -> None:
    if missing(arm):
        assert "pip install 'recgym[offline]'" in missing(arm)
        return
    for world in WORLDS:
        assert config_of(arm, SIGNALS[world], FULL).name


def test_every_user_is_held_out_once() -> None:
    store = logged(0, 100, 1)
    held: list[np.ndarray] = []
    for seed in range(FOLDS):
        train, test = fold(store, seed)
        learned, out = (np.unique(part.columns["user"][part.steps]) for part in (train, test))
        assert not np.isin(out, learned).any()
        held.append(out)
    assert np.array_equal(np.sort(np.concatenate(held)), np.unique(store.columns["user"]))


def test_the_policy_of_the_log_is_valued_at_the_mean_of_the_log() -> None:
    store = logged(0, 100, 1)
    found = values(store, behaviour(short_video(1)), TINY, 0, modelled=False)
    reward = store.columns["reward"][store.steps].astype(np.float64)
    assert found["NCIS by step"]["value"] == pytest.approx(reward.mean(), rel=1e-4)
    assert found["NCIS by step"]["ess"] == pytest.approx(len(store), rel=1e-4)
    assert found["NCIS by step"]["low"] < reward.mean() < found["NCIS by step"]["high"]
    assert "DR" not in found


@pytest.mark.parametrize("arm", ["bc_greedy", "dt"])
def test_a_run_is_kept(arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = runs.run_one(Run("short-video", arm, 0), tmp_path, TINY, NOWHERE)
    assert ("DR" in row["estimates"]) == (arm != "dt")  # models of values know nothing of a memory
    assert row["test"]["return"] == pytest.approx(np.mean(row["test"]["returns"]))
    assert 0 <= row["test"]["days_away"] <= 30
    monkeypatch.setattr(runs, "measured", None)  # what is kept is not run again
    assert runs.run_one(Run("short-video", arm, 0), tmp_path, TINY, NOWHERE) == row


def test_an_arm_that_cannot_learn_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = replace(SIGNALS["short-video"], auxiliary=("long_view",))
    monkeypatch.setitem(SIGNALS, "short-video", alone)
    row = runs.measured(Run("short-video", "tscac", 0), TINY, NOWHERE)
    assert "at least one other" in row["reason"]
    told = {one["arm"]: one for one in summary.rows([row], "short-video")}
    assert told["tscac"]["reason"] == row["reason"]
    assert told["bc"]["reason"] == "not run yet"
    assert list(told) == list(ARMS)


def test_picks_are_valued_with_a_clone_in_place_of_propensities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = read_log(samples.ebnerd_parts(tmp_path), "ebnerd")
    store = transitions_from_log(log, PickReading(), {"scroll": 0.01}).store
    seen = store.observations(store.steps)
    problem = store.problem
    policy = uniform(problem)
    padding = (seen["candidates"] >= problem.num_items).float().argmax(1)
    padded = (seen["candidates"] >= problem.num_items).any(1)
    log_prob, _ = policy.log_prob(seen, padding, policy.init_state(len(padding), "cpu"))
    assert (log_prob[padded] < -1e6).all()
    monkeypatch.setattr(runs, "_parts", lambda *_: (store, store))
    row = runs.measured(Run("ebnerd", "random", 0), TINY, tmp_path)
    assert set(row["estimates"]) == set(ESTIMATES)
    assert set(row["read_time"]) == set(ESTIMATES[:2])
    assert row["logged"] == pytest.approx(float(store.columns["reward"][store.steps].sum()) / len(store.episodes))
    runs._stand_in.cache_clear()


def _rows(gain: float, rank: int) -> list[dict[str, Any]]:
    """Rows of three seeds in which one arm differs from cloning, and estimates go with the truth or against it."""
    levels = {"random": 1.0, **dict.fromkeys(LEARNERS, 2.0), "dt": 2.0 + gain, "tscac": 1.5}
    found = []
    for world in WORLDS:
        for seed in range(3):
            for arm, level in levels.items():
                value = level * (1 + 0.01 * seed)
                told = {"value": rank * value, "low": 0.0, "high": 9.0, "ess": 900.0, "rows": 1000, "warnings": []}
                test = dict.fromkeys(("watch_time", "like", "days_away", "steps"), 1.0)
                found.append(
                    {"world": world, "arm": arm, "seed": seed, "training_seconds": 1.0, "logged": 1.0,
                     "estimates": {"NCIS": told}, "read_time": {"NCIS": told},
                     "test": {"return": value, "returns": [value, value * 1.1], **test}}
                )  # fmt: skip
    return found


@pytest.mark.parametrize(("gain", "rank"), [(0.5, 1), (-0.5, -1)])
def test_claims_can_fail(gain: float, rank: int) -> None:
    made = summary.claims(_rows(gain, rank), "short-video")
    assert [claim.holds for claim in made] == [True, gain > 0, rank > 0]
    assert ("dt; level" in made[1].claim) == (gain > 0)
    held = summary.claims(_rows(gain, 1), "ebnerd")
    assert [claim.holds for claim in held] == [True, gain > 0]


def test_limits_are_those_of_all_comparisons() -> None:
    rows = _rows(0.5, 1)
    claim = summary.claims(rows, "short-video")[1]
    mine = [[run["test"]["return"] for run in rows[: len(rows) // 2] if run["arm"] == arm] for arm in ("dt", "bc")]
    gains = np.subtract(mine[0], mine[1])
    assert claim.low == pytest.approx(t_interval(gains, 1 - 0.05 / len(BASES)).low)
    assert claim.low < t_interval(gains).low


def test_few_sessions_decide_nothing() -> None:
    rows = _rows(0.5, 1)
    for row in rows:
        if row["arm"] == "dt" and row["seed"] == 1:
            row["estimates"]["NCIS"] = {**row["estimates"]["NCIS"], "ess": 20.0}
    assert not summary.claims(rows, "ebnerd")[1].holds


def test_without_ebnerd_a_note_says_so(tmp_path: Path) -> None:
    done = ["--finished", "--only", "ebnerd", "--data", str(tmp_path / "no"), "--work", str(tmp_path / "work")]
    assert command.main(done) == 0
    told = (tmp_path / "work" / "only.json").read_text()
    assert "EB-NeRD was left out" in told
    assert "not run yet" in told
