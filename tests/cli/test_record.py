"""Recording a log, learning from it, and evaluating what was learned."""

import json
from pathlib import Path

import numpy as np
import pytest

from recgym.agents.loading import load_policy
from recgym.agents.sb3.learning import Meter
from recgym.cli.main import main
from recgym.data.transitions import TransitionStore
from recgym.files import read_json

ENV = "recgym/ShortVideo-v0"
SMALL = ["--env-kwargs", "num_candidates=5", "window=6"]


def _record(out: Path, *flags: str) -> int:
    return main(["record", "--env", ENV, "--out", str(out), "--steps", "1", "--max-steps", "4", "--quiet", *flags])


def _train(log: Path, out: Path, *flags: str) -> int:
    few = ["--hidden", "16", "--stretch", "10", "--quiet"]
    return main(["train", "--log", str(log), "--out", str(out), *few, *flags])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("record") / "log"
    assert _record(folder, *SMALL, "--policy", "popular", "--temperature", "0.2") == 0
    return folder


def test_a_log_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _record(tmp_path / "log", *SMALL, "--mix", "0.5", "--policy", "popular", "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    result = json.loads(captured.out)
    store = TransitionStore.open(tmp_path / "log")
    assert (result["steps"], result["episodes"], result["propensities"]) == (len(store), 1024, True)
    assert result == read_json(tmp_path / "log" / "record.json")
    reward = store.columns["reward"][store.steps].sum(dtype=np.float64) / 1024
    assert result["return"] == pytest.approx(reward)
    # Half of the slates are random, so no item of five is shown less often than that.
    assert np.exp(store.columns["log_propensity"][store.steps]).min() >= 0.1 - 1e-6


@pytest.mark.parametrize(("stretch", "said"), [("1", "--resume goes on"), ("100", "nothing is kept")])
def test_an_interrupted_training_says_what_it_kept(
    log: Path,
    tmp_path: Path,
    stretch: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(meter: Meter, done: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    few = ["--hidden", "16", "--stretch", stretch, "--updates", "4"]
    with monkeypatch.context() as patched:
        patched.setattr(Meter, "update", interrupted)
        assert main(["train", "--log", str(log), "--out", str(tmp_path), *few]) == 130
    assert said in " ".join(capsys.readouterr().err.split())
    assert read_json(tmp_path / "stopped.json") == {"why": "interrupted"}
    assert (tmp_path / "checkpoint").is_dir() == (stretch == "1")


def test_popular_items_are_worth_more(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _record(tmp_path / "random", *SMALL) == 0
    capsys.readouterr()
    popular, random = (read_json(folder / "record.json")["return"] for folder in (log, tmp_path / "random"))
    assert popular > 1.1 * random


def test_from_the_log_to_an_evaluated_agent(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bc"
    assert _train(log, out, "--updates", "20", "--json", "--learning-rate", "0.002") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["agent"], result["updates"], result["task"]) == ("bc", 20, ENV)
    assert [row["updates"] for row in result["learning_curve"]] == [10, 20]
    assert read_json(out / "config.json")["settings"]["learning_rate"] == 0.002
    assert {path.name for path in out.iterdir()} == {"config.json", "checkpoint", "losses.json", "result.json"}
    assert _train(log, out, "--updates", "30") == 2
    assert "already holds a checkpoint; add --resume" in capsys.readouterr().err
    assert _train(log, out, "--updates", "30", "--resume", "--batch-size", "7") == 2
    assert "was begun with other settings: batch_size is 256" in capsys.readouterr().err
    assert _train(log, out, "--updates", "30", "--resume") == 0
    assert "30" in capsys.readouterr().out
    assert len(read_json(out / "losses.json")) == 3
    assert load_policy(out) is not None
    flags = ["--users", "20", "--seeds", "2", "--agents", str(out), "--json"]
    assert main(["evaluate", "--env", ENV, *SMALL, *flags]) == 0
    assert str(out) in json.loads(capsys.readouterr().out)["policies"]
    assert main(["evaluate", "--env", "recgym/Retention-v0", *flags]) == 2
    assert "the agent was made for schema=" in capsys.readouterr().err
    assert _record(tmp_path / "again", *SMALL, "--agent", str(out), "--mix", "0.3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["policy"] == str(out)


def test_resume_without_a_checkpoint_begins_and_says_so(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--updates", "3", "--hidden", "16", "--resume"]
    assert main(["train", "--log", str(log), "--out", str(tmp_path), *flags]) == 0
    assert "holds no checkpoint to resume from" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["train", "--log", "nowhere", "--updates", "1", "--out", "x"], "nowhere holds no steps to learn from"),
        (["train", "--log", "x", "--agent", "ppo"], "there is no agent 'ppo' that learns from a log; there are: bc"),
        (["record", "--env", ENV, "--out", "x", "--steps", "0"], "--steps must be at least 1, found 0"),
        (["record", "--env", ENV, "--out", "x", "--mix", "2"], "--mix is a probability, found 2"),
        (["record", "--env", ENV, "--out", "x", "--agent", "nowhere"], "nowhere holds no checkpoint"),
    ],
)
def test_bad_input_is_one_sentence(
    flags: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(flags) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_other_things_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    assert _record(tmp_path) == 2
    assert "holds other things (no transitions.json among them)" in capsys.readouterr().err
