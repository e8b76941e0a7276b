"""Sweeps: every trial is the training that it names, and none is lost or counted twice."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from recgym.agents.sb3 import PPOConfig
from recgym.files import read_json
from recgym.scale.sweep import Sweep, parse_grid, run_sweep, run_trial, with_setting

ENV = "recgym/LongTermSatisfaction-v0"


def _sweep(**changed: Any) -> Sweep:
    settings = with_setting(PPOConfig(), "n_steps", 35)
    given: dict[str, Any] = {
        "env": ENV, "settings": settings, "grid": {"learning_rate": (1e-3, 1e-2)}, "seeds": (0, 1), "steps": 560,
        "stretch": 280, "env_kwargs": {"choc": 10}, "num_envs": 8, "users": 16, "halving": False,
    }  # fmt: skip
    return Sweep(**(given | changed))


def test_a_grid_is_read_by_what_the_settings_are() -> None:
    grid = parse_grid(["learning_rate=1e-4,1", "network.hidden=[64,64],[32]", "network.normalize=true,false"])
    assert grid == {
        "learning_rate": (1e-4, 1), "network.hidden": ([64, 64], [32]), "network.normalize": (True, False)
    }  # fmt: skip
    trials = _sweep(grid=grid, seeds=(3,)).trials()
    assert len(trials) == 8
    first, last = (trial.config for trial in (trials[0], trials[-1]))
    assert isinstance(first, PPOConfig)
    assert isinstance(last, PPOConfig)
    assert first.network.hidden == (64, 64)
    assert not last.network.normalize
    assert last.learning_rate == 1.0
    assert isinstance(last.learning_rate, float)
    assert parse_grid(["kind=linear,cosine"]) == {"kind": ("linear", "cosine")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["learning_rate"], "expected name=value,value"),
        (["gamma=1", "gamma=0.9"], "given twice"),
        (["lerning_rate=1"], "there is no setting 'lerning_rate'"),
        (["gamma=high"], "the setting gamma is 0.99, found 'high'"),
        (["gamma.x=1"], "has no parts"),
    ],
)
def test_bad_grids_get_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        _sweep(grid=parse_grid(words)).trials()
    with pytest.raises(ValueError, match="seeds, each once"):
        _sweep(seeds=(1, 1))


def test_a_trial_that_is_broken_off_ends_as_one_that_is_not(tmp_path: Path) -> None:
    sweep = _sweep()
    trial = sweep.trials()[1]
    whole = list(run_trial(sweep, trial, tmp_path / "whole"))
    assert [row["steps"] for row in whole] == [280, 560]
    first = next(run_trial(sweep, trial, tmp_path / "broken"))
    rest = list(run_trial(sweep, trial, tmp_path / "broken"))
    assert first == rest[0] == whole[0]
    assert rest[1] == whole[1]
    assert list(run_trial(sweep, trial, tmp_path / "broken")) == rest[1:]


def _kill_a_worker_after(first: Path) -> None:
    """Kill one process that works on a trial, once a file is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if first.exists() and b"ray::ImplicitFunc" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
                    return
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the worker to kill in /proc")
def test_all_trials_are_run_and_told_though_a_worker_is_killed(local_ray: None, tmp_path: Path) -> None:
    sweep = _sweep(steps=1120)
    out = tmp_path / "out"
    killer = Thread(target=_kill_a_worker_after, args=[out / "trials" / "0000" / "result.json"])
    killer.start()
    found = run_sweep(sweep, out)
    killer.join()
    assert [(row["learning_rate"], row["seed"]) for row in found["trials"]] == [
        (1e-3, 0), (1e-3, 1), (1e-2, 0), (1e-2, 1)
    ]  # fmt: skip
    assert all(row["finished"] and row["steps"] == 1120 for row in found["trials"])
    assert [row["finished"] for row in found["settings"]] == [2, 2]
    for number in (0, 2):
        alone = list(run_trial(sweep, sweep.trials()[number], tmp_path / f"alone-{number}"))[-1]
        assert found["trials"][number]["return"] == alone["return"]
    with pytest.raises(ValueError, match="already holds a sweep; add --resume"):
        run_sweep(sweep, out)
    with pytest.raises(ValueError, match=r"was begun with seeds \[0, 1\], found \[0\]"):
        run_sweep(_sweep(steps=1120, seeds=(0,)), out, resume=True)
    with pytest.raises(ValueError, match="holds no sweep to resume"):
        run_sweep(sweep, tmp_path / "nothing", resume=True)


_SCRIPT = """
import sys
from pathlib import Path
from recgym.scale.sweep import run_sweep
from tests.scale.test_sweep import _sweep
run_sweep(_sweep(steps=1120, grid={}), Path(sys.argv[1]))
"""


def test_a_sweep_whose_driver_is_killed_goes_on(local_ray: None, tmp_path: Path) -> None:
    out, sweep = tmp_path / "out", _sweep(steps=1120, grid={})
    driver = subprocess.Popen([sys.executable, "-c", _SCRIPT, str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("trials/*/result.json")) and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    begun = [read_json(file)["steps"] for file in out.glob("trials/*/result.json")]
    assert begun
    assert sum(begun) < 2 * 1120
    found = run_sweep(sweep, out, resume=True)
    for number, trial in enumerate(sweep.trials()):
        alone = list(run_trial(sweep, trial, tmp_path / f"alone-{number}"))[-1]
        assert found["trials"][number]["return"] == alone["return"]
