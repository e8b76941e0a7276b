"""Simulated plans, weights for adaptive data and interleaving against the truth, and the wrong ones fail."""

import numpy as np
import pytest

from recgym.abtest import (
    MSPRT,
    Analysis,
    ConfidenceSequence,
    FixedHorizon,
    Method,
    Pools,
    Thompson,
    adaptive_estimates,
    allocate_adaptively,
    credit,
    interleave,
    plain_estimates,
    plan_by_simulation,
    pools_of,
    preference,
    replicate,
    required_users,
)


@pytest.mark.parametrize("kind", [MSPRT, ConfidenceSequence])
def test_always_valid_tests_have_the_power_of_their_plan(kind: type[MSPRT] | type[ConfidenceSequence]) -> None:
    rng = np.random.default_rng(0)
    x = 7 * rng.exponential(size=50_000)
    sd, effect, every = float(x.std()), 0.15 * 7, 100

    def analysis(looks: tuple[int, ...]) -> Analysis:
        return kind(effect)

    plan = plan_by_simulation(analysis, effect, sd, every, 0.8, replications=5000)
    assert plan.power >= 0.8
    assert (plan.stopped < plan.users).mean() < 0.8
    assert plan.users > required_users(effect, sd).users > plan.expected_users * 0.7
    method = Method.MSPRT if kind is MSPRT else Method.CONFIDENCE_SEQUENCE
    looks = range(every, plan.users + 1, every)
    found = replicate(pools_of(x, x + effect), looks, 2000, methods=(method,), effect=effect).found[0]
    assert found.decisions.rejected.mean() == pytest.approx(plan.power, abs=4 * (0.16 / 2000 + 0.16 / 5000) ** 0.5)
    spent = (found.decisions.look + 1) * every
    assert spent.mean() == pytest.approx(plan.expected_users, rel=0.04)


def test_a_single_look_is_planned_as_the_formula_says() -> None:
    plan = plan_by_simulation(lambda looks: FixedHorizon(), 0.2, 1.0, 784, 0.8, replications=4000)
    assert plan.users == 784 or plan.power == pytest.approx(0.8, abs=0.02)
    with pytest.raises(ValueError, match="effect, sd and users between looks must be positive"):
        plan_by_simulation(lambda looks: FixedHorizon(), 0.0, 1.0, 100)


def test_weights_restore_coverage_after_thompson_sampling() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 20_000, 1))
    pools = Pools(("a", "b"), ("x",), np.concatenate([x, x]), np.zeros((2, 20_000, 0)))
    data = allocate_adaptively(pools, "x", Thompson(0.5), 4000, 3000, batches=80)
    weighted, error = adaptive_estimates(data).contrast(1)
    assert 0.93 <= (abs(weighted) <= 1.96 * error).mean() <= 0.97
    plain, error = plain_estimates(data).contrast(1)
    assert (abs(plain) <= 1.96 * error).mean() < 0.92
    # Whoever was unlucky is hardly asked again: plain means are too low, weighted ones less so.
    truth = pools.truth("x")
    below = [(truth - estimates(data).mean).mean() for estimates in (plain_estimates, adaptive_estimates)]
    assert below[0] > 0.005
    assert below[1] < 0.7 * below[0]


ITEMS, SHOWN = 12, 6


def rankings(users: int, noise: tuple[float, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rankers that see the worth of items through noise, and that worth."""
    worth = rng.normal(size=(users, ITEMS))
    seen = [worth + sd * rng.normal(size=worth.shape) for sd in noise]
    return np.stack([(-scores).argsort(1) for scores in seen], 1), worth


def clicks(items: np.ndarray, worth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clicks by worth, less and less looked at further down."""
    chance = 1 / (1 + np.exp(-np.take_along_axis(worth, items, 1) * 2)) * 0.85 ** np.arange(items.shape[1])
    drawn: np.ndarray = rng.random(items.shape) < chance
    return drawn


def test_equal_rankers_draw_and_the_better_one_wins() -> None:
    rng = np.random.default_rng(1)
    lists, worth = rankings(20_000, (1.0, 1.0), rng)
    shown = interleave(lists, SHOWN, rng)
    assert all(len(set(row)) == SHOWN for row in shown.items[:200].tolist())
    assert (np.sort(shown.team, 1) == np.repeat([0, 1], SHOWN // 2)).all()
    equal, p = preference(credit(shown, clicks(shown.items, worth, rng), 2))
    assert abs(equal) < 4 * 0.5 / 20_000**0.5
    assert p > 1e-4
    lists, worth = rankings(4000, (2.0, 0.5), rng)
    shown = interleave(lists, SHOWN, rng)
    better, p = preference(credit(shown, clicks(shown.items, worth, rng), 2))
    assert better > 0.05
    assert p < 1e-6


def test_a_draft_that_always_starts_with_the_same_ranker_is_biased() -> None:
    rng = np.random.default_rng(2)
    lists, worth = rankings(20_000, (1.0, 1.0), rng)

    class FirstStarts(np.random.Generator):
        """Draws no order: ranker 0 begins every round."""

        def random(self, size: object = None, dtype: object = None, out: object = None) -> np.ndarray:  # type: ignore[override]
            assert isinstance(size, tuple)
            return np.broadcast_to(np.arange(size[1]) / size[1], size)

    shown = interleave(lists, SHOWN, FirstStarts(np.random.SFC64(0)))
    unfair, p = preference(credit(shown, clicks(shown.items, worth, rng), 2))
    assert unfair < -0.03
    assert p < 1e-6


def test_multileaving_orders_all_rankers() -> None:
    rng = np.random.default_rng(3)
    lists, worth = rankings(6000, (3.0, 1.0, 0.3), rng)
    shown = interleave(lists, SHOWN, rng)
    clicked = clicks(shown.items, worth, rng)
    earned = credit(shown, clicked, 3)
    assert np.array_equal(earned.sum(1), clicked.sum(1))  # every click has one owner
    assert (np.diff(earned.mean(0)) > 0).all()
    assert preference(earned, 2, 1)[0] > 0 < preference(earned, 1, 0)[0]
    with pytest.raises(ValueError, match="found 1 rankers with lists of 12 items"):
        interleave(lists[:, :1], SHOWN, rng)
