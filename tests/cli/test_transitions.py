import json
from pathlib import Path

import polars as pl
import pytest

from recgym.cli.main import main
from recgym.data.transitions import TransitionStore
from tests.shared import shared_data


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two users, two sessions each of two slates of two items, of which one is clicked."""
    rows = [
        {"user": user, "item": f"i{(user + slate + place) % 5}", "time": 10_000.0 * session + 10 * slate,
         "slate": slate, "session": 10 * user + session, "click": int(place == slate % 2)}
        for user in (0, 1) for session in (0, 1) for slate in (4 * user + 2 * session, 4 * user + 2 * session + 1)
        for place in (0, 1)
    ]  # fmt: skip
    path = tmp_path / "events.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


COLUMNS = ("--format", "table", "--columns", "user=user,item=item,time=time:s,slate=slate,session=session,click=click")


@pytest.mark.parametrize(
    ("flags", "steps", "slate_size", "reward"),
    [((), 8, 2, 1.0), (("--step", "pick"), 8, 1, 1.0), (("--step", "event"), 8, 1, 1.0),
     (("--reward", "click=0.5"), 8, 2, 0.5)],
)  # fmt: skip
def test_a_log_becomes_steps(
    table: Path, flags: tuple[str, ...], steps: int, slate_size: int, reward: float, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "steps"
    assert main(["data", "transitions", str(table), *COLUMNS, "--out", str(out), "--json", *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["slate_size"], found["reward_per_step"]) == (steps, slate_size, reward)
    assert found["episodes"] == 4
    store = TransitionStore.open(out)
    assert (len(store), store.problem.slate_size) == (steps, slate_size)


def test_an_episode_may_be_all_of_a_user(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "steps"
    assert main(["data", "transitions", str(table), *COLUMNS, "--out", str(out), "--by-user"]) == 0
    assert len(TransitionStore.open(out).episodes) == 2
    assert "note: The propensity of 8 of 8 steps is unknown." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--reward", "click"), "--reward takes CHANNEL=NUMBER, such as click=1; found 'click'"),
        (("--reward", "click=much"), "--reward takes CHANNEL=NUMBER, such as click=1; found 'click=much'"),
        (("--reward", "like=1"), "like"),
        (("--step", "event", "--size", "2"), "--size is of slates"),
    ],
)
def test_bad_input_is_one_sentence(
    table: Path, flags: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "steps"
    assert main(["data", "transitions", str(table), *COLUMNS, "--out", str(out), *flags]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.data
def test_from_a_real_log_to_a_trained_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps, agent = tmp_path / "steps", tmp_path / "bc"
    path = str(shared_data("ebnerd"))
    flags = ["--format", "ebnerd", "--step", "pick", "--size", "10", "--reward", "click=1", "--out", str(steps)]
    assert main(["data", "transitions", path, *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] > 1000
    assert found["left_out"], "slates of more than ten items are told"
    assert main(["train", "--log", str(steps), "--agent", "bc", "--updates", "20", "--out", str(agent), "--quiet"]) == 0
    assert (agent / "checkpoint").is_dir()
