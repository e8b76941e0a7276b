import json
from functools import partial
from pathlib import Path

import pytest

from recgym.cli.main import main
from recgym.evaluation.fidelity import GateConfig, check_fidelity
from recgym.simulators.learned import FittedSimulator, record_gate
from tests.simulators.learned.known import fitted, known


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known") / "log"
    known().log.save(folder)
    return folder


def test_fit_then_check(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "simulator"
    status = main(
        ["simulator", "fit", "--data", str(data), "--format", "recgym", "--out", str(out), "--holdout", "0.2"]
    )
    assert status == 0
    assert "gate: passed" in capsys.readouterr().out
    loaded = FittedSimulator.load(out)
    assert loaded.facts.end_time < known().log.frame["time_s"].max()  # type: ignore[operator]
    status = main(["simulator", "check", "--simulator", str(out), "--data", str(data), "--format", "recgym", "--json"])
    printed = capsys.readouterr()
    assert status == 0
    assert set(json.loads(printed.out)["channels"]) == {"click", "watch", "stars"}
    assert "served as history only" in printed.err


def test_a_failed_gate_is_status_1_and_noted_in_the_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = partial(check_fidelity, gate=GateConfig(max_ece=0.0))
    monkeypatch.setattr("recgym.cli.simulator.check_fidelity", strict)
    out = tmp_path / "simulator"
    fitted().save(out)
    status = main(["simulator", "check", "--simulator", str(out), "--data", str(data), "--format", "recgym"])
    assert status == 1
    assert "gate: FAILED" in capsys.readouterr().out
    assert "calibration" in FittedSimulator.load(out).warnings[0]


def test_a_gate_that_is_passed_later_clears_the_note(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "simulator"
    fitted().save(out)
    record_gate(out, ("old failure",))
    assert main(["simulator", "check", "--simulator", str(out), "--data", str(data), "--format", "recgym"]) == 0
    assert FittedSimulator.load(out).warnings == ()


def test_wrong_folders_are_one_sentence_and_status_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["simulator", "check", "--simulator", str(tmp_path), "--data", str(data), "--format", "recgym"])
    assert status == 2
    assert "is not a fitted simulator" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "simulator")
    assert main(["simulator", "fit", "--data", str(data), "--format", "recgym", "--out", out]) == 2
    assert "cannot be written" in capsys.readouterr().err
