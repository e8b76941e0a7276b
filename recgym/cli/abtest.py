"""``recgym abtest``: try an A/B test out on simulated users before real ones are asked."""

import math
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from recgym.abtest import (
    Allocation,
    CarryOver,
    Clustered,
    EpsilonGreedy,
    Found,
    Method,
    Outcome,
    Pools,
    Rule,
    Spillover,
    Split,
    Switchback,
    Thompson,
    adaptive_estimates,
    allocate_adaptively,
    analysis_for,
    duration_days,
    pick_metrics,
    plain_estimates,
    plan_by_simulation,
    regret_curve,
    replicate,
    required_users,
    simulate_arms,
)
from recgym.cli.arms import named_arms, policies
from recgym.cli.common import console, jsonable, print_json, table
from recgym.cli.train import env_settings
from recgym.envs import make_task
from recgym.files import check_writable, write_json
from recgym.report import abtest_report, write_report
from recgym.stats import t_interval

__all__ = ["ABTest", "Design"]

_POOL = 100_000
_PLANNED_LOOKS = 200


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
        common: the same simulated users and draws for all arms.
        pre_steps: steps under the control before the experiment; with any, metrics are adjusted for them (CUPED).
        effect: difference that always-valid tests are tuned to, in units of each metric; the one that a fixed horizon
            finds with a power of 80 % if not given.
        alpha: level.
        users_per_day: turns planned users into days.
        env_kwargs: keyword arguments of the environment, key=value.
        max_steps: cut episodes here if nothing else ends them.
        seed: root seed.
        workers: processes for the replications; the result does not depend on them.
        out: folder that gets result.json and report.html.
        json: print one JSON object in place of a table.
        quiet: no remarks.
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
    common: bool = False
    pre_steps: int = 0
    effect: float | None = None
    alpha: float = 0.05
    users_per_day: float | None = None
    env_kwargs: tuple[str, ...] = ()
    max_steps: int = 1000
    seed: int = 0
    workers: int = 1
    out: Path | None = None
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Simulate, draw, and say what came of it."""
        self._check()
        err = console(self.quiet)
        task = make_task(self.env, env_settings(self.env_kwargs), lambda remark: err.print(f"note: {remark}"))
        named = named_arms(self.arms)
        arms = policies(named, task, self.seed)
        size = self.pool or min(self.users, _POOL)
        metrics = pick_metrics(task, self.metrics)
        start = time.perf_counter()
        err.print(f"simulating {size:,} users of each arm", markup=False)
        pools = simulate_arms(
            arms, task, size, metrics=metrics, seed=self.seed, common=self.common,
            pre_steps=self.pre_steps, max_steps=self.max_steps,
        )  # fmt: skip
        pools = pools.adjusted() if self.pre_steps else pools
        middle = time.perf_counter()
        bandit = self.allocation in (Design.THOMPSON, Design.EPSILON_GREEDY)
        result: dict[str, Any] = {
            "env": self.env, "arms": named, "users": self.users, "pool": pools.users,
            "replications": self.replications, "alpha": self.alpha, "design": self._words(), "seed": self.seed,
            "metrics": {metric: _effects(pools, metric) for metric in pools.metrics},
            **(self._adaptive(pools) if bandit else self._replicated(pools)),
            "plan": [] if bandit else self._plans(pools),
            "seconds": {"simulation": middle - start, "replications": time.perf_counter() - middle},
            "versions": {"python": platform.python_version()} | {n: version(n) for n in ("recgym", "numpy", "torch")},
        }  # fmt: skip
        result = jsonable(result)
        if self.out is not None:
            write_json(self.out / "result.json", result)
            write_report(abtest_report(result), self.out / "report.html")
        if self.json:
            print_json(result)
        else:
            _tables(result, self.out)
        return 0

    def _check(self) -> None:
        for flag in ("users", "replications", "looks", "block", "workers"):
            if getattr(self, flag) < 1:
                raise ValueError(f"--{flag} must be at least 1, found {getattr(self, flag)}")
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
        ]
        return ", ".join([words[self.allocation], *(word for word in extra if word)])

    def _replicated(self, pools: Pools) -> dict[str, Any]:
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
            workers=self.workers,
        )  # fmt: skip
        summary = replicated.summary()
        for row, found in zip(summary["comparisons"], replicated.found, strict=True):
            row["path"] = _path(found)
        return summary

    def _adaptive(self, pools: Pools) -> dict[str, Any]:
        metric, rule = pools.metrics[0], _rule(self.allocation)
        batches = min(self.looks, self.users)
        data = allocate_adaptively(
            pools, metric, rule, self.users, self.replications, batches=batches, seed=self.seed, workers=self.workers
        )
        truth = pools.truth(metric)
        regret = regret_curve(data, truth)
        users = data.users[0].sum(-1).cumsum()
        low, high = np.quantile(regret, [0.1, 0.9], axis=0)
        curves = {str(self.allocation): {"mean": regret.mean(0).tolist(), "low": low.tolist(), "high": high.tolist()},
                  "even split": {"mean": (users * (truth.max() - truth.mean())).tolist()}}  # fmt: skip
        share = data.users.sum(1).mean(0) / self.users
        rows: list[dict[str, Any]] = [
            {"arm": arm, "share": float(share[i]), "truth": float(truth[i])} for i, arm in enumerate(pools.arms)
        ]
        for name, estimates in (("plain", plain_estimates(data)), ("weighted", adaptive_estimates(data))):
            bounds = estimates.interval(1 - self.alpha)
            covered = ((bounds[0] <= truth) & (truth <= bounds[1])).mean(0)
            for index, row in enumerate(rows):
                row |= {name: float(estimates.mean[:, index].mean()), f"{name}_coverage": float(covered[index])}
        adaptive = {"metric": metric, "users": users.tolist(), "regret": curves, "estimates": rows}
        return {"looks": users.tolist(), "comparisons": [], "adaptive": adaptive}

    def _plans(self, pools: Pools) -> list[dict[str, Any]]:
        """Users needed for the first metric's true differences, by formula and by simulation."""
        metric = pools.metrics[0]
        sd = float(pools.column(metric)[0].std())
        plans: list[dict[str, Any]] = []
        for arm in pools.arms[1:]:
            effect = abs(pools.effect(metric, arm).mean)
            if effect <= 1e-3 * sd:  # no experiment of a sensible size finds that
                continue
            for method, users, power, expected in self._users(effect, sd):
                days = duration_days(users, self.users_per_day) if self.users_per_day else None
                plans.append({"metric": metric, "effect": effect, "method": f"{arm}, {method}", "users": users,
                              "power": power, "expected": expected, "days": days})  # fmt: skip
        return plans

    def _users(self, effect: float, sd: float) -> Iterator[tuple[str, int, float, float]]:
        """Test, users needed, power and users on average."""
        fixed = required_users(effect, sd, alpha=self.alpha)
        yield "fixed", fixed.users, fixed.power, float(fixed.users)
        every = max(math.ceil(3 * fixed.users / _PLANNED_LOOKS), 2)
        for method in (Method.MSPRT, Method.CONFIDENCE_SEQUENCE):
            if method in self.analyses:
                test = partial(analysis_for, method, effect=effect, alpha=self.alpha)
                plan = plan_by_simulation(test, effect, sd, every, replications=2000, seed=self.seed)
                yield f"{method}, looked at every {every} users", plan.users, plan.power, plan.expected_users


