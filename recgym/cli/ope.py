"""``recgym ope``: what trained policies are worth, by a log of another one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from recgym.agents.base import ActionSpec, Policy, RandomPolicy
from recgym.agents.loading import load_policy, load_trained
from recgym.agents.offline.returns import episode_returns
from recgym.cli.common import console, print_json, table
from recgym.cli.train import env_settings
from recgym.data.transitions import TransitionStore
from recgym.envs import Task, make_task
from recgym.evaluation import rollout
from recgym.files import check_writable, write_json
from recgym.ope import OPEResult, evaluate
from recgym.ope.dice import fitted_dice
from recgym.ope.fitted_q import fitted_q
from recgym.ope.intervals import Bootstrap
from recgym.ope.logged import by_episode, trajectories_of, with_behaviour
from recgym.ope.magic import MAGIC
from recgym.ope.marginal import DICE
from recgym.ope.sequential import NCIS, PDIS, SNPDIS, TIS, WDR, WIS, TrajectoryDM, TrajectoryDR
from recgym.progress import Bars, Progress, Tick

__all__ = ["Ope"]


@dataclass(frozen=True)
class Ope:
    """Off-policy evaluation: the return of target policies, from a log with propensities (``recgym record``).

    Every value comes with an interval and with what speaks against it. With --env the policies also serve simulated
    users, and the estimates stand beside what they really earn.

    Attributes:
        log: folder of a recorded log.
        policies: folders of trained agents; the random policy is always among the targets.
        gamma: discount factor.
        greedy: judge policies that take their most likely action; they draw it otherwise.
        behaviour: folder of a trained agent that stands for the logging policy where the log has no propensities.
        model_updates: of each of the two models of values (fitted Q evaluation, one for each half of the users) for DM,
            DR, WDR and MAGIC; 0 for none of them.
        dice_updates: of the weights of visits that DICE learns, for policies without a memory; 0 for no DICE. 2000 is a
            start.
        cap: of the weights of NCIS.
        resamples: of the bootstrap by users.
        env: id of the environment, to hold the estimates against.
        env_kwargs: its keyword arguments; those that the log was recorded with.
        users: simulated users, where there is an environment.
        max_steps: cut simulated episodes there, as the log was.
        seed: root seed.
        threads: threads of torch; more than one helps large networks only.
        out: folder that gets result.json.
        json: print one JSON object in place of tables.
        quiet: no remarks and no progress on stderr.
    """

    log: Path
    policies: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    gamma: float = 1.0
    greedy: bool = False
    behaviour: Path | None = None
    model_updates: int = 2000
    dice_updates: int = 0
    cap: float = 10.0
    resamples: int = 500
    env: str | None = None
    env_kwargs: tuple[str, ...] = ()
    users: int = 2048
    max_steps: int = 1000
    seed: int = 0
    threads: int = 1
    out: Path | None = None
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Estimate, and print; returns the exit status 0."""
        if self.threads < 1:
            raise ValueError(f"--threads must be at least 1, found {self.threads}")
        torch.set_num_threads(self.threads)
        if self.out is not None:
            check_writable(self.out)
        store = TransitionStore.open(self.log)
        task = None if self.env is None else make_task(self.env, env_settings(self.env_kwargs))
        if self.behaviour is not None:
            store = with_behaviour(store, load_policy(self.behaviour))
        self._known(store)
        result: dict[str, Any] = {
            "log": str(self.log), "name": store.problem.name, "steps": len(store), "episodes": len(store.episodes),
            "gamma": self.gamma, "logged_return": float(episode_returns(store).mean()), "policies": {},
        }  # fmt: skip
        with Bars(console(self.quiet)) as bars:
            for name, policy in self._targets(store, task).items():
                found = self._evaluate(store, policy, name, bars)
                online = self._online(policy, task, name, bars)
                result["policies"][name] = {"estimates": [each.to_json() for each in found]} | online
        if self.out is not None:
            write_json(self.out / "result.json", result)
        if self.json:
            print_json(result)
        else:
            _show(result, console(self.quiet))
        return 0

    def _known(self, store: TransitionStore) -> None:
        """Say that propensities are missing before anything is learned."""
        unknown = store.unknown_propensities
        if unknown:
            raise ValueError(
                f"{self.log}: {unknown:,} of {len(store):,} steps have no propensity; --behaviour DIR names an agent "
                f"that stands for the log's policy, as recgym train --log {self.log} --agent bc --updates 2000 makes"
            )

    def _targets(self, store: TransitionStore, task: Task | None) -> dict[str, Policy[Any]]:
        problem = store.problem
        found: dict[str, Policy[Any]] = {}
        for folder in self.policies:
            found[str(folder)] = load_policy(folder) if task is None else load_trained(folder, task).policy()
        if problem.action == "items":
            found["random"] = RandomPolicy(ActionSpec(problem.num_candidates, problem.slate_size, problem.num_items))
        if not found:
            raise ValueError(f"{self.log} holds preference vectors: name at least one trained agent with --policies")
        return found

    def _evaluate(
        self, store: TransitionStore, policy: Policy[Any], name: str, progress: Progress
    ) -> tuple[OPEResult, ...]:
        start: Any = policy.init_state(1, "cpu")
        same: dict[str, Any] = {
            "gamma": self.gamma, "greedy": self.greedy, "seed": self.seed,
            "progress": lambda tick: progress(tick._replace(stage=f"{tick.stage} of {name}")),
        }  # fmt: skip
        model = None
        if self.model_updates and not len(start):
            model = fitted_q(store, policy, updates=self.model_updates, **same)
        progress(Tick(f"judging {name}"))
        data = trajectories_of(
            store, policy, gamma=self.gamma, greedy=self.greedy,
            q=None if model is None else model.q, v=None if model is None else model.v,
        )  # fmt: skip
        estimators: list[Any] = [TIS(), WIS(), PDIS(), SNPDIS(), NCIS(self.cap)]
        if model is not None:
            estimators += [TrajectoryDM(), TrajectoryDR(), WDR(), MAGIC()]
        if self.dice_updates and not len(start):
            weight = fitted_dice(store, policy, updates=self.dice_updates, **same)
            estimators.append(DICE(by_episode(store, weight)))
        user = store.columns["user"][store.episodes[:, 0]]
        return evaluate(data, estimators, Bootstrap(resamples=self.resamples), self.seed, user)

    def _online(self, policy: Policy[Any], task: Task | None, name: str, progress: Progress) -> dict[str, Any]:
        if task is None:
            return {}
        progress(Tick(f"simulating users of {name}"))
        played = rollout(
            policy, task, users=self.users, seeds=(self.seed + 1, self.seed + 2), greedy=self.greedy,
            max_steps=self.max_steps,
        )  # fmt: skip
        summary = played.summary()
        return {"online": {key: summary[key] for key in ("return", "low", "high")}}


def _show(result: dict[str, Any], err: Any) -> None:
    print(f"{result['name']}: {result['episodes']:,} episodes, {result['steps']:,} steps, "
          f"logged return {result['logged_return']:.4g}")  # fmt: skip
    for name, found in result["policies"].items():
        rows = [
            [
                each["estimator"], each["value"], each["low"], each["high"],
                each["diagnostics"]["effective_n"], each["diagnostics"]["max_weight"],
            ]
            for each in found["estimates"]
        ]  # fmt: skip
        if "online" in found:
            rows.append(["online", *(found["online"][key] for key in ("return", "low", "high")), None, None])
        table(["estimator", "value", "low", "high", "effective sample size", "largest weight"], rows, title=name)
        told: dict[str, list[str]] = {}
        for each in found["estimates"]:
            for warning in each["diagnostics"]["warnings"]:
                told.setdefault(warning, []).append(each["estimator"])
        for warning, estimators in told.items():
            err.print(f"warning: {name}, {', '.join(estimators)}: {warning}", markup=False)
