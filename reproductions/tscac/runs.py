"""One run: learn from the log, serve validation and test users, weigh a log of others; all of it kept."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents.offline import NetworkPolicy, OfflineAgent
from recgym.data.transitions import TransitionStore
from recgym.encoders.settings import settings_to_json
from recgym.evaluation import record
from recgym.files import atomic_file
from recgym.seeding import child_seed
from reproductions.running import kept
from reproductions.tscac.arms import Budget, Run, config_of
from reproductions.tscac.ncis import Valued, valued
from reproductions.tscac.world import AUXILIARIES, MAIN, Served, behaviour, log_of, serve, world

__all__ = ["arrays_of", "measured", "run_one"]

VALIDATION, TESTS = (2000, 2001), (3000, 3001, 3002)
RESPONSES = (MAIN, *AUXILIARIES)


@cache
def _log(variant: str, seed: int, steps: int) -> TransitionStore:
    return log_of(variant, seed, steps)


@cache
def _test_log(variant: str, seed: int, steps: int) -> TransitionStore:
    users = world(variant)
    return record(behaviour(users), users, steps, seed=child_seed(seed, "log of test users"))


def _means(served: Served, names: tuple[str, ...]) -> tuple[dict[str, float], dict[str, float]]:
    """Of each response, per video and over a session."""
    rate, total = served.per_video(), served.totals.mean(0)
    columns = [names.index(name) for name in RESPONSES]
    return (
        {name: float(rate[column]) for name, column in zip(RESPONSES, columns, strict=True)},
        {name: float(total[column]) for name, column in zip(RESPONSES, columns, strict=True)},
    )


def measured(run: Run, budget: Budget) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train and serve: the row of a run, and what its off-policy value is made of."""
    torch.set_num_threads(1)
    begun = time.perf_counter()
    store, users = _log(run.variant, run.seed, budget.steps), world(run.variant)
    config = config_of(run, budget)
    agent = OfflineAgent.of(config, store, run.seed).fit(store, budget.total)
    training = time.perf_counter() - begun
    policy = agent.policy()
    assert isinstance(policy, NetworkPolicy)
    validation = serve(policy, users, budget.users, VALIDATION)
    test = serve(policy, users, budget.users, TESTS)
    names = users.model.schema.names
    row: dict[str, Any] = {
        "variant": run.variant, "arm": run.arm, "setting": run.setting, "seed": run.seed,
        "validation": _means(validation, names)[0], "test": _means(test, names)[0],
        "test_session": _means(test, names)[1], "session_length": float(test.length.mean()),
        "test_users": len(test.length), "logged_steps": len(store), "updates": agent.updates,
        "last_losses": agent.losses[-1], "training_seconds": round(training, 1),
        "settings": settings_to_json(config),
    }  # fmt: skip
    arrays: dict[str, np.ndarray] = {}
    if budget.logged_tests:
        value = valued(policy, _test_log(run.variant, run.seed, budget.logged_tests), MAIN)
        row["ncis"], row["ess"] = value.estimate(), value.effective()
        arrays = {"weight": value.weight, "product": value.product, "square": value.square}
    row["seconds"] = round(time.perf_counter() - begun, 1)
    return row, arrays


def run_one(run: Run, folder: Path, budget: Budget) -> dict[str, Any]:
    """The row of a run, from the folder if it was run before."""

    def make() -> dict[str, Any]:
        row, arrays = measured(run, budget)
        # The arrays go first: a row that stands says that they do.
        with atomic_file(folder / f"{run.key}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return row

    return kept(folder / f"{run.key}.json", make)


def arrays_of(run: Run, folder: Path) -> Valued:
    """What a finished run's off-policy value is made of."""
    with np.load(folder / f"{run.key}.npz") as found:
        return Valued(found["weight"], found["product"], found["square"])
