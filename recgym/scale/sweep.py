"""Seeds times settings of one agent, side by side on a Ray cluster; what does badly is stopped early.

Each trial trains in stretches. A stretch begins from the checkpoint that the one before wrote and ends with another, so
a trial whose worker or driver was killed goes on from there and ends as it would have ended; its result is one file,
replaced after each stretch, so nothing is lost or counted twice.
"""

import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from recgym.agents.loading import Agent, AnyConfig, load_agent, make_agent
from recgym.agents.sb3.checkpoints import find_checkpoint
from recgym.agents.sb3.config import plain_settings
from recgym.envs import Task, make_task
from recgym.evaluation.rollout import rollout
from recgym.files import check_writable, read_json, write_json
from recgym.scale import bridge
from recgym.scale.cluster import LOCAL, connected
from recgym.stats import t_interval

__all__ = ["Sweep", "Trial", "parse_grid", "run_sweep", "run_trial", "with_setting"]

_TEST_SEED = 1_000_003
"""Root seed of the users on whom all trials are compared; no trial trains on them."""

_FAILURES = 3
_STATE = "ray"  # folder in which Ray Tune keeps what it knows of the trials


@dataclass(frozen=True)
class Sweep:
    """What is tried.

    Attributes:
        env: id of the environment.
        settings: of the agent, where the grid does not say otherwise.
        grid: setting (``network.embedding`` for one of a part) -> values; all combinations are tried.
        seeds: root seeds; each combination is trained with each.
        steps: user-steps of a whole trial.
        stretch: user-steps between checkpoints, which is when trials are compared.
        env_kwargs: keyword arguments of the environment.
        num_envs: users side by side.
        users: on whom a policy is judged after each stretch, the same for all trials.
        halving: of the trials that come to a third, a ninth, ... of the steps, only the best third goes on (ASHA,
            arXiv 1810.05934); otherwise all are trained to the end.
    """

    env: str
    settings: AnyConfig
    grid: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    steps: int
    stretch: int
    env_kwargs: Mapping[str, Any]
    num_envs: int = 256
    users: int = 512
    halving: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "stretch", "num_envs", "users"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a sweep needs seeds, each once, found {list(self.seeds)}")

    def trials(self) -> tuple["Trial", ...]:
        """All combinations with all seeds, the seeds of one combination together.

        Raises:
            ValueError: the agent has no such setting, or a value is not of its kind.
        """
        made = []
        for values in itertools.product(*self.grid.values()):
            chosen = dict(zip(self.grid, values, strict=True))
            config = self.settings
            for name, value in chosen.items():
                config = with_setting(config, name, value)
            made += [Trial(chosen, config, seed) for seed in self.seeds]
        return tuple(made)

    def to_json(self) -> dict[str, Any]:
        """What a resumed sweep must agree with."""
        plain = {name: getattr(self, name) for name in ("env", "steps", "stretch", "num_envs", "users", "halving")}
        described = plain | {
            "agent": self.settings.name, "settings": plain_settings(self.settings), "grid": dict(self.grid),
            "seeds": self.seeds, "env_kwargs": dict(self.env_kwargs),
        }  # fmt: skip
        as_read: dict[str, Any] = json.loads(json.dumps(described, default=str))
        return as_read


class Trial(NamedTuple):
    """One training.

    Attributes:
        chosen: values of the grid.
        config: all settings.
        seed: root seed.
    """

    chosen: dict[str, Any]
    config: AnyConfig
    seed: int


