"""Relisten-v0: what pays there, its settings, and fitted worlds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.arrays import to_numpy
from recgym.envs import RetentionLimits, Simulation, Task, make_task
from recgym.envs.relisten import task
from recgym.simulators.actr import ACTRConfig, ACTRFitConfig, ACTRMemory, actr_log, fit_actr, make_world

USERS = 1000
SMALL = ACTRConfig(num_items=60, people=100, past_sessions=5, window=40)


def earned(world: Task, choose: Callable[[Simulation], np.ndarray], steps: int = 40) -> float:
    """The mean return of an episode, cut after some steps."""
    simulation = Simulation(world, USERS, device="numpy", seed=3)
    simulation.reset()
    total, alive = np.zeros(USERS), np.ones(USERS, dtype=bool)
    for _ in range(steps):
        step = simulation.step(choose(simulation))
        total += np.where(alive, step.reward, 0.0)
        alive &= ~(step.terminated | step.truncated)
    return float(total.mean())


def at_random(simulation: Simulation) -> np.ndarray:
    return np.random.default_rng(int(simulation.steps[0])).integers(20, size=USERS)


def most_often(simulation: Simulation) -> np.ndarray:
    """The candidate that the visible history holds most often."""
    counts = (to_numpy(simulation.candidates)[:, :, None] == simulation.ring.recent()[:, None]).sum(-1)
    best: np.ndarray = counts.argmax(1)
    return best


def best_now(simulation: Simulation) -> np.ndarray:
    """The candidate of the largest expected reward: this looks at hidden state."""
    best: np.ndarray = simulation.expected(simulation.candidates).feedback.sum(-1).argmax(1)
    return best


@pytest.mark.parametrize("level", ["session", "retention"])
def test_memory_pays_and_what_is_hidden_would_pay_more(level: Any) -> None:
    world = task(level=level)
    random, known, oracle = (earned(world, choose) for choose in (at_random, most_often, best_now))
    assert random < known - 2.0
    assert known < oracle - 1.0


def test_favourites_wear_out() -> None:
    """The same candidate over and over is listened to less and less; without satiation it is not."""
    shares = {}
    for satiation in (0.0, 1.0):
        config = ACTRConfig(session=(40, 40), memory=ACTRMemory(satiation=satiation, spreading=0.0, matching=0.0))
        simulation = Simulation(task(num_candidates=None, config=config), USERS, device="numpy", seed=1)
        simulation.reset()
        favourite = most_favoured(simulation)
        listens = [to_numpy(simulation.step(favourite).response.feedback)[:, 0, 0].mean() for _ in range(12)]
        shares[satiation] = np.mean(listens[:3]), np.mean(listens[-3:])
    assert shares[0.0][1] == pytest.approx(shares[0.0][0], abs=0.05)
    assert shares[1.0][1] < 0.5 * shares[1.0][0]


def most_favoured(simulation: Simulation) -> np.ndarray:
    record = simulation.ring.recent()
    counts = (record[:, :, None] == record[:, None]).sum(-1) * (record < simulation.model.num_items)
    best: np.ndarray = np.take_along_axis(record, counts.argmax(1)[:, None], 1)[:, 0]
    return best


def test_settings() -> None:
    world = make_task("recgym/Relisten-v0", {"slate_size": 3, "num_candidates": None, "config": SMALL, "window": 7})
    assert (world.slate_size, world.num_candidates, world.window) == (3, 60, 7)
    assert world.model.item_features.shape == (60, 17)
    several = task(level="retention", retention=RetentionLimits(max_sessions=2), retention_weight=3.0, config=SMALL)
    simulation = Simulation(several, 200, device="cpu", seed=0)
    simulation.reset()
    away = [simulation.step(simulation.steps * 0) for _ in range(8)]
    gaps = np.stack([to_numpy(step.return_gap_s) for step in away])
    listens = np.stack([to_numpy(step.response.feedback).sum((1, 2)) for step in away])
    days = np.clip(np.nan_to_num(gaps, nan=0.0, posinf=1e12) / 86_400.0, 0.0, 30.0)
    reward = np.stack([to_numpy(step.reward) for step in away])
    np.testing.assert_allclose(reward, listens - 3.0 * days, rtol=1e-4, atol=1e-4)
    assert np.isfinite(gaps).any()


def test_worlds_and_folders(tmp_path: Path) -> None:
    world = make_world(SMALL)
    world.save(tmp_path / "world")
    with pytest.raises(ValueError, match="a world and a config of a made-up one are given"):
        task(world=world, config=SMALL)
    one, other = (Simulation(task(world=w), 50, seed=2) for w in (world, tmp_path / "world"))
    for simulation in (one, other):
        simulation.reset()
    for _ in range(5):
        action = one.steps % 20
        first, second = one.step(action), other.step(action)
        np.testing.assert_array_equal(to_numpy(first.reward), to_numpy(second.reward))


def test_users_fitted_to_a_log_are_an_environment() -> None:
    config = replace(SMALL, session=(4, 8))
    fit = fit_actr(actr_log(config, 60, 15, 0), ACTRFitConfig(window=40, longest=8))
    world = task(world=fit.world, num_candidates=20, level="retention")
    assert earned(world, most_often, 30) > earned(world, at_random, 30)
