"""``recgym train``: let an agent learn on simulated users."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
import tyro

from recgym.agents.loading import CONFIGS, D3RLPY, Agent, AnyConfig, load_agent, make_agent
from recgym.agents.offline import OFFLINE_CONFIGS
from recgym.agents.sb3.checkpoints import find_checkpoint
from recgym.agents.sb3.config import plain_settings
from recgym.cli.common import asked_otherwise, breaking_off, console, flag_value, print_json, table
from recgym.cli.train_offline import TrainOffline, kept
from recgym.envs import Task, make_task
from recgym.files import check_writable, write_json
from recgym.progress import Bars

__all__ = ["Train", "env_settings"]

Config = TypeVar("Config", bound=AnyConfig)


@dataclass(frozen=True)
class Train(Generic[Config]):
    """Train an agent and keep its checkpoints; --agent NAME --help lists the settings of that agent.

    With --log DIR in place of --env the agent learns from recorded steps; --log DIR --help lists the flags.

    Attributes:
        env: id of the environment.
        steps: user-steps to learn from in all, those before a --resume included; rounded up to whole rollouts, which
            for ppo are --num-envs times --n-steps.
        out: folder that gets config.json, checkpoint/, tb/ (TensorBoard), curve.json and result.json.
        settings: of the agent.
        agent: ppo, a2c, recurrent-ppo, sim2rec, slateq (users who pick one item of a slate), hac, dqn (one item a
            step), sac or td3 (preference vectors), rlur (the same, on the level of retention).
        env_kwargs: keyword arguments of the environment, such as choc=14, simulator=DIR, or encoder=DIR for a fitted
            encoder that stays as it is; one that learns is a setting of the agent.
        num_envs: users side by side.
        seed: root seed.
        resume: go on from the last checkpoint in the folder; its settings, users and seed hold, and the environment's
            settings must be those it was begun with. Without a checkpoint, begin anew and say so on stderr, so that
            one command both begins a job and takes it up again.
        checkpoint_every: user-steps between checkpoints.
        device: torch device of the networks, such as cuda; small networks are fastest on the CPU.
        threads: threads of torch; more than one helps large networks only.
        json: print one JSON object in place of a table.
        quiet: no progress bar and no remarks.
    """

    env: str
    steps: int
    out: Path
    settings: Config
    agent: str = "ppo"
    env_kwargs: tuple[str, ...] = ()
    num_envs: int = 256
    seed: int = 0
    resume: bool = False
    checkpoint_every: int = 200_000
    device: str = "cpu"
    threads: int = 1
    json: bool = False
    quiet: bool = False

    @classmethod
    def parse(cls, flags: Sequence[str], prog: str) -> "Train[Any] | TrainOffline[Any]":
        """Read the flags; which there are depends on the agent that they name, and on whether there is a log.

        Raises:
            ValueError: there is no such agent.
        """
        if flag_value(flags, "--log", ""):
            return TrainOffline.parse(flags, prog)
        name = flag_value(flags, "--agent", Train.agent)
        if name in OFFLINE_CONFIGS or name.startswith(D3RLPY):
            raise ValueError(f"{name} learns from a log: give --log DIR in place of --env")
        if name not in CONFIGS:
            raise ValueError(f"there is no agent {name!r}; there are: {', '.join(CONFIGS)}")
        config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes, tyro.conf.EnumChoicesFromValues)
        verb: Any = Train[CONFIGS[name]]  # type: ignore[valid-type] # the class with that agent's settings
        parsed: Train[Any] = tyro.cli(verb, args=flags, prog=prog, config=config)
        return parsed

    def run(self) -> int:
        """Train, write the result and print it; returns the exit status 0."""
        for flag in ("threads", "steps", "checkpoint_every"):
            if getattr(self, flag) < 1:
                raise ValueError(f"--{flag.replace('_', '-')} must be at least 1, found {getattr(self, flag)}")
        torch.set_num_threads(self.threads)
        err = console(self.quiet)
        kwargs = env_settings(self.env_kwargs)
        task = make_task(self.env, kwargs, lambda remark: err.print(f"note: {remark}", markup=False))
        check_writable(self.out)
        agent = self._agent(task, kwargs)
        if self.resume and find_checkpoint(self.out) is None:
            err.print(f"note: {self.out} holds no checkpoint to resume from: beginning anew from 0 steps", markup=False)
        if agent.steps:
            err.print(f"going on from {agent.steps:,} steps", markup=False)
        write_json(
            self.out / "config.json",
            {
                "env": self.env, "env_kwargs": kwargs, "agent": agent.config.name,
                "settings": plain_settings(agent.config),
                "steps": self.steps, "num_envs": agent.num_envs, "seed": agent.seed,
            },
        )  # fmt: skip
        before, start = agent.steps, time.perf_counter()
        with breaking_off(self.out, err, partial(kept, self.out, "--checkpoint-every")), Bars(err) as bars:
            agent.learn(self.steps, folder=self.out, checkpoint_every=self.checkpoint_every, progress=bars)
        result = self._result(agent, agent.steps - before, time.perf_counter() - start)
        write_json(self.out / "result.json", result)
        if self.json:
            print_json(result)
        else:
            shown = ("agent", "steps", "return", "low", "high", "steps_per_s")
            table(
                ["environment", *(name.replace("_per_s", "/s") for name in shown)],
                [[self.env, *(result[name] for name in shown)]],
                title=f"checkpoint in {self.out / 'checkpoint'}",
            )
        return 0

    def _agent(self, task: Task, kwargs: dict[str, Any]) -> Agent:
        """A new agent, or the one to go on with."""
        found = find_checkpoint(self.out) is not None
        if found and not self.resume:
            raise ValueError(f"{self.out} already holds a checkpoint; add --resume to go on, or name another --out")
        if not found:
            return make_agent(self.settings, task, self.num_envs, self.seed, self.device, kwargs)
        agent = load_agent(self.out, task, self.device)
        if agent.config.name != self.agent:
            raise ValueError(f"{self.out} holds a checkpoint of {agent.config.name}, not of {self.agent}")
        if agent.env_kwargs != kwargs:
            raise ValueError(
                f"{self.out} was begun with the environment settings {_settings_text(agent.env_kwargs)}, "
                f"found {_settings_text(kwargs)}: --resume needs the same --env-kwargs"
            )
        differing = asked_otherwise(self.settings, agent.config)
        if differing:
            raise ValueError(f"{self.out} was begun with other settings: {differing}; --resume keeps those it has")
        return agent

    def _result(self, agent: Agent, steps: int, seconds: float) -> dict[str, Any]:
        curve = agent.curve.to_json()
        last = curve[-1] if curve else {"return": None, "low": None, "high": None}
        return {
            "env": self.env, "agent": agent.config.name, "steps": agent.steps,
            "return": last["return"], "low": last["low"], "high": last["high"],
            "steps_per_s": steps / seconds if steps else None,
            "seconds": {"total": round(seconds, 2)},
            "learning_curve": curve,
        }  # fmt: skip


def _settings_text(settings: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "none"


def env_settings(values: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments of an environment from ``key=value``: whole numbers, numbers, true or false, none, else text.

    Raises:
        ValueError: a value is not of that form, or a key is given twice.
    """
    settings: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"found the environment setting {value!r}, expected key=value, such as choc=14")
        if key in settings:
            raise ValueError(f"the environment setting {key!r} is given twice")
        settings[key] = _value(text)
    return settings


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
