"""``recgym train --log``: let an agent learn from recorded steps."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
import tyro

from recgym.agents.loading import offline_configs
from recgym.agents.offline import OfflineAgent, OfflineConfig
from recgym.agents.sb3.checkpoints import find_checkpoint
from recgym.agents.sb3.config import plain_settings
from recgym.cli.common import asked_otherwise, breaking_off, console, flag_value, print_json, table
from recgym.data.transitions import TransitionStore
from recgym.files import check_writable, write_json
from recgym.progress import Bars

__all__ = ["TrainOffline", "kept"]

Config = TypeVar("Config", bound=OfflineConfig)


def kept(folder: Path, every: str) -> str:
    """What an interrupted training leaves; ``every`` is the flag that says how often a checkpoint is written."""
    if find_checkpoint(folder) is None:
        return f"nothing is kept: the first checkpoint was still to come ({every})"
    return f"{folder} keeps its last checkpoint; the same command with --resume goes on"


@dataclass(frozen=True)
class TrainOffline(Generic[Config]):
    """Train an agent on recorded steps and keep its checkpoints; --agent NAME --help lists the settings of that agent.

    Attributes:
        log: folder that recgym record or recgym data transitions wrote.
        updates: of the networks in all, those before a --resume included.
        out: folder that gets config.json, checkpoint/, losses.json and result.json.
        settings: of the agent.
        agent: bc, reinforce, dt or dt4ier (decision transformers), tscac, rcpo, ppo-lagrangian, a2c-weighted or pareto
            (constraints); with the extra recgym[offline] also those of d3rlpy, such as d3rlpy-iql.
        seed: root seed.
        resume: go on from the last checkpoint in the folder; its settings and seed hold, and the log must be the same.
            Without a checkpoint, begin anew and say so on stderr.
        stretch: updates between checkpoints and between two rows of losses.json.
        threads: threads of torch; more than one helps large networks only.
        json: print one JSON object in place of a table.
        quiet: no progress bar and no remarks.
    """

    log: Path
    updates: int
    out: Path
    settings: Config
    agent: str = "bc"
    seed: int = 0
    resume: bool = False
    stretch: int = 1000
    threads: int = 1
    json: bool = False
    quiet: bool = False

    @classmethod
    def parse(cls, flags: Sequence[str], prog: str) -> "TrainOffline[Any]":
        """Read the flags; which there are depends on the agent that they name.

        Raises:
            ValueError: there is no such agent.
        """
        name = flag_value(flags, "--agent", TrainOffline.agent)
        configs = offline_configs(name)
        if name not in configs:
            raise ValueError(f"there is no agent {name!r} that learns from a log; there are: {', '.join(configs)}")
        config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes, tyro.conf.EnumChoicesFromValues)
        verb: Any = TrainOffline[configs[name]]  # type: ignore[valid-type] # the class with that agent's settings
        return tyro.cli(verb, args=flags, prog=prog, config=config)

    def run(self) -> int:
        """Train, write the result and print it; returns the exit status 0."""
        for flag in ("threads", "updates", "stretch"):
            if getattr(self, flag) < 1:
                raise ValueError(f"--{flag} must be at least 1, found {getattr(self, flag)}")
        torch.set_num_threads(self.threads)
        err = console(self.quiet)
        store = TransitionStore.open(self.log)
        check_writable(self.out)
        agent = self._agent(store)
        if self.resume and not agent.updates:
            err.print(f"note: {self.out} holds no checkpoint to resume from: beginning anew", markup=False)
        if agent.updates:
            err.print(f"going on from {agent.updates:,} updates", markup=False)
        described = {"log": str(self.log), "task": store.problem.name, "agent": agent.config.name}
        settings = {"settings": plain_settings(agent.config), "updates": self.updates, "seed": agent.seed}
        write_json(self.out / "config.json", described | settings)
        before, start = agent.updates, time.perf_counter()
        with breaking_off(self.out, err, partial(kept, self.out, "--stretch")), Bars(err) as bars:
            agent.fit(store, self.updates, folder=self.out, stretch=self.stretch, progress=bars)
        seconds, done = time.perf_counter() - start, agent.updates - before
        result = described | {
            "updates": agent.updates, "steps": len(store), "episodes": len(store.episodes),
            "updates_per_s": done / seconds if done else None, "seconds": {"total": round(seconds, 2)},
            "learning_curve": agent.losses,
        }  # fmt: skip
        write_json(self.out / "result.json", result)
        if self.json:
            print_json(result)
        else:
            last = agent.losses[-1] if agent.losses else {}
            cells = {name.replace("_", " "): value for name, value in last.items() if name != "updates"}
            row: dict[str, Any] = {
                "agent": agent.config.name,
                "updates": agent.updates,
                **cells,
                "updates/s": result["updates_per_s"],
            }
            table(list(row), [list(row.values())], title=f"checkpoint in {self.out / 'checkpoint'}")
        return 0

    def _agent(self, store: TransitionStore) -> OfflineAgent:
        """A new agent, or the one to go on with."""
        found = find_checkpoint(self.out) is not None
        if found and not self.resume:
            raise ValueError(f"{self.out} already holds a checkpoint; add --resume to go on, or name another --out")
        if not found:
            return OfflineAgent.of(self.settings, store, self.seed)
        agent = OfflineAgent.load(self.out, offline_configs(self.agent))
        differing = asked_otherwise(self.settings, agent.config)
        if differing:
            raise ValueError(f"{self.out} was begun with other settings: {differing}; --resume keeps those it has")
        return agent
