"""``recgym abtest``: try an A/B test out on simulated users before real ones are asked."""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from recgym.abtest import (
    Allocation,
    Arm,
    CarryOver,
    Clustered,
    Found,
    Guardrail,
    Method,
    Outcome,
    Pools,
    Spillover,
    Split,
    Switchback,
    pick_metrics,
    replicate,
    simulate_arms,
)
from recgym.cli.abtest_parts import (
    BANDITS,
    adaptive_part,
    effects_part,
    guardrails,
    novelty_part,
    plan_part,
    verdict_part,
)
from recgym.cli.arms import named_arms, policies
from recgym.cli.common import console, jsonable, print_json, table
from recgym.cli.progress import Watched
from recgym.cli.sharing import shared
from recgym.cli.train import env_settings
from recgym.envs import Task, make_task
from recgym.files import check_writable, write_json
from recgym.progress import Bars, Progress, Tick
from recgym.report import abtest_report, write_report
from recgym.workers import Workers

__all__ = ["ABTest", "Design"]

_POOL = 100_000


class Design(StrEnum):
    """Who gets which arm."""

    USERS = "users"
    SWITCHBACK = "switchback"
    CLUSTERS = "clusters"
    THOMPSON = "thompson"
    EPSILON_GREEDY = "epsilon-greedy"


