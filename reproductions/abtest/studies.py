"""The runs: levels, power against plans, and adaptive data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from recgym.abtest import (
    Arm,
    Method,
    Pools,
    Spending,
    Thompson,
    adaptive_estimates,
    allocate_adaptively,
    analysis_for,
    group_sequential_users,
    pick_metrics,
    plain_estimates,
    plan_by_simulation,
    replicate,
    required_users,
    simulate_arms,
)
from recgym.agents import RandomPolicy, ScoredPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec

__all__ = ["ALWAYS_VALID", "EVERY", "METRIC", "Size", "adaptive", "levels", "planned_power", "policy_power", "users"]

METRIC = "return"
EVERY = 100
ALWAYS_VALID = (Method.MSPRT, Method.CONFIDENCE_SEQUENCE, Method.STITCHED)
_USERS = 20_000
_EFFECT = 0.05
_WANTED = 0.85
_GROUPS = 5


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        pool: users simulated for each arm.
        replications: experiments.
        workers: processes.
    """

    pool: int
    replications: int
    workers: int


def users(size: Size, seed: int) -> Pools:
    """Users under a random policy, and under one that shows more of what they viewed for long."""
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 10})
    spec = action_spec(task)
    features = torch.as_tensor(task.model.item_features)
    padded = torch.cat([features, torch.zeros_like(features[:1])])

    def more_of_the_same(seen: dict[str, Any]) -> torch.Tensor:
        watched = padded[seen["history_items"]] * seen["history_feedback"][..., 1:2]  # long views
        scores: torch.Tensor = (features[seen["candidates"]] @ watched.sum(1)[:, :, None])[..., 0]
        return scores

    arms: dict[str, Arm] = {
        "random": RandomPolicy(spec),
        "taste": ScoredPolicy(spec, more_of_the_same, temperature=2.0),
    }
    return simulate_arms(arms, task, size.pool, metrics=pick_metrics(task, (METRIC,)), seed=seed)


def levels(pools: Pools, size: Size, seed: int) -> list[dict[str, Any]]:
    """A/A: every way to compare, on the same experiments."""
    result = replicate(
        pools.planted(METRIC), range(EVERY, _USERS + 1, EVERY), size.replications, methods=tuple(Method), seed=seed,
        workers=size.workers,
    )  # fmt: skip
    rows = [found.summary(result.users) for found in result.found]
    uneven = float((result.sample_ratio() < 0.001).mean())
    split = {"study": "sample ratio", "method": "chi-square", "planned": 0.001, "rejected": uneven}
    return [*(_row("A/A", row, _USERS, 0.05) for row in rows), split]


def planned_power(pools: Pools, size: Size, seed: int) -> list[dict[str, Any]]:
    """A/B with a planted effect: each test with its own plan."""
    sd = float(pools.column(METRIC)[0].std())
    effect = _EFFECT * sd
    planted = pools.planted(METRIC, effect)
    rows = []
    for method, plan in _plans(effect, sd, size.replications).items():
        count, power = plan()
        if method in ALWAYS_VALID:
            looks = tuple(range(EVERY, count + 1, EVERY))
        else:
            groups = 1 if method is Method.FIXED else _GROUPS
            looks = tuple(round(count * (k + 1) / groups) for k in range(groups))
        found = replicate(
            planted, looks, size.replications, methods=(method,), effect=effect, seed=seed, workers=size.workers
        )
        rows.append(_row("A/B, planted", found.found[0].summary(found.users), count, power))
    return rows


def _plans(effect: float, sd: float, replications: int) -> dict[Method, Callable[[], tuple[int, float]]]:
    """Users and power of each test's plan, made when asked for."""

    def fixed() -> tuple[int, float]:
        plan = required_users(effect, sd, _WANTED)
        return plan.users, plan.power

    def groups(kind: Spending) -> tuple[int, float]:
        plan = group_sequential_users(effect, sd, _GROUPS, kind, _WANTED)
        return plan.users, plan.power

    def simulated(method: Method) -> tuple[int, float]:
        test = partial(analysis_for, method, effect=effect)
        plan = plan_by_simulation(test, effect, sd, EVERY, _WANTED, replications=replications)
        return plan.users, plan.power

    return {
        Method.FIXED: fixed,
        Method.OBRIEN_FLEMING: partial(groups, Spending.OBRIEN_FLEMING),
        Method.POCOCK: partial(groups, Spending.POCOCK),
        **{method: partial(simulated, method) for method in ALWAYS_VALID},
    }


def policy_power(pools: Pools, size: Size, seed: int) -> list[dict[str, Any]]:
    """A/B of two policies, planned from their difference over the pools."""
    values = pools.column(METRIC)
    effect = float(pools.truth(METRIC)[1] - pools.truth(METRIC)[0])
    plan = required_users(abs(effect), float(np.sqrt(values.var(1).mean())))
    found = replicate(pools, (plan.users,), size.replications, methods=(Method.FIXED,), seed=seed, workers=size.workers)
    return [_row("A/B, policies", found.found[0].summary(found.users), plan.users, plan.power)]


def adaptive(pools: Pools, size: Size, seed: int) -> list[dict[str, Any]]:
    """Coverage of the difference of two equal arms under Thompson sampling."""
    data = allocate_adaptively(
        pools.planted(METRIC), METRIC, Thompson(decay=0.5), 4000, size.replications, batches=80, seed=seed,
        workers=size.workers,
    )  # fmt: skip
    rows = []
    for name, estimates in (("plain", plain_estimates(data)), ("adaptive weights", adaptive_estimates(data))):
        difference, error = estimates.contrast(1)
        rows.append({
            "study": "Thompson, equal arms", "method": name, "users": 4000, "replications": size.replications,
            "coverage": float((abs(difference) <= 1.96 * error).mean()),
            "bias_of_means": float((estimates.mean - pools.truth(METRIC)[0]).mean()),
        })  # fmt: skip
    return rows


def _row(study: str, summary: dict[str, Any], count: int, planned: float) -> dict[str, Any]:
    kept = ("method", "truth", "rejected", "low", "high", "users", "bias", "coverage")
    named = {name: summary[name] for name in kept}
    named["stopped_at"] = named.pop("users")
    return {"study": study, **named, "users": count, "planned": planned}
