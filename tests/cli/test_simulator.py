import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from safetensors.torch import save_file

from recgym.cli import simulator
from recgym.cli.main import main
from recgym.cli.simulator_set import mean_of
from recgym.simulators.learned import FittedSimulator, SetConfig, SimulatorSet, fit, record_gate, refine
from tests.simulators.learned.known import SMALL, fitted, known, known_log


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known") / "log"
    known().log.save(folder)
    return folder


def test_fit_then_check(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulator, "fit", partial(fit, config=SMALL))
    monkeypatch.setattr(refine, "LEAVE_ROUNDS", 4)
    out, seen = tmp_path / "simulator", tmp_path / "check"
    common = ["--data", str(data), "--format", "recgym", "--json"]
    assert main(["simulator", "fit", *common, "--out", str(out), "--holdout", "0.2", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["check"]["passed"]
    assert printed.err == ""
    loaded = FittedSimulator.load(out)
    assert loaded.facts.end_time < known().log.frame["time_s"].max()  # type: ignore[operator]
    assert main(["simulator", "check", "--simulator", str(out), *common, "--out", str(seen)]) == 0
    printed = capsys.readouterr()
    assert set(json.loads(printed.out)["channels"]) == {"click", "watch", "stars"}
    assert "served as history only" in printed.err
    assert main(["report", str(out)]) == 0
    assert "Fidelity of simulator" in (out / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(seen)]) == 0
    assert "Fidelity of simulator" in (seen / "report.html").read_text(encoding="utf-8")


def test_a_failed_gate_is_status_1_and_noted_in_the_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "simulator"
    fitted().save(out)
    check = ["simulator", "check", "--simulator", str(out), "--data", str(data), "--format", "recgym"]
    assert main([*check, "--gate.max-ece", "0"]) == 1
    assert "gate: FAILED" in capsys.readouterr().out
    assert "calibration" in FittedSimulator.load(out).warnings[0]


def test_a_set_is_not_refined(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["simulator", "fit", "--data", str(data), "--format", "recgym", "--out", str(tmp_path / "set")]
    assert main([*fit, "--adversarial", "--members", "2"]) == 2
    assert "refines a single simulator, found --members 2" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


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


def test_fit_a_set_then_check_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = replace(SMALL, max_epochs=2)
    monkeypatch.setattr(simulator, "SetConfig", partial(SetConfig, base=quick, dynamics=False))
    known_log(users=80, sessions=5).log.save(tmp_path / "log")
    out = tmp_path / "set"
    common = ["--data", str(tmp_path / "log"), "--format", "recgym"]
    fitting = ["simulator", "fit", *common, "--out", str(out), "--holdout", "0.2", "--members", "2"]
    first = main(fitting)
    said = capsys.readouterr()
    assert "member 1, pass 1" in said.err
    assert "means over 2 members" in said.out
    assert len(SimulatorSet.load(out).members) == 2
    assert main(fitting) == first
    assert "pass 1" not in capsys.readouterr().err, "members that are there are not fitted again"
    assert main(["simulator", "check", "--simulator", str(out), *common, "--json"]) == first
    found = json.loads(capsys.readouterr().out)
    of_members = [member["channels"]["click"]["auc"] for member in found["members"]]
    assert found["channels"]["click"]["auc"] == pytest.approx(sum(of_members) / 2)
    assert of_members[0] != of_members[1]
    assert found["passed"] == (not found["failures"]) == all(member["passed"] for member in found["members"])


def test_a_set_fails_with_any_of_its_members(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = fitted().network.state_dict()
    out = tmp_path / "set"
    SimulatorSet([fitted(), fitted()]).save(out)
    weights = {name: weight.clone() for name, weight in broken.items()}
    weights["logit_shift"] += 2.0
    save_file(weights, out / "member-1" / "weights.safetensors")
    assert main(["simulator", "check", "--simulator", str(out), "--data", str(data), "--format", "recgym"]) == 1
    printed = capsys.readouterr().out
    assert "gate: FAILED: member 1: " in printed
    assert "member 0: " not in printed
    assert FittedSimulator.load(out / "member-0").warnings == ()
    assert FittedSimulator.load(out / "member-1").warnings


def test_means_go_place_by_place() -> None:
    assert mean_of([{"a": 1, "b": [1.0, None], "c": "x"}, {"a": 2, "b": [3.0, 5.0], "c": "x"}]) == {
        "a": 1.5, "b": [2.0, 5.0], "c": "x",
    }  # fmt: skip
    assert mean_of(["x", "y"]) is None
    assert mean_of([True, True]) is True
    assert mean_of([None, None]) is None
