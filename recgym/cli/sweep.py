"""``recgym sweep``: seeds times settings of an agent, on one machine or a cluster."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import tyro

from recgym.agents.loading import CONFIGS, AnyConfig
from recgym.cli.common import flag_value, jsonable, print_json, table
from recgym.cli.train import env_settings
from recgym.files import write_json
from recgym.scale.sweep import Sweep, parse_grid, run_sweep

__all__ = ["SweepAgent"]

Config = TypeVar("Config", bound=AnyConfig)


@dataclass(frozen=True)
class SweepAgent(Generic[Config]):
    """Train an agent with each combination of some settings and each of some seeds; needs the extra recgym[ray].

    Of the trials that come to a third, a ninth, ... of the steps, the best third goes on. --agent NAME --help lists the
    settings of that agent.

    Attributes:
        env: id of the environment.
        steps: user-steps of a trial that is not stopped.
        out: folder that gets trials/ with checkpoints, sweep.json and result.json; all machines of a cluster must see
            it.
        settings: of the agent, where --grid does not say otherwise.
        grid: NAME=VALUE,VALUE, one word a setting, such as learning_rate=1e-4,3e-4 network.embedding=16,32.
        seeds: root seeds.
        agent: as recgym train takes it with --env.
        stretch: user-steps between checkpoints and comparisons; a ninth of the steps if not given.
        env_kwargs: keyword arguments of the environment, key=value.
        num_envs: users side by side in training.
        users: on whom policies are compared after each stretch.
        halving: stop what does badly; --no-halving trains all to the end.
        ray: auto for a Ray of this machine, or HOST:PORT of a cluster; a trial takes one processor.
        resume: go on where a sweep in the folder was broken off; all other flags must be the same.
        json: print one JSON object in place of tables.
    """

    env: str
    steps: int
    out: Path
    settings: Config
    grid: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    agent: str = "ppo"
    stretch: int | None = None
    env_kwargs: tuple[str, ...] = ()
    num_envs: int = 256
    users: int = 512
    halving: bool = True
    ray: str = "auto"
    resume: bool = False
    json: bool = False

    @classmethod
    def parse(cls, flags: Sequence[str], prog: str) -> "SweepAgent[Any]":
        """Read the flags; which there are depends on the agent that they name.

        Raises:
            ValueError: there is no such agent.
        """
        name = flag_value(flags, "--agent", SweepAgent.agent)
        if name not in CONFIGS:
            raise ValueError(f"there is no agent {name!r} that learns online; there are: {', '.join(CONFIGS)}")
        config = (tyro.conf.OmitArgPrefixes, tyro.conf.EnumChoicesFromValues)
        verb: Any = SweepAgent[CONFIGS[name]]  # type: ignore[valid-type] # the class with that agent's settings
        return tyro.cli(verb, args=flags, prog=prog, config=config)

    def run(self) -> int:
        """Train, write the result and print it; returns the exit status 0."""
        sweep = Sweep(
            self.env, self.settings, parse_grid(self.grid), self.seeds, self.steps,
            self.stretch or -(-self.steps // 9), env_settings(self.env_kwargs), self.num_envs, self.users, self.halving,
        )  # fmt: skip
        found = run_sweep(sweep, self.out, address=self.ray, resume=self.resume)
        command = " ".join(["recgym", *sys.argv[1:]])
        result = jsonable({"env": self.env, "agent": self.agent, "command": command, "sweep": sweep.to_json(), **found})
        write_json(self.out / "result.json", result)
        if self.json:
            print_json(result)
        else:
            for name in ("trials", "settings"):
                rows = [{key: _cell(value) for key, value in row.items()} for row in found[name]]
                table(list(rows[0]), [list(row.values()) for row in rows], title=f"{self.agent} on {self.env}: {name}")
        return 0


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)
