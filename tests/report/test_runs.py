"""Finding runs: what each command writes is recognised, what goes on is told from what is done."""

import json
import os
from pathlib import Path

import pytest

from recgym.report.pages import report_of, run_in
from recgym.report.runs import Kind, Runs, State
from tests.report.runs_sample import curve, write_runs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_runs(tmp_path / "runs")
    return tmp_path / "runs"


def test_every_kind_of_run_is_found_by_what_it_wrote(root: Path) -> None:
    found = Runs([root]).look()
    assert {run.name: run.kind for run in found.runs} == {
        "demo": Kind.DEMO, "train/a": Kind.TRAINING, "train/b": Kind.TRAINING, "offline": Kind.OFFLINE,
        "evaluated": Kind.EVALUATION, "check": Kind.CHECK, "ope": Kind.OPE, "ab": Kind.EXPERIMENT,
        "encoder/a": Kind.ENCODER, "encoder/b": Kind.ENCODER, "sweep": Kind.SWEEP, "sweep/trials/0000": Kind.TRAINING,
    }  # fmt: skip
    assert found.problems == ()
    for run in found.runs:
        assert report_of(run).sections, run.name


def test_a_run_goes_on_until_it_has_a_result_and_stops_if_nothing_is_written(root: Path) -> None:
    runs = Runs([root / "train"])

    def states() -> dict[str, State]:
        return {run.name: run.state for run in runs.look().runs}

    assert states() == {"a": State.DONE, "b": State.RUNNING}
    for file in (root / "train" / "b").iterdir():
        os.utime(file, (1e9, 1e9))
    assert states()["b"] is State.STOPPED
    stopped = next(run for run in runs.look().runs if run.name == "b")
    assert "seems to have stopped" in report_of(stopped).notes[0]
    (root / "train" / "a" / "config.json").touch()  # as a resumed run does first
    assert states()["a"] is State.RUNNING


def test_a_run_that_was_broken_off_says_why_until_it_is_taken_up_again(root: Path) -> None:
    folder = root / "train" / "b"
    (folder / "stopped.json").write_text('{"why": "interrupted"}', encoding="utf-8")
    run = run_in(folder)
    assert run.state is State.STOPPED
    assert report_of(run).notes[0] == "This run was broken off: interrupted."
    later = (folder / "stopped.json").stat().st_mtime_ns + 1
    os.utime(folder / "config.json", ns=(later, later))
    run = run_in(folder)
    assert run.state is State.RUNNING
    assert run.why == ""


def test_the_version_changes_with_any_file_and_only_then(root: Path) -> None:
    runs = Runs([root])
    first = runs.look().version
    assert runs.look().version == first
    (root / "train" / "b" / "curve.json").write_text(json.dumps(curve(4)), encoding="utf-8")
    found = runs.look()
    assert found.version != first
    assert len(next(run for run in found.runs if run.name == "train/b").result["learning_curve"]) == 4


def test_the_agent_of_a_demo_is_shown_while_the_demo_has_no_curve_of_its_own(root: Path) -> None:
    (root / "demo" / "result.json").unlink()
    names = {run.name: run.state for run in Runs([root]).look().runs}
    assert names["demo/agent"] is State.RUNNING


def test_a_file_that_is_no_json_is_named_and_the_others_are_shown(root: Path) -> None:
    (root / "ope" / "result.json").write_text("{", encoding="utf-8")
    found = Runs([root]).look()
    assert "ope" not in {run.name for run in found.runs}
    assert "ope/result.json is not readable as JSON" in found.problems[0]
    assert len(found.runs) == 11


def test_checkpoints_hidden_folders_and_links_are_left_alone(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    for folder in (secret, root / "train" / "a" / "checkpoint", root / ".old"):
        folder.mkdir(exist_ok=True)
        (folder / "result.json").write_text('{"policies": {"x": {"return": 1.0}}}', encoding="utf-8")
    (root / "link").symlink_to(secret)
    assert len(Runs([root]).look().runs) == 12


def test_one_folder_is_a_run_of_its_own(root: Path) -> None:
    assert run_in(root / "evaluated").name == "evaluated"
    with pytest.raises(ValueError, match="holds no run: the folder that a command wrote was expected"):
        run_in(root / "train")
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        Runs([root / "nowhere"])
