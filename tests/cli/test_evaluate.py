import json
from pathlib import Path

import pytest

from recgym.cli.main import main

ENV = "recgym/LongTermSatisfaction-v0"


def test_trained_agent_beside_random_and_oracle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    train = [
        "train",
        "--env",
        ENV,
        "--agent",
        "ppo",
        "--steps",
        "3000",
        "--num-envs",
        "16",
        "--out",
        str(run),
        "--quiet",
    ]
    assert main([*train, "--n-steps", "64", "--batch-size", "256"]) == 0
    capsys.readouterr()
    flags = ["--env", ENV, "--agents", str(run), "--users", "50", "--seeds", "2", "--out", str(tmp_path), "--json"]
    assert main(["evaluate", *flags]) == 0
    policies = json.loads(capsys.readouterr().out)["policies"]
    assert set(policies) == {str(run), "random", "one-step oracle"}
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["policies"] == policies


def test_an_agent_whose_training_was_killed_between_two_renames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--steps", "280", "--num-envs", "8", "--n-steps", "35", "--quiet"]
    assert main(["train", "--env", ENV, "--out", str(tmp_path), *few]) == 0
    (tmp_path / ".checkpoint.old.x").mkdir()
    (tmp_path / "checkpoint").rename(tmp_path / ".checkpoint.old.x" / "was")
    capsys.readouterr()
    flags = ["--agents", str(tmp_path), "--users", "20", "--seeds", "2", "--json"]
    assert main(["evaluate", "--env", ENV, *flags]) == 0
    assert str(tmp_path) in json.loads(capsys.readouterr().out)["policies"]


def test_table_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--env", ENV, "--env-kwargs", "choc=6", "--users", "300", "--seeds", "2"]) == 0
    table = capsys.readouterr().out
    assert "random" in table
    assert "one-step oracle" in table


def test_unknown_environment_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--env", "recgym/Nowhere-v0"]) == 2
    assert "recgym/InterestEvolution-v0" in capsys.readouterr().err


def test_stories_stand_beside_the_result_and_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--env", ENV, "--users", "20", "--seeds", "2", "--out", str(tmp_path), "--json"]
    assert main(["evaluate", *flags, "--story", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["policies"]["one-step oracle"]["oracle"]
    told = json.loads((tmp_path / "story.json").read_text(encoding="utf-8"))
    assert {name: len(entry["users"]) for name, entry in told["policies"].items()} == {
        "random": 2,
        "one-step oracle": 2,
    }
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "User 2" in page
    assert "Satisfaction (hidden)" in page


def test_a_story_needs_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--env", ENV, "--story", "1"]) == 2
    assert "written into --out DIR" in capsys.readouterr().err


def test_constraints_are_held_against_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--env", "recgym/ShortVideo-v0", "--users", "32", "--seeds", "2", "--env-kwargs", "num_candidates=10"]
    asked = ["--constraint", "like>=90%", "--constraint", "hate<=1e6"]
    assert main(["evaluate", *flags, *asked, "--out", str(tmp_path)]) == 0
    assert "hate<=1e+06" in capsys.readouterr().out
    held = json.loads((tmp_path / "result.json").read_text())["constraints"]
    like, hate = held["policies"]["random"]["constraints"]
    assert like["slack"]["mean"] == pytest.approx(0.1)
    assert hate["satisfied"]
    assert main(["report", str(tmp_path)]) == 0
    assert "like&gt;=90%" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--constraint", "like"], "a constraint reads CHANNEL>=NUMBER"),
        (["--constraint", "joy>=1"], "there is no feedback channel 'joy'"),
        (["--constraint", "like>=1", "--reference", "x"], "--reference x is not among the policies random, one-step"),
    ],
)
def test_a_bad_constraint_is_one_sentence(flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--env", "recgym/ShortVideo-v0", "--users", "8", "--seeds", "2", *flags]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
