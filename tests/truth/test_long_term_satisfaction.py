"""Known answers of long-term satisfaction over 140 steps: published values, a dynamic program, the environment."""

from typing import Any

import numpy as np
import pytest
import torch

from recgym.envs import Simulation
from recgym.envs.long_term_satisfaction import task
from recgym.simulators.satisfaction_oracle import quadrature, solve

HORIZON = 140
CHOCS = (6, 8, 10, 14, 18, 21)
ORACLE = dict(zip(CHOCS, (461, 522, 603, 781, 965, 1104), strict=True))
CONSTANT_PER_USER = dict(zip(CHOCS, (458, 510, 581, 740, 907, 1034), strict=True))
SHARED_CONSTANT = dict(zip(CHOCS, (446, 488, 546, 676, 812, 917), strict=True))
RANDOM = dict(zip(CHOCS, (366, 437, 508, 651, 793, 900), strict=True))
USERS = 20_000


def constant_returns(choc: float, users: int = USERS) -> np.ndarray:
    """Returns ``[30, users]`` of always showing the same clickbait level, to the same users."""
    simulation = Simulation(task(choc=choc), users, device="numpy")
    returns = np.zeros((30, users))
    for action in range(30):
        simulation.reset(seed=1)
        for _ in range(HORIZON):
            returns[action] += simulation.step(np.full(users, action)).reward
    return returns


@pytest.mark.parametrize("choc", CHOCS)
def test_own_dynamic_program_meets_the_published_oracle(choc: int) -> None:
    memory, sensitivity, weight = quadrature()
    value = float((solve(memory, sensitivity, float(choc), grid=81).start_value() * weight).sum())
    assert value == pytest.approx(ORACLE[choc], rel=0.01)


@pytest.mark.parametrize("choc", CHOCS)
def test_oracle_policy_rolled_out_in_the_environment(choc: int) -> None:
    users = 300
    simulation = Simulation(task(choc=choc), users, device="cpu")
    simulation.reset(seed=0)
    state = simulation.users
    oracle = solve(state.memory, state.sensitivity, float(choc), grid=81)
    planned = oracle.start_value()
    total = torch.zeros(users, dtype=torch.float64)
    for step in range(HORIZON):
        transition = simulation.step(oracle.best_action(simulation.users.exposure, step))
        total += transition.reward
    assert bool(transition.terminated.all())
    assert not bool(transition.truncated.any())
    # Each user gets what the program planned for it; only engagement noise (sd 0.01 a step) and the grid lie between.
    assert torch.allclose(total, planned, rtol=2e-3, atol=0.5)
    memory, sensitivity, weight = quadrature()
    population = (solve(memory, sensitivity, float(choc), grid=81).start_value() * weight).sum()
    # The plan of the same users is a control variate for which users were drawn.
    assert float(total.mean() - planned.mean() + population) == pytest.approx(ORACLE[choc], rel=0.01)


@pytest.mark.parametrize("choc", CHOCS)
def test_constants_rolled_out_in_the_environment(choc: int) -> None:
    returns = constant_returns(float(choc))
    assert returns.max(axis=0).mean() == pytest.approx(CONSTANT_PER_USER[choc], rel=0.01)
    assert returns.mean(axis=1).max() == pytest.approx(SHARED_CONSTANT[choc], rel=0.01)


def random_return(choc: float, users: int = USERS) -> float:
    simulation = Simulation(task(choc=choc), users, device="numpy")
    simulation.reset(seed=2)
    rng = np.random.default_rng(2)
    return float(sum(simulation.step(rng.integers(30, size=users)).reward.mean() for _ in range(HORIZON)))


@pytest.mark.parametrize("choc", CHOCS)
def test_random_policy_rolled_out_in_the_environment(choc: int) -> None:
    assert random_return(float(choc)) == pytest.approx(RANDOM[choc], rel=0.01)


def slow_return(users: Any, level: float, *, sign: float = 1.0, late: bool = False) -> np.ndarray:
    """Returns of one constant level in plain arithmetic; clickbait pleases (sign -1), or reward follows the update."""
    exposure = 0.5 / (1 - users.memory.astype(np.float64))
    total = np.zeros(len(exposure))
    for _ in range(HORIZON):
        after = users.memory * exposure - sign * 2 * (level - 0.5)
        total += (level * 14 + (1 - level) * 4) / (1 + np.exp(-users.sensitivity * (after if late else exposure)))
        exposure = after
    return total


def test_wrong_dynamics_are_told_apart() -> None:
    """User by user, the environment equals plain arithmetic, and neither of two plausible slips."""
    simulation = Simulation(task(choc=14.0), 500, device="numpy")
    simulation.reset(seed=4)
    users, level = simulation.users, 29
    total = sum(simulation.step(np.full(500, level)).reward.astype(np.float64) for _ in range(HORIZON))
    np.testing.assert_allclose(total, slow_return(users, level / 30), atol=0.6)
    for wrong in (slow_return(users, level / 30, late=True), slow_return(users, level / 30, sign=-1.0)):
        assert np.mean(np.abs(wrong / total - 1) > 5e-3) > 0.5
