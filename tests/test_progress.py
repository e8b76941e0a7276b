"""Progress: bars on a terminal, a line now and then elsewhere, nothing when quiet; and what the commands tell."""

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from recgym.cli.main import main
from recgym.cli.progress import Watched
from recgym.evaluation import rollout
from recgym.progress import Bars, Tick
from recgym.workers import Processes


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def console(terminal: bool) -> tuple[Console, Callable[[], str]]:
    file = io.StringIO()
    made = Console(file=file, force_terminal=terminal, width=160, legacy_windows=False)
    return made, lambda: re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", file.getvalue())


def test_a_terminal_gets_a_bar_with_rate_time_left_and_note(clock: Clock) -> None:
    made, text = console(terminal=True)
    with Bars(made) as bars:
        bars(Tick("training", 0, 1000, "steps"))
        clock.now += 2
        bars(Tick("training", 400, 1000, "steps", "return [9.5]"))
        clock.now += 3
        bars(Tick("training", 1000, 1000, "steps"))
    last = text().strip().splitlines()[-1]
    assert "training" in last
    assert "1,000 of 1,000 steps" in last
    assert "200 steps/s" in last
    assert "return [9.5]" in last


def test_stages_follow_one_another_and_what_has_no_end_is_shown_too(clock: Clock) -> None:
    made, text = console(terminal=True)
    with Bars(made) as bars:
        bars(Tick("reading"))
        clock.now += 1
        bars(Tick("fitting", 3, 12, "passes"))
        with bars.stage("checking"):
            clock.now += 1
    lines = text().strip().splitlines()[-3:]
    assert [line.split()[0] for line in lines] == ["reading", "fitting", "checking"]
    assert "3 of 12 passes" in lines[1]


def test_a_file_gets_a_line_now_and_then_and_no_bar(clock: Clock) -> None:
    made, text = console(terminal=False)
    with Bars(made) as bars:
        for done in range(0, 1001, 10):
            bars(Tick("training", done, 1000, "steps", f"return {done}"))
            clock.now += 0.25
        bars(Tick("saving"))
        clock.now += 1
    assert text().splitlines() == [
        "training: 400 of 1,000 steps, 40 steps/s, 0:15 left, return 400",
        "training: 800 of 1,000 steps, 40 steps/s, 0:05 left, return 800",
        "training: 1,000 of 1,000 steps, 40 steps/s, return 1000",
    ]


def test_what_is_quick_and_what_is_quiet_says_nothing(clock: Clock) -> None:
    made, text = console(terminal=False)
    with Bars(made) as bars:
        bars(Tick("training", 0, 10, "steps"))
        clock.now += 1.9
        bars(Tick("training", 10, 10, "steps"))
    assert text() == ""
    made, text = console(terminal=True)
    with Bars(made, quiet=True) as bars:
        bars(Tick("training", 0, 10, "steps"))
        clock.now += 60
        bars(Tick("training", 10, 10, "steps"))
    with Bars(Console(file=io.StringIO(), quiet=True)) as bars:
        bars(Tick("training", 0, 10, "steps"))
    assert text() == ""


def test_a_bar_ends_with_an_error_and_the_error_goes_on(clock: Clock) -> None:
    made, text = console(terminal=True)
    bars = Bars(made)

    def fail() -> None:
        with bars:
            bars(Tick("training", 5, 10, "steps"))
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        fail()
    assert "training" in text()


def _double(setup: int, piece: int) -> int:
    return setup * piece


def test_pieces_of_work_are_counted_whoever_does_them() -> None:
    ticks: list[Tick] = []
    watched = Watched(Processes(1), ticks.append, "doubling")
    assert list(watched.map(_double, 2, [1, 2, 3])) == [2, 4, 6]
    assert [(tick.done, tick.total) for tick in ticks] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    ticks.clear()
    endless = Watched(Processes(1), ticks.append, "doubling").map(_double, 2, iter([1, 2]))
    assert next(endless) == 2
    assert ticks[-1].total is None


ENV = "recgym/LongTermSatisfaction-v0"


@pytest.mark.parametrize("quiet", [False, True])
def test_json_alone_on_stdout_and_progress_on_stderr(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("recgym.progress._SHORT_S", 0.0)  # so that even quick stages are told
    log = str(tmp_path / "log")
    few = ["--num-envs", "8", "--n-steps", "35", "--out", str(tmp_path / "run")]
    commands = [
        ["train", "--env", ENV, "--steps", "560", *few],
        ["evaluate", "--env", ENV, "--users", "20", "--seeds", "2"],
        ["record", "--env", "recgym/ShortVideo-v0", "--steps", "500", "--max-steps", "8", "--out", log],
        ["ope", "--log", log, "--model-updates", "20", "--resamples", "20"],
        ["abtest", "--env", ENV, "--arm", "a=random", "--arm", "b=random", "--users", "40", "--replications", "40",
         "--looks", "2"],
    ]  # fmt: skip
    stages = ["training: 560 of 560 steps", "evaluating random: 2 of 2 blocks", "recording: ", "judging random",
              "drawing experiments: 2 of 2 blocks"]  # fmt: skip
    for command, stage in zip(commands, stages, strict=True):
        assert main([*command, "--json", *(["--quiet"] if quiet else [])]) == 0
        out, err = capsys.readouterr()
        json.loads(out)
        assert (stage in err) == (not quiet), command[0]
        if quiet:
            assert err == "", command[0]


def test_a_rollout_takes_watched_workers_and_gives_the_same() -> None:
    from recgym.agents.base import RandomPolicy
    from recgym.envs import make_task
    from recgym.evaluation import action_spec

    task = make_task(ENV, {})
    policy = RandomPolicy(action_spec(task))
    ticks: list[Tick] = []
    watched = rollout(policy, task, users=10, seeds=(0, 1), workers=Watched(Processes(1), ticks.append, "evaluating"))
    assert watched.summary() == rollout(policy, task, users=10, seeds=(0, 1)).summary()
    assert ticks[-1] == Tick("evaluating", 2, 2, "blocks")