def parse_grid(words: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """A grid from ``name=value,value``; values are numbers, true or false, null, lists such as [64,64], or else text.

    Raises:
        ValueError: one is not of that form, or a name is given twice.
    """
    grid: dict[str, tuple[Any, ...]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise ValueError(f"found the setting {word!r}, expected name=value,value, such as learning_rate=1e-4,3e-4")
        if name in grid:
            raise ValueError(f"the setting {name!r} is given twice")
        try:
            grid[name] = tuple(json.loads(f"[{text}]"))
        except json.JSONDecodeError:
            grid[name] = tuple(text.split(","))
    return grid


def with_setting(config: Any, name: str, value: Any) -> Any:
    """The settings with one changed.

    Args:
        config: a settings dataclass.
        name: of a field; ``part.field`` for one of a part.
        value: of the kind of the value that is there; a list stands for a tuple.

    Raises:
        ValueError: there is no such setting, or the value is not of its kind.
    """
    field, _, rest = name.partition(".")
    if field not in asdict(config):
        raise ValueError(f"there is no setting {field!r}; there are: {', '.join(asdict(config))}")
    now = getattr(config, field)
    if rest:
        if not is_dataclass(now):
            raise ValueError(f"the setting {field!r} has no parts, found {name!r}")
        return replace(config, **{field: with_setting(now, rest, value)})
    return replace(config, **{field: _like(now, value, field)})


def _like(now: Any, value: Any, field: str) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(now, float) and type(value) is int:
        value = float(value)
    kind = type(now)
    if now is None or type(value) is kind:
        return value
    if isinstance(now, str | Path) and isinstance(value, str):
        with suppress(ValueError):  # no member of an enumeration
            return kind(value)
    raise ValueError(f"the setting {field} is {now!r}, found {value!r}, which is of another kind")


def run_trial(sweep: Sweep, trial: Trial, folder: Path) -> Iterator[dict[str, Any]]:
    """Train in stretches; after each, and at once for one that is already on disk, say what the policy is worth.

    Args:
        sweep: what is tried.
        trial: one of :meth:`Sweep.trials`.
        folder: gets ``checkpoint/``, ``curve.json`` and ``result.json``; a trial that was broken off goes on there.

    Yields:
        ``steps``, and ``return`` with ``low`` and ``high`` (over users).
    """
    torch.set_num_threads(1)
    task = make_task(sweep.env, dict(sweep.env_kwargs))
    while True:
        agent = _agent(sweep, trial, task, folder)
        if agent.steps:
            yield _judged(sweep, agent, task, folder / "result.json")
        if agent.steps >= sweep.steps:
            return
        until = min(agent.steps + sweep.stretch, sweep.steps)
        agent.learn(until, folder=folder, checkpoint_every=sweep.steps + 1)


def _agent(sweep: Sweep, trial: Trial, task: Task, folder: Path) -> Agent:
    """From disk after every stretch, though it is at hand, so that a trial that is broken off ends as others do.

    An agent that is loaded meets new users; one that learns on would keep those it has.
    """
    if find_checkpoint(folder) is not None:
        return load_agent(folder, task)
    return make_agent(trial.config, task, sweep.num_envs, trial.seed, env_kwargs=dict(sweep.env_kwargs))


def _judged(sweep: Sweep, agent: Agent, task: Task, file: Path) -> dict[str, Any]:
    if file.exists():
        known: dict[str, Any] = read_json(file)
        if known["steps"] == agent.steps:
            return known
    summary = rollout(agent.policy(), task, users=sweep.users, seeds=(_TEST_SEED,), greedy=True).summary()
    row = {"steps": agent.steps, **{name: summary[name] for name in ("return", "low", "high")}}
    write_json(file, row)
    return row


def run_sweep(sweep: Sweep, out: Path, *, address: str = LOCAL, resume: bool = False) -> dict[str, Any]:
    """Run all trials on a cluster, one processor each.

    Args:
        sweep: what is tried.
        out: a folder that all machines of the cluster see: gets ``sweep.json``, ``trials/`` and Ray Tune's own state.
        address: see :func:`recgym.scale.cluster`.
        resume: go on with a sweep that was broken off.

    Returns:
        ``trials``: a row each with its settings, ``seed``, ``steps``, ``return``, ``low``, ``high`` and ``finished``;
        ``settings``: a row each combination with the mean ``return`` over its finished seeds and an interval over them
        (NaN where there are too few), and how many there are.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: the folder holds a sweep already, or to be resumed holds none or another one.
    """
    out = check_writable(out).absolute()
    trials = sweep.trials()
    _check_folder(sweep, out, resume)
    # Trials keep to the folder that the command was given in, so that relative paths mean the same.
    os.environ.update(RAY_CHDIR_TO_TRIAL_DIR="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1")
    with connected(address):
        tune = bridge.ray_tune()
        train = tune.with_parameters(_train, sweep=sweep, out=out)
        state = str(out / _STATE)
        if resume and tune.Tuner.can_restore(state):
            tuner = tune.Tuner.restore(state, train, resume_unfinished=True, resume_errored=True)
        else:
            tuner = tune.Tuner(
                train,
                param_space={"trial": tune.grid_search(list(range(len(trials))))},
                tune_config=tune.TuneConfig(metric="return", mode="max", scheduler=_scheduler(sweep, tune)),
                run_config=tune.RunConfig(
                    name=_STATE, storage_path=str(out), verbose=0,
                    failure_config=tune.FailureConfig(max_failures=_FAILURES),
                ),
            )  # fmt: skip
        with bridge.hushed(), redirect_stdout(sys.stderr):  # results go to stdout, and what Ray says does not
            found = tuner.fit()
    for error in found.errors:
        last = str(error).strip().splitlines()[-1]
        raise ValueError(f"a trial failed {_FAILURES + 1} times, last with {last}; to resume the sweep tries again")
    return _results(sweep, trials, out)


def _train(given: dict[str, Any], sweep: Sweep, out: Path) -> None:
    """What a worker of Ray Tune does."""
    number = given["trial"]
    for row in run_trial(sweep, sweep.trials()[number], _folder(out, number)):
        bridge.ray_tune().report(row)


def _scheduler(sweep: Sweep, tune: Any) -> Any:
    schedulers = tune.schedulers
    if not sweep.halving:
        return schedulers.FIFOScheduler()
    return schedulers.ASHAScheduler(
        time_attr="steps", max_t=sweep.steps, grace_period=min(sweep.stretch, sweep.steps), reduction_factor=3
    )


def _check_folder(sweep: Sweep, out: Path, resume: bool) -> None:
    file = out / "sweep.json"
    if not resume:
        if file.exists():
            raise ValueError(f"{out} already holds a sweep; add --resume to go on, or name another folder")
        write_json(file, sweep.to_json())
        return
    if not file.exists():
        raise ValueError(f"{out} holds no sweep to resume")
    begun, asked = read_json(file), sweep.to_json()
    for name, value in asked.items():
        if begun.get(name) != value:
            raise ValueError(f"{out} was begun with {name} {begun.get(name)}, found {value}: --resume needs the same")


def _folder(out: Path, number: int) -> Path:
    return out / "trials" / f"{number:04d}"


def _results(sweep: Sweep, trials: Sequence[Trial], out: Path) -> dict[str, Any]:
    rows = []
    for number, trial in enumerate(trials):
        row = read_json(_folder(out, number) / "result.json")
        rows.append({**trial.chosen, "seed": trial.seed, **row, "finished": row["steps"] >= sweep.steps})
    settings = []
    for first in range(0, len(rows), len(sweep.seeds)):
        mine = [row["return"] for row in rows[first : first + len(sweep.seeds)] if row["finished"]]
        mean, low, high = t_interval(np.array(mine))
        settings.append({**trials[first].chosen, "finished": len(mine), "return": mean, "low": low, "high": high})
    return {"trials": rows, "settings": settings}
