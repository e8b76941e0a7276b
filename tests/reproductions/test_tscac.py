"""TSCAC on short videos: what is measured, how settings are chosen, and claims that can fail."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reproductions.tscac import runs, summary
from reproductions.tscac.arms import ARMS, FULL, Budget, Run, config_of
from reproductions.tscac.ncis import Valued, rank_agreement, valued
from reproductions.tscac.runs import RESPONSES
from reproductions.tscac.world import MAIN, behaviour, log_of, serve, world

TINY = Budget(clone=5, stage1=3, total=12, steps=1000, users=20, logged_tests=1000)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_settings(arm: str) -> None:
    for setting in ARMS[arm]:
        assert config_of(Run("boosted", arm, setting, 0), FULL).name


def test_a_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("boosted", "tscac", 1.0, 0)
    row = runs.run_one(run, tmp_path, TINY)
    value = runs.arrays_of(run, tmp_path)
    assert value.estimate() == pytest.approx(row["ncis"])
    assert 0 < row["ess"] <= 25_000
    monkeypatch.setattr(runs, "measured", None)  # what is kept is not run again
    assert runs.run_one(run, tmp_path, TINY) == row


def test_expected_rates_agree_with_what_happened() -> None:
    users = world("boosted")
    served = serve(behaviour(users), users, 1500, (5,))
    log = log_of("boosted", 0, 20_000)
    seen = log.responses(log.steps).mean(0)
    expected = served.per_video()
    assert served.length.shape == (1500,)
    for name, tolerance in ((MAIN, 0.05), ("like", 0.06), ("comment", 0.12)):
        column = users.model.schema.index(name)
        assert expected[column] == pytest.approx(seen[column], rel=tolerance), name


def test_the_policy_of_the_log_is_valued_at_the_mean_of_the_log() -> None:
    users = world("boosted")
    log = log_of("boosted", 0, 1000)

    class Known:
        def __init__(self) -> None:
            self.start = 0

        def network(self, seen: Any) -> "Known":
            return self

        def log_prob(self, action: Any) -> Any:
            points = log.steps[self.start : self.start + len(action)]
            self.start += len(action)
            return torch.from_numpy(log.columns["log_propensity"][points])

    value = valued(Known(), log, MAIN)  # type: ignore[arg-type]
    column = users.model.schema.index(MAIN)
    assert value.estimate() == pytest.approx(float(log.responses(log.steps)[:, column].mean()), rel=1e-5)
    assert value.effective() == pytest.approx(len(log))


def test_rank_agreement() -> None:
    rng = np.random.default_rng(0)
    ones = np.ones(500)
    policies = [Valued(ones, ones * level + rng.normal(0, 0.1, 500), ones) for level in (1.0, 2.0, 3.0, 4.0)]
    same = rank_agreement({0: policies}, {0: [1.0, 2.0, 3.0, 4.0]})
    assert same == (1.0, 1.0, 1.0)
    assert rank_agreement({0: policies}, {0: [4.0, 3.0, 2.0, 1.0]}).mean == -1.0


def _rows(changes: dict[tuple[str, float], tuple[float, ...]]) -> list[dict[str, Any]]:
    """Rows of three seeds: changes against cloning in watch time, likes, comments and hates."""
    base, found = np.array([10.0, 0.1, 0.03, 0.01]), []
    for arm, settings in ARMS.items():
        for setting in settings:
            for seed in range(3):
                values = base * (1 + np.array(changes.get((arm, setting), (0.0,) * 4))) * (1 + 0.001 * seed)
                means = dict(zip(RESPONSES, values.tolist(), strict=True))
                found.append(
                    {"variant": "boosted", "arm": arm, "setting": setting, "seed": seed, "validation": means,
                     "test": means, "session_length": 1.0, "ncis": 1.0, "ess": 1.0, "training_seconds": 1.0}
                )  # fmt: skip
    return found


GOOD: dict[tuple[str, float], tuple[float, ...]] = {
    ("tscac", 0.03): (0.5, 0.1, 0.1, 0.3),
    ("tscac", 0.1): (0.3, 0.1, 0.1, 0.0),
    ("tscac", 0.3): (0.2, 0.1, 0.1, -0.1),
    ("tscac", 1.0): (0.1, 0.1, 0.1, -0.1),
    ("a2c", 0.1): (0.9, -0.3, 0.0, 0.0),
    ("a2c", 1.0): (0.6, -0.1, 0.0, 0.0),
}


def test_settings_are_the_best_within_the_margins() -> None:
    picked = summary.chosen(_rows(GOOD), "boosted")
    assert picked["tscac"] == 0.1
    assert picked["a2c"] == 1.0  # none is within: the one that misses by least
    only_test = [{**row, "test": dict.fromkeys(RESPONSES, 1.0)} for row in _rows(GOOD)]
    assert summary.chosen(only_test, "boosted") == picked


@pytest.mark.parametrize(("hate", "holds"), [(0.0, True), (0.05, False)])
def test_claims_can_fail(hate: float, holds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "arrays_of", lambda run, folder: Valued(*(np.ones((3, 5)) + run.setting)))
    changes = {
        name: (*values[:3], max(values[3], hate)) if name[0] == "tscac" else values for name, values in GOOD.items()
    }
    made = {claim.claim.split(": ")[1][:12]: claim for claim in summary.claims(_rows(changes), "boosted", tmp_path)}
    assert made["watch time o"].holds
    assert made["hate of TSCA"].holds == holds
    assert made["like of TSCA"].holds
    assert made["A2C or RCPO "].holds
    assert made["watch time r"].holds
