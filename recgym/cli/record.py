"""``recgym record``: let a policy serve simulated users, and keep every step for agents that learn from logs."""

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from recgym.agents.base import Policy, RandomPolicy, ScoredPolicy, popularity_scores
from recgym.agents.loading import load_trained
from recgym.agents.mixture import MixturePolicy
from recgym.cli.common import console, print_json, table
from recgym.cli.sharing import shared
from recgym.cli.train import env_settings
from recgym.data.transitions import TransitionStore
from recgym.envs import Task, make_task
from recgym.evaluation import action_spec, record
from recgym.files import check_replaceable, write_json
from recgym.progress import Bars, Tick

__all__ = ["Behaviour", "Record", "popularity"]

_PILOT = 20_000  # steps of a random policy from which popularity is taken
_AT_THE_MEAN = 10  # steps at the mean reward, as which each item starts


class Behaviour(StrEnum):
    """Policies that need no training."""

    RANDOM = "random"
    POPULAR = "popular"


@dataclass(frozen=True)
class Record:
    """Let a policy serve simulated users, and keep every step with its propensity: a log that agents learn from.

    Attributes:
        env: id of the environment.
        out: folder of the log; an older log there is replaced.
        steps: user-steps, at least; users come in blocks of 1024 and every episode is kept whole.
        agent: folder of a trained agent, which draws its actions.
        policy: used if no agent is given: random, or popular (items by what a step that showed them to random users was
            worth, in standard deviations).
        temperature: of the softmax over the scores of popular items; 0 always shows the best.
        mix: probability of a random slate; with an agent, the share of users that a random policy serves.
        env_kwargs: keyword arguments of the environment, such as num_candidates=20.
        seed: root seed.
        max_steps: cut episodes here if nothing else ends them.
        workers: processes that share the users, 1 if not given; of --ray auto, all processors if not given.
        ray: auto for a Ray of this machine, or HOST:PORT of a cluster, to share the users with. The results stay the
            same.
        json: print one JSON object in place of a table.
        quiet: no progress bar.
    """

    env: str
    out: Path
    steps: int = 100_000
    agent: Path | None = None
    policy: tyro.conf.EnumChoicesFromValues[Behaviour] = Behaviour.RANDOM
    temperature: float = 1.0
    mix: float = 0.0
    env_kwargs: tuple[str, ...] = ()
    seed: int = 0
    max_steps: int = 1000
    workers: int | None = None
    ray: str | None = None
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Record, and say what was recorded."""
        for flag in ("steps", "max_steps"):
            if getattr(self, flag) < 1:
                raise ValueError(f"--{flag.replace('_', '-')} must be at least 1, found {getattr(self, flag)}")
        if not 0 <= self.mix <= 1:
            raise ValueError(f"--mix is a probability, found {self.mix:g}")
        if self.temperature < 0:
            raise ValueError(f"--temperature must not be negative, found {self.temperature:g}")
        check_replaceable(self.out, "transitions.json")
        task = make_task(self.env, env_settings(self.env_kwargs))
        policy = self._policy(task)
        start = time.perf_counter()
        with shared(self.ray, self.workers) as workers, Bars(console(self.quiet)) as bars:
            bars(Tick("recording", 0, self.steps, "steps"))
            store = record(
                policy, task, self.steps, self.out, seed=self.seed, max_steps=self.max_steps,
                progress=lambda done: bars(Tick("recording", done, max(self.steps, done), "steps")), workers=workers,
            )  # fmt: skip
        result = self._result(store, time.perf_counter() - start)
        write_json(self.out / "record.json", result)
        if self.json:
            print_json(result)
        else:
            shown = ("policy", "steps", "episodes", "return", "steps_per_s", "megabytes")
            table([name.replace("_per_s", "/s") for name in shown], [[result[name] for name in shown]],
                  title=f"{self.env}, recorded in {self.out}")  # fmt: skip
        return 0

    def _policy(self, task: Task) -> Policy[Any]:
        if self.agent is not None:
            policy = load_trained(self.agent, task).policy()
            if not self.mix:
                return policy
            _takes_items(task, "mixed with a random policy")
            return MixturePolicy((policy, RandomPolicy(action_spec(task))), (1 - self.mix, self.mix))
        _takes_items(task, f"recorded with the policy {self.policy}")
        spec = action_spec(task)
        if self.policy is Behaviour.RANDOM:
            return RandomPolicy(spec)
        return ScoredPolicy(spec, popularity_scores(popularity(task, self.seed)), self.temperature, self.mix)

    def _result(self, store: TransitionStore, seconds: float) -> dict[str, Any]:
        rewards = store.columns["reward"][store.steps].sum(dtype=np.float64)
        size = sum(path.stat().st_size for path in self.out.iterdir())
        return {
            "env": self.env, "env_kwargs": env_settings(self.env_kwargs), "out": str(self.out),
            "policy": str(self.policy if self.agent is None else self.agent), "seed": self.seed,
            "temperature": self.temperature if self.agent is None else None, "mix": self.mix,
            "steps": len(store), "episodes": len(store.episodes), "return": float(rewards) / len(store.episodes),
            "propensities": bool(np.isfinite(store.columns["log_propensity"][store.steps]).all()),
            "megabytes": round(size / 1e6, 1), "steps_per_s": len(store) / seconds, "seconds": round(seconds, 2),
        }  # fmt: skip


def _takes_items(task: Task, what: str) -> None:
    if task.action != "items":
        raise ValueError(f"{task.name} takes preference vectors and cannot be {what}; give a trained --agent alone")


def popularity(task: Task, seed: int) -> np.ndarray:
    """What a step is worth that shows each item to random users, in standard deviations of all items."""
    # Another seed than that of the log, or its first users would be known beforehand.
    pilot = record(RandomPolicy(action_spec(task)), task, _PILOT, seed=seed + 1, max_steps=50)
    slate, reward = pilot.columns["slate"][pilot.steps], pilot.columns["reward"][pilot.steps].astype(np.float64)
    worth = np.repeat(reward, slate.shape[1])
    rows = np.bincount(slate.reshape(-1), minlength=task.model.num_items)
    total = np.bincount(slate.reshape(-1), weights=worth, minlength=task.model.num_items)
    mean = (total + _AT_THE_MEAN * worth.mean()) / (rows + _AT_THE_MEAN)
    scores: np.ndarray = (mean - mean.mean()) / max(float(mean.std()), 1e-12)
    return scores