def _rule(design: Design) -> Rule:
    return Thompson() if design is Design.THOMPSON else EpsilonGreedy()


def _spaced(users: int, looks: int) -> tuple[int, ...]:
    spaced = np.unique(np.linspace(0, users, looks + 1)[1:].round().astype(int))
    return tuple(int(look) for look in spaced if look >= 2)


def _effects(pools: Pools, metric: str) -> dict[str, Any]:
    intervals = [t_interval(column) for column in pools.column(metric)]
    return {
        "arms": {arm: interval._asdict() for arm, interval in zip(pools.arms, intervals, strict=True)},
        "effects": {arm: pools.effect(metric, arm)._asdict() for arm in pools.arms[1:]},
    }


def _path(found: Found) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in found.path._asdict().items()}


def _tables(result: Mapping[str, Any], out: Path | None) -> None:
    title = f"{result['env']}: {result['replications']:,} experiments of {result['users']:,} users"
    if result["comparisons"]:
        shown = ("metric", "arm", "method", "truth", "rejected", "low", "high", "users", "bias", "coverage")
        table(list(shown), [[row[name] for name in shown] for row in result["comparisons"]], title=title)
    else:
        adaptive = result["adaptive"]
        names = ("arm", "share", "truth", "plain", "plain_coverage", "weighted", "weighted_coverage")
        rows = [[row[name] for name in names] for row in adaptive["estimates"]]
        table([name.replace("_", " ") for name in names], rows, title=title)
        table(["allocation", "regret"], [[name, curve["mean"][-1]] for name, curve in adaptive["regret"].items()])
    if out is not None:
        print(f"report: {out / 'report.html'}")