@dataclass(frozen=True)
class ABTest:
    """Simulate users under every arm once, then draw whole experiments from them: level, power, stopping times, regret.

    Attributes:
        env: id of the environment.
        arms: NAME=POLICY, the first is the control; a policy is random, popularity, oracle (sees the hidden state), or
            the folder of a trained agent. Arms of the same policy share their users' outcomes: an A/A test.
        users: users of an experiment.
        replications: experiments.
        pool: users simulated for each arm; as many as an experiment has, at most 100,000, if not given.
        metrics: what is counted, such as return, length, or a feedback channel; all if not given. A bandit maximises
            the first one.
        analyses: how arms are compared with the control.
        allocation: users (a fixed split), switchback, clusters, or a bandit: thompson or epsilon-greedy.
        shares: of the arms; equal if not given.
        block: users of a block of time, of a cluster or of a neighbourhood.
        looks: evenly spaced looks; batches of a bandit.
        spillover: how much of a neighbour's effect a control user gets, 0 to 1.
        carry_over: how much of the last block's arm is left at the start of the next, 0 to 1.
        greedy: let trained agents take their likeliest action, as recgym evaluate does; they draw it otherwise.
        common: the same simulated users and draws for all arms.
        pre_steps: steps under the control before the experiment; with any, metrics are adjusted for them (CUPED).
        guardrails: METRIC=MARGIN, what must not get worse by more than that; a negative margin where less is better.
        novelty: steps of a period of exposure; with any, the effect on the first metric, a channel, is followed over
            ten periods.
        among: a channel without which a user is no part of the experiment, such as matched where a log is replayed.
        effect: difference that always-valid tests are tuned to, in units of each metric; the one that a fixed horizon
            finds with a power of 80 % if not given.
        alpha: level.
        users_per_day: turns planned users into days.
        env_kwargs: keyword arguments of the environment, key=value.
        max_steps: cut episodes here if nothing else ends them.
        seed: root seed.
        workers: processes that share users and replications, 1 if not given; of --ray auto, all processors if not
            given.
        ray: auto for a Ray of this machine, or HOST:PORT of a cluster, to share them with. The results stay the same.
        out: folder that gets result.json and report.html.
        json: print one JSON object in place of a table.
        quiet: no remarks and no progress.
    """

    env: str
    arms: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(aliases=["--arm"])]
    users: int = 20_000
    replications: int = 1000
    pool: int | None = None
    metrics: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(aliases=["--metric"])] = ()
    analyses: Annotated[
        tyro.conf.EnumChoicesFromValues[tuple[Method, ...]], tyro.conf.arg(aliases=["--analysis"])
    ] = (Method.FIXED, Method.PEEKING, Method.MSPRT, Method.CONFIDENCE_SEQUENCE)  # fmt: skip
    allocation: tyro.conf.EnumChoicesFromValues[Design] = Design.USERS
    shares: tuple[float, ...] = ()
    block: int = 100
    looks: int = 100
    spillover: float = 0.0
    carry_over: float = 0.0
    greedy: bool = False
    common: bool = False
    pre_steps: int = 0
    guardrails: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(aliases=["--guardrail"])] = ()
    novelty: int = 0
    among: str | None = None
    effect: float | None = None
    alpha: float = 0.05
    users_per_day: float | None = None
    env_kwargs: tuple[str, ...] = ()
    max_steps: int = 1000
    seed: int = 0
    workers: int | None = None
    ray: str | None = None
    out: Path | None = None
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Simulate, draw, and say what came of it."""
        self._check()
        err = console(self.quiet)
        task = make_task(self.env, env_settings(self.env_kwargs), lambda remark: err.print(f"note: {remark}"))
        named = named_arms(self.arms)
        arms = policies(named, task, self.seed, self.greedy)
        err.print(f"simulating {self._size:,} users of each arm", markup=False)
        with shared(self.ray, self.workers) as workers, Bars(err) as bars:
            result = jsonable({"env": self.env, "arms": named, **self._result(task, arms, workers, bars)})
        if self.out is not None:
            write_json(self.out / "result.json", result)
            write_report(abtest_report(result), self.out / "report.html")
        if self.json:
            print_json(result)
        else:
            _tables(result, self.out)
        return 0

    @property
    def _size(self) -> int:
        return self.pool or min(self.users, _POOL)

    def _result(self, task: Task, arms: Mapping[str, Arm], workers: Workers, progress: Progress) -> dict[str, Any]:
        metrics = pick_metrics(task, self.metrics)
        guarded = guardrails(self.guardrails, metrics)
        start = time.perf_counter()
        trend = []
        if self.novelty:
            progress(Tick("following the novelty of arms"))
            trend = novelty_part(arms, task, metrics[0].name, self.novelty, self._size, self.seed)
        pools = simulate_arms(
            arms, task, self._size, metrics=metrics, seed=self.seed, common=self.common, pre_steps=self.pre_steps,
            among=self.among, max_steps=self.max_steps,
            workers=Watched(workers, progress, "simulating users"),
        )  # fmt: skip
        pools = pools.adjusted() if self.pre_steps else pools
        middle = time.perf_counter()
        drawing = Watched(workers, progress, "drawing experiments")
        drawn = (
            self._adaptive(pools, drawing) if self.allocation in BANDITS else self._replicated(pools, guarded, drawing)
        )
        return {
            "users": self.users, "pool": pools.users,
            "replications": self.replications, "alpha": self.alpha, "design": self._words(), "seed": self.seed,
            "metrics": {metric: effects_part(pools, metric) for metric in pools.metrics},
            **drawn, "novelty": trend,
            "seconds": {"simulation": middle - start, "replications": time.perf_counter() - middle},
            "versions": {"python": platform.python_version()} | {n: version(n) for n in ("recgym", "numpy", "torch")},
        }  # fmt: skip

    def _check(self) -> None:
        for flag in ("users", "replications", "looks", "block"):
            if getattr(self, flag) < 1:
                raise ValueError(f"--{flag} must be at least 1, found {getattr(self, flag)}")
        if self.novelty < 0 or self.pre_steps < 0:
            raise ValueError(f"--novelty and --pre-steps count steps, found {self.novelty} and {self.pre_steps}")
        for flag in ("spillover", "carry_over"):
            if not 0 <= getattr(self, flag) <= 1:
                raise ValueError(f"--{flag.replace('_', '-')} must lie between 0 and 1, found {getattr(self, flag)}")
        if self.spillover and self.carry_over:
            raise ValueError("--spillover and --carry-over cannot be switched on together")
        if not 0 < self.alpha < 1:
            raise ValueError(f"--alpha must lie between 0 and 1, found {self.alpha}")
        if self.out is not None:
            check_writable(self.out)

    def _words(self) -> str:
        words = {Design.USERS: "a fixed split by users", Design.SWITCHBACK: f"arms switch every {self.block} users",
                 Design.CLUSTERS: f"clusters of {self.block} users", Design.THOMPSON: "Thompson sampling",
                 Design.EPSILON_GREEDY: "epsilon-greedy"}  # fmt: skip
        extra = [
            f"spillover {self.spillover:g}" if self.spillover else "",
            f"carry-over {self.carry_over:g}" if self.carry_over else "",
            f"adjusted for {self.pre_steps} steps before" if self.pre_steps else "",
            "common random numbers" if self.common else "",
            "agents take their likeliest action" if self.greedy else "agents draw their actions",
            f"users with {self.among} only" if self.among else "",
        ]
        return ", ".join([words[self.allocation], *(word for word in extra if word)])

    def _adaptive(self, pools: Pools, workers: Workers) -> dict[str, Any]:
        return adaptive_part(
            pools, str(self.allocation), self.users, self.replications, self.looks, self.alpha, self.seed, workers
        )

    def _replicated(self, pools: Pools, guarded: tuple[Guardrail, ...], workers: Workers) -> dict[str, Any]:
        shares = self.shares or (1 / len(pools.arms),) * len(pools.arms)
        designs: dict[Design, Allocation] = {
            Design.USERS: Split(shares),
            Design.SWITCHBACK: Switchback(self.block, shares),
            Design.CLUSTERS: Clustered(np.zeros(self.block, dtype=np.int64), shares),
        }
        outcome: Outcome | None = None
        if self.spillover:
            outcome = Spillover(self.spillover, self.block)
        elif self.carry_over:
            outcome = CarryOver(self.block, self.carry_over, self.block / 4)
        replicated = replicate(
            pools, _spaced(self.users, self.looks), self.replications, allocation=designs[self.allocation],
            methods=tuple(self.analyses), outcome=outcome, effect=self.effect, alpha=self.alpha, seed=self.seed,
            workers=workers,
        )  # fmt: skip
        summary = replicated.summary()
        for row, found in zip(summary["comparisons"], replicated.found, strict=True):
            row["path"] = _path(found)
        plans = plan_part(pools, self.analyses, self.alpha, self.users_per_day, self.seed)
        return {**summary, "plan": plans, "verdicts": verdict_part(replicated, guarded, self.alpha)}


def _spaced(users: int, looks: int) -> tuple[int, ...]:
    spaced = np.unique(np.linspace(0, users, looks + 1)[1:].round().astype(int))
    return tuple(int(look) for look in spaced if look >= 2)


def _path(found: Found) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in found.path._asdict().items()}


def _tables(result: Mapping[str, Any], out: Path | None) -> None:
    title = f"{result['env']}: {result['replications']:,} experiments of {result['users']:,} users, {result['design']}"
    if result["comparisons"]:
        heads = {
            "metric": "metric", "arm": "arm", "method": "method", "truth": "true difference", "rejected": "rejected",
            "low": "rejected, low", "high": "rejected, high", "users": "users", "bias": "bias", "coverage": "coverage",
        }  # fmt: skip
        table(list(heads.values()), [[row[name] for name in heads] for row in result["comparisons"]], title=title)
    else:
        adaptive = result["adaptive"]
        heads = {
            "arm": "arm", "share": "share", "truth": "true value", "plain": "plain mean",
            "plain_coverage": "its coverage", "weighted": "weighted", "weighted_coverage": "its coverage",
        }  # fmt: skip
        rows = [[row[name] for name in heads] for row in adaptive["estimates"]]
        table(list(heads.values()), rows, title=title)
        table(["allocation", "regret"], [[name, curve["mean"][-1]] for name, curve in adaptive["regret"].items()])
    if out is not None:
        print(f"report: {out / 'report.html'}")
