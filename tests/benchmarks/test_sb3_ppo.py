import json
from pathlib import Path

import pytest

from benchmarks.sb3_ppo import main


def test_a_quick_run_measures_speed_and_learning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sb3_ppo.json"
    assert main(["--quick", "--json", "--out", str(out)]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body == json.loads(out.read_text())
    assert (body["settings"]["n_steps"], body["settings"]["batch_size"], body["settings"]["n_epochs"]) == (140, 8960, 4)
    assert body["num_envs"] == 256
    (run,) = body["runs"]
    assert run["steps"] == 107_520
    assert run["steps_per_s"] == body["steps_per_s"]["median"] > 0
    assert [row["steps"] for row in run["learning_curve"]] == [35_840, 71_680, 107_520]
    assert run["greedy"]["low"] < run["greedy"]["return"] < run["greedy"]["high"]
