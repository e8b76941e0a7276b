import json
from pathlib import Path

import numpy as np
import pytest

from recgym.agents import LearningCurve
from recgym.agents.sb3.learning import Meter
from recgym.cli.main import main
from recgym.cli.train import Train, env_settings
from recgym.envs import make_task
from recgym.files import read_json
from recgym.simulators.learned import record_gate
from tests.learned_fixture import small_simulator

ENV = "recgym/LongTermSatisfaction-v0"


def _train(out: Path, *flags: str) -> int:
    few = ["--num-envs", "8", "--n-steps", "35", "--hidden", "16", "--quiet"]
    return main(["train", "--env", ENV, "--out", str(out), *few, *flags])


def test_training_writes_its_folder_and_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--agent", "ppo", "--learning-rate", "0.002", "--steps", "2000", "--env-kwargs", "choc=10"]
    assert _train(tmp_path, *flags, "--json") == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert captured.err == ""
    assert result["agent"] == "ppo"
    assert result["steps"] == 2240
    assert result["low"] <= result["return"] <= result["high"]
    assert result["learning_curve"] == read_json(tmp_path / "curve.json")
    assert read_json(tmp_path / "result.json")["steps"] == 2240
    config = read_json(tmp_path / "config.json")
    assert config["env_kwargs"] == {"choc": 10}
    assert config["settings"]["learning_rate"] == 0.002
    assert config["settings"]["network"]["hidden"] == [16]
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "checkpoint", "tb", "curve.json", "result.json"
    }  # fmt: skip


@pytest.mark.parametrize(("every", "said"), [("280", "--resume goes on"), ("100000", "nothing is kept")])
def test_an_interrupted_training_says_what_it_kept(
    tmp_path: Path, every: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(meter: Meter, steps: int, curve: LearningCurve | None = None) -> None:
        if steps >= 1000:
            raise KeyboardInterrupt

    monkeypatch.setattr(Meter, "update", interrupted)
    few = ["--num-envs", "8", "--n-steps", "35", "--hidden", "16", "--steps", "4000", "--checkpoint-every", every]
    assert main(["train", "--env", ENV, "--out", str(tmp_path), *few]) == 130
    assert said in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "checkpoint").is_dir() == (every == "280")
    assert read_json(tmp_path / "stopped.json") == {"why": "interrupted"}


def test_resume_goes_on_to_the_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path, "--steps", "1200") == 0
    assert "1,400" in capsys.readouterr().out
    begun = read_json(tmp_path / "curve.json")
    assert _train(tmp_path, "--steps", "4000") == 2
    assert "already holds a checkpoint; add --resume" in capsys.readouterr().err
    assert _train(tmp_path, "--steps", "4000", "--resume", "--gamma", "0.5") == 2
    assert "was begun with other settings: gamma is 0.99" in capsys.readouterr().err
    assert _train(tmp_path, "--steps", "4000", "--resume", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"] == 4200
    assert result["learning_curve"][: len(begun)] == begun


def test_resume_without_a_checkpoint_begins_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--num-envs", "8", "--n-steps", "35", "--hidden", "16", "--steps", "280"]
    assert main(["train", "--env", ENV, "--out", str(tmp_path), *few, "--resume"]) == 0
    assert "holds no checkpoint to resume from" in " ".join(capsys.readouterr().err.split())
    assert main(["train", "--env", ENV, "--out", str(tmp_path), *few, "--resume"]) == 0
    assert "holds no checkpoint" not in " ".join(capsys.readouterr().err.split())


def test_resume_after_a_kill_between_two_renames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path, "--steps", "280") == 0
    (tmp_path / ".checkpoint.old.x").mkdir()
    (tmp_path / "checkpoint").rename(tmp_path / ".checkpoint.old.x" / "was")
    begun = read_json(tmp_path / "curve.json")
    assert _train(tmp_path, "--steps", "560") == 2
    assert "already holds a checkpoint" in capsys.readouterr().err
    assert _train(tmp_path, "--steps", "560", "--resume", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"] == 560
    assert result["learning_curve"][: len(begun)] == begun
    assert not list(tmp_path.glob(".checkpoint*"))


def test_resume_keeps_to_the_environment_it_was_begun_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path, "--steps", "280", "--env-kwargs", "choc=14") == 0
    config = read_json(tmp_path / "config.json")
    for flags, found in ((["--env-kwargs", "choc=6"], "choc=6"), ([], "none")):
        assert _train(tmp_path, "--steps", "560", "--resume", *flags) == 2
        assert f"was begun with the environment settings choc=14, found {found}" in capsys.readouterr().err
    assert read_json(tmp_path / "config.json") == config
    assert _train(tmp_path, "--steps", "560", "--resume", "--env-kwargs", "choc=14") == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--env", ENV, "--agent", "sarsa"], "there is no agent 'sarsa'; there are: ppo, a2c, dqn, sac, td3"),
        (["--env", ENV, "--agent", "bc"], "bc learns from a log: give --log DIR in place of --env"),
        (["--env", ENV, "--agent=x"], "there is no agent 'x'"),
        (["--env", "recgym/Nowhere-v0"], "there is no environment 'recgym/Nowhere-v0'; there are: recgym/"),
        (["--env", ENV, "--agent", "sac"], "sac needs preference vectors"),
        (["--env", ENV, "--env-kwargs", "color=red"], "there is no setting 'color'; there are: choc"),
        (["--env", ENV, "--env-kwargs", "choc"], "found the environment setting 'choc', expected key=value"),
        (["--env", "recgym/LearnedUsers-v0"], "needs simulator=FOLDER"),
    ],
)
def test_wrong_usage_is_one_sentence(
    flags: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--steps", "10", "--out", str(tmp_path / "out"), *flags]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "out" / "result.json").exists()


def test_what_an_environment_warns_of_is_remarked(tmp_path: Path) -> None:
    small_simulator().save(tmp_path)
    record_gate(tmp_path, ("click: ECE 0.2 is above 0.03",))
    remarks: list[str] = []
    task = make_task("recgym/LearnedUsers-v0", {"simulator": str(tmp_path)}, remarks.append)
    assert task.name == "recgym/LearnedUsers-v0"
    assert len(remarks) == 1
    assert "ECE 0.2" in remarks[0]


def test_another_agent_does_not_go_on_from_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path, "--steps", "280") == 0
    assert _train(tmp_path, "--steps", "560", "--resume", "--agent", "a2c") == 2
    assert "holds a checkpoint of ppo, not of a2c" in capsys.readouterr().err


def test_flags_are_those_of_the_agent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--agent", "dqn", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--exploration-fraction" in shown
    assert "--clip-range" not in shown
    assert main(["train", "--help"]) == 0
    assert "--clip-range" in capsys.readouterr().out
    parsed = Train.parse(["--env", ENV, "--steps", "1", "--out", "o", "--agent=a2c", "--gae-lambda", "0.5"], "train")
    assert (parsed.agent, parsed.settings.name, parsed.settings.gae_lambda) == ("a2c", "a2c", 0.5)


def test_environment_settings_have_types() -> None:
    assert env_settings(("a=1", "b=0.5", "c=true", "d=none", "e=x=y", "f=1e3")) == {
        "a": 1, "b": 0.5, "c": True, "d": None, "e": "x=y", "f": 1000.0
    }  # fmt: skip
    with pytest.raises(ValueError, match="given twice"):
        env_settings(("a=1", "a=2"))
    assert np.isfinite(env_settings(("choc=14",))["choc"])
