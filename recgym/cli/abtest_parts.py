"""What ``recgym abtest`` computes beside the replications themselves, as it stands in result.json."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from recgym.abtest import (
    Arm,
    EpsilonGreedy,
    Guardrail,
    Method,
    Metric,
    Pools,
    Replicated,
    Rule,
    Thompson,
    adaptive_estimates,
    allocate_adaptively,
    analysis_for,
    duration_days,
    effect_trend,
    exposure_panel,
    plain_estimates,
    plan_by_simulation,
    regret_curve,
    required_users,
    verdicts,
)
from recgym.envs import Task
from recgym.evaluation import rollout
from recgym.seeding import child_seed
from recgym.stats import t_interval
from recgym.workers import Workers

__all__ = ["BANDITS", "adaptive_part", "effects_part", "guardrails", "novelty_part", "plan_part", "verdict_part"]

BANDITS: dict[str, Rule] = {"thompson": Thompson(), "epsilon-greedy": EpsilonGreedy()}
"""Allocations that follow what was seen, by name."""

_PLANNED_LOOKS = 200
_LEAST_BETWEEN = 20
_PERIODS = 10
_PANEL_USERS = 4096


def effects_part(pools: Pools, metric: str) -> dict[str, Any]:
    """Means of the arms and differences from the control over all simulated users."""
    intervals = [t_interval(column) for column in pools.column(metric)]
    return {
        "arms": {arm: interval._asdict() for arm, interval in zip(pools.arms, intervals, strict=True)},
        "effects": {arm: pools.effect(metric, arm)._asdict() for arm in pools.arms[1:]},
    }


def adaptive_part(
    pools: Pools,
    bandit: str,
    users: int,
    replications: int,
    batches: int,
    alpha: float,
    seed: int,
    workers: Workers,
) -> dict[str, Any]:
    """Regret and estimates of a bandit that maximises the first metric.

    Args:
        pools: what users do under each arm.
        bandit: one of :data:`BANDITS`.
        users: of an experiment.
        replications: experiments.
        batches: of users.
        alpha: level.
        seed: root seed.
        workers: who draws the experiments.
    """
    metric = pools.metrics[0]
    data = allocate_adaptively(
        pools, metric, BANDITS[bandit], users, replications, batches=min(batches, users), seed=seed, workers=workers
    )
    truth = pools.truth(metric)
    regret = regret_curve(data, truth)
    came = data.users[0].sum(-1).cumsum()
    low, high = np.quantile(regret, [0.1, 0.9], axis=0)
    curves = {
        bandit: {"mean": regret.mean(0).tolist(), "low": low.tolist(), "high": high.tolist()},
        "even split": {"mean": (came * (truth.max() - truth.mean())).tolist()},
    }
    share = data.users.sum(1).mean(0) / users
    rows: list[dict[str, Any]] = [
        {"arm": arm, "share": float(share[i]), "truth": float(truth[i])} for i, arm in enumerate(pools.arms)
    ]
    for name, estimates in (("plain", plain_estimates(data)), ("weighted", adaptive_estimates(data))):
        bounds = estimates.interval(1 - alpha)
        covered = ((bounds[0] <= truth) & (truth <= bounds[1])).mean(0)
        for index, row in enumerate(rows):
            row |= {name: float(estimates.mean[:, index].mean()), f"{name}_coverage": float(covered[index])}
    adaptive = {"metric": metric, "users": came.tolist(), "regret": curves, "estimates": rows}
    return {"looks": came.tolist(), "comparisons": [], "adaptive": adaptive}


def plan_part(
    pools: Pools, methods: Sequence[Method], alpha: float, users_per_day: float | None, seed: int
) -> list[dict[str, Any]]:
    """Users needed to find the first metric's true differences, by formula and by simulation.

    Args:
        pools: what users do under each arm.
        methods: of these the always-valid ones are planned beside the fixed horizon.
        alpha: level.
        users_per_day: turns users into days; None for no days.
        seed: root seed.
    """
    metric = pools.metrics[0]
    sd = float(pools.column(metric)[0].std())
    plans: list[dict[str, Any]] = []
    for arm in pools.arms[1:]:
        effect = abs(pools.effect(metric, arm).mean)
        if effect <= 1e-3 * sd:  # no experiment of a sensible size finds that
            continue
        for method, users, power, expected in _users(effect, sd, methods, alpha, seed):
            days = duration_days(users, users_per_day) if users_per_day else None
            plans.append({"metric": metric, "effect": effect, "method": f"{arm}, {method}", "users": users,
                          "power": power, "expected": expected, "days": days})  # fmt: skip
    return plans


def _users(
    effect: float, sd: float, methods: Sequence[Method], alpha: float, seed: int
) -> Iterator[tuple[str, int, float, float]]:
    """Test, users needed, power and users on average."""
    fixed = required_users(effect, sd, alpha=alpha)
    yield "fixed", fixed.users, fixed.power, float(fixed.users)
    every = max(math.ceil(3 * fixed.users / _PLANNED_LOOKS), _LEAST_BETWEEN)
    for method in (Method.MSPRT, Method.CONFIDENCE_SEQUENCE):
        if method in methods:
            test = partial(analysis_for, method, effect=effect, alpha=alpha)
            plan = plan_by_simulation(test, effect, sd, every, replications=2000, seed=seed)
            yield f"{method}, looked at every {every} users", plan.users, plan.power, plan.expected_users


def guardrails(words: Sequence[str], metrics: Sequence[Metric]) -> tuple[Guardrail, ...]:
    """Guardrails of ``METRIC=MARGIN``; a negative margin is for metrics of which less is better.

    Raises:
        ValueError: one is not of that form, or its metric is not counted.
    """
    made = []
    names = [metric.name for metric in metrics]
    for word in words:
        name, equals, margin = word.rpartition("=")
        try:
            value = float(margin)
        except ValueError:
            equals = ""
        if not equals:
            raise ValueError(f"found the guardrail {word!r}, expected METRIC=MARGIN, such as length=0.5")
        if name not in names:
            raise ValueError(f"the guardrail {name!r} is not among the metrics: {', '.join(names)}")
        made.append(Guardrail(name, abs(value), value > 0))
    return tuple(made)


def verdict_part(result: Replicated, guarded: Sequence[Guardrail], q: float) -> list[dict[str, Any]]:
    """How often each arm would be shipped: some metric better at a false discovery rate of q, guardrails held.

    Args:
        result: the replications.
        guarded: what must not get worse; the other metrics are those that may improve.
        q: false discovery rate.
    """
    compared = [found.comparison for found in result.found]
    kept = {guardrail.metric for guardrail in guarded}
    goals = [metric for metric in dict.fromkeys(entry.metric for entry in compared) if metric not in kept]
    here = [guardrail for guardrail in guarded if guardrail.metric not in result.constant]
    rows: list[dict[str, Any]] = []
    for arm, method in dict.fromkeys((entry.arm, entry.method) for entry in compared):
        if method is Method.PEEKING or not goals:
            continue
        made = verdicts(result, arm, goals, here, method=method, q=q)
        rows.append({
            "arm": arm, "method": str(method), "metrics": goals, "better": made.better.mean(0).tolist(),
            "worse": made.worse.mean(0).tolist(), "guardrails": float(made.guarded.mean()),
            "ship": float(made.ship.mean()),
        })  # fmt: skip
    return rows


def novelty_part(
    arms: Mapping[str, Arm], task: Task, channel: str, steps_each: int, users: int, seed: int
) -> list[dict[str, Any]]:
    """The effect of each arm on a channel over a user's exposure, in ten periods of steps.

    Args:
        arms: the first is the control.
        task: the environment.
        channel: of feedback.
        steps_each: steps of a period.
        users: simulated for each arm, at most 4096.
        seed: root seed.

    Raises:
        ValueError: there is no such channel.
    """
    names = task.model.schema.names
    if channel not in names:
        raise ValueError(
            f"novelty is looked for in a feedback channel; found {channel!r}, there are: {', '.join(names)}"
        )
    panels = []
    for index, arm in enumerate(arms.values()):
        root = child_seed(seed, "novelty", index)
        made = rollout(
            arm, task, users=min(users, _PANEL_USERS), seeds=(root,), max_steps=_PERIODS * steps_each, record=True
        )
        panels.append(exposure_panel(made.steps[0], names.index(channel), _PERIODS, steps_each))
    rows: list[dict[str, Any]] = []
    for name, panel in zip(list(arms)[1:], panels[1:], strict=True):
        trend = effect_trend(panels[0], panel)
        rows.append({"arm": name, "channel": channel, "steps": steps_each, "effect": trend.effect.tolist(),
                     "error": trend.error.tolist(), "slope": trend.slope, "p": trend.p})  # fmt: skip
    return rows
