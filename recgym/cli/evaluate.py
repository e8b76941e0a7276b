"""``recgym evaluate``: roll policies out and compare them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from recgym.agents.base import RandomPolicy
from recgym.agents.loading import load_trained
from recgym.cli.common import console, jsonable, print_json, table
from recgym.cli.progress import Watched
from recgym.cli.sharing import shared
from recgym.cli.train import env_settings
from recgym.envs import Task, make_task
from recgym.evaluation.baselines import action_spec
from recgym.evaluation.constraints import Constraint, hold_against
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.rollout import rollout
from recgym.evaluation.story import stories
from recgym.files import check_writable, write_json
from recgym.progress import Bars, Tick

__all__ = ["Evaluate"]


@dataclass(frozen=True)
class Evaluate:
    """Roll trained agents out beside a random policy and a one-step oracle that sees the hidden state.

    Attributes:
        agents: folders written by ``recgym train``, online or from a log (or their ``checkpoint``).
        env: id of the environment.
        env_kwargs: its keyword arguments, ``key=value``.
        users: users a seed.
        seeds: how many seeds, from 0.
        sample: let policies draw their actions; they take the likeliest otherwise.
        workers: processes that share the users, 1 if not given; of --ray auto, all processors if not given.
        ray: auto for a Ray of this machine, or HOST:PORT of a cluster, to share the users with. The results stay the
            same.
        out: folder that gets ``result.json``, and ``story.json`` if stories are told.
        story: tell the stories of this many users of each policy, hidden state included, for people to look at in
            ``recgym view`` or ``recgym report``.
        constraint: what must not be given up for the return, such as like>=98% of the reference policy's, or
            hate<=0.01 a user; may be given several times.
        reference: policy that constraints in % are held against: random, or one of the folders.
        json: print one JSON object in place of a table.
        quiet: no progress.
    """

    env: str
    agents: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["--agent"])] = ()
    env_kwargs: tuple[str, ...] = ()
    users: int = 1024
    seeds: int = 5
    sample: bool = False
    workers: int | None = None
    ray: str | None = None
    out: Path | None = None
    story: int = 0
    constraint: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    reference: str = "random"
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Do it."""
        if self.story < 0 or (self.story and self.out is None):
            raise ValueError(f"--story is how many users to follow, written into --out DIR; found {self.story}")
        if self.out is not None:
            check_writable(self.out)
        constraints = [Constraint.parse(words) for words in self.constraint]
        task = make_task(self.env, env_settings(self.env_kwargs))
        for constraint in constraints:
            task.model.schema.index(constraint.response)  # says what does not exist before users are simulated
        policies = self._policies(task)
        if constraints and self.reference not in policies:
            raise ValueError(f"--reference {self.reference} is not among the policies {', '.join(policies)}")
        seeds = range(self.seeds)
        with shared(self.ray, self.workers) as workers, Bars(console(self.quiet)) as bars:
            played = {
                name: rollout(
                    policy, task, users=self.users, seeds=seeds, greedy=not self.sample,
                    workers=Watched(workers, bars, f"evaluating {name}"),
                )
                for name, policy in policies.items()
            }  # fmt: skip
            if self.out is not None and self.story:
                bars(Tick("telling stories"))
                told = stories(policies, task, self.story, among=self.users, greedy=not self.sample)
                write_json(self.out / "story.json", told)
        results = {name: found.summary() for name, found in played.items()}
        for name in results:
            results[name] |= {"oracle": True} if policies[name] is OneStepOracle else {}
        result: dict[str, Any] = {"env": self.env, "env_kwargs": env_settings(self.env_kwargs), "policies": results}
        if constraints:
            result["constraints"] = hold_against(played, constraints, self.reference).to_json()
        if self.out is not None:
            write_json(self.out / "result.json", jsonable(result))
        if self.json:
            print_json(result)
        else:
            rows = [
                [n, r["return"], r["low"], r["high"], r["session_length"], r["coverage"]] for n, r in results.items()
            ]
            title = f"{self.env}, {'drawn' if self.sample else 'likeliest'} actions"
            table(["policy", "return", "low", "high", "session length", "coverage"], rows, title=title)
            if constraints:
                _show(result["constraints"])
        return 0

    def _policies(self, task: Task) -> dict[str, Any]:
        """The agents by their folders, and what they are held against."""
        policies: dict[str, Any] = {}
        for folder in self.agents:
            policies[str(folder)] = load_trained(folder, task).policy()
        if task.action == "items":
            policies["random"] = RandomPolicy(action_spec(task))
            policies["one-step oracle"] = OneStepOracle
        if not policies:
            raise ValueError(f"{self.env} takes preference vectors: give at least one trained agent with --agents")
        return policies


def _show(held: dict[str, Any]) -> None:
    """Whether each policy keeps to each constraint; the slack is how much better it is than it must be."""
    rows = [
        [
            name, each["constraint"], each["slack"]["mean"], each["slack"]["low"], each["slack"]["high"],
            "kept" if each["satisfied"] else "broken" if each["violated"] else "undecided",
        ]
        for name, policy in held["policies"].items() for each in policy["constraints"]
    ]  # fmt: skip
    title = f"constraints, against {held['reference']}; no other policy beats {', '.join(held['front'])}"
    table(["policy", "constraint", "slack", "low", "high", ""], rows, title=title)
