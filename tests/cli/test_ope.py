"""``recgym ope`` from a recorded log and a trained agent to estimates beside what the agent earns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.agents import ScoredPolicy
from recgym.cli.main import main
from recgym.envs import make_task
from recgym.evaluation import action_spec, record

KWARGS = ["--env-kwargs", "num_candidates=4", "window=5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of random slates, and behaviour cloned from its best episodes."""
    here = tmp_path_factory.mktemp("ope")
    log = ["record", "--env", "recgym/ShortVideo-v0", *KWARGS, "--steps", "5000", "--max-steps", "3"]
    assert main([*log, "--out", str(here / "log"), "--quiet"]) == 0
    train = ["train", "--log", str(here / "log"), "--agent", "bc", "--best", "0.2", "--updates", "60"]
    assert main([*train, "--out", str(here / "bc"), "--quiet"]) == 0
    return here


def test_estimates_stand_beside_what_is_earned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    words = ["ope", "--log", str(folder / "log"), "--policies", str(folder / "bc"), "--model-updates", "50"]
    online = ["--env", "recgym/ShortVideo-v0", *KWARGS, "--users", "512", "--max-steps", "3"]
    assert main([*words, *online, "--resamples", "50", "--json", "--out", str(folder / "ope")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((folder / "ope" / "result.json").read_text())
    assert set(result["policies"]) == {str(folder / "bc"), "random"}
    random = {each["estimator"]: each for each in result["policies"]["random"]["estimates"]}
    assert set(random) == {"TIS", "WIS", "PDIS", "SNPDIS", "NCIS", "DM", "DR", "WDR", "MAGIC"}
    # The log is that of the random policy: weights are 1 and values the logged return.
    for name in ("TIS", "WIS", "PDIS", "SNPDIS", "NCIS"):
        assert random[name]["value"] == pytest.approx(result["logged_return"], rel=1e-4)
    assert random["PDIS"]["diagnostics"]["effective_n"] == pytest.approx(result["episodes"], rel=1e-4)
    cloned = {each["estimator"]: each for each in result["policies"][str(folder / "bc")]["estimates"]}
    earned = result["policies"][str(folder / "bc")]["online"]["return"]
    wide = cloned["PDIS"]["high"] - cloned["PDIS"]["low"]
    assert cloned["PDIS"]["value"] == pytest.approx(earned, abs=1.5 * wide)
    assert all(each["low"] <= each["value"] <= each["high"] for each in cloned.values())


def test_the_table_names_what_it_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ope", "--log", str(folder / "log"), "--model-updates", "0", "--resamples", "20"]) == 0
    shown = capsys.readouterr().out
    assert "effective sample size" in shown
    assert "PDIS" in shown
    assert "MAGIC" not in shown


def test_what_is_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ope", "--log", str(tmp_path)]) == 2
    assert "holds no steps to learn from, as it has no transitions.json" in capsys.readouterr().err


def test_steps_without_propensities_are_told_before_anything_is_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 5})
    policy: Any = ScoredPolicy(action_spec(task), lambda seen: seen["candidates"] * 1.0, temperature=0.0)
    store = record(policy, task, 100, tmp_path / "log", seed=0)
    log = tmp_path / "log" / "log_propensity.bin"
    np.full(len(store.columns["log_propensity"]), np.nan, np.float32).tofile(log)
    assert main(["ope", "--log", str(tmp_path / "log"), "--quiet"]) == 2
    assert "have no propensity; --behaviour DIR names an agent" in capsys.readouterr().err
