"""Random and scored policies: their choices and the propensities that they state."""

import itertools
import math

import numpy as np
import pytest
import torch

from recgym.agents.base import ActionSpec, MappedPolicy, NoState, Policy, RandomPolicy, ScoredPolicy, popularity_scores
from recgym.arrays import from_numpy, to_numpy
from recgym.seeding import make_generator
from recgym.types import Array

SCORES = np.array([[0.5, -1.0, 2.0, 0.0], [3.0, 2.9, -2.0, 0.1]], dtype=np.float32)


def plackett_luce(scores: np.ndarray, slate: tuple[int, ...], temperature: float) -> float:
    """Probability of drawing a slate item by item without replacement."""
    weights = np.exp(scores.astype(np.float64) / temperature)
    chance, left = 1.0, float(weights.sum())
    for item in slate:
        chance *= weights[item] / left
        left -= float(weights[item])
    return chance


def identity(observation: Array) -> Array:
    return observation


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("slate_size", [1, 2, 3])
@pytest.mark.parametrize(("temperature", "mix"), [(1.0, 0.0), (0.4, 0.3)])
def test_the_propensity_is_that_of_the_order(slate_size: int, temperature: float, mix: float, device: str) -> None:
    policy = ScoredPolicy[NoState](ActionSpec(4, slate_size, 4), identity, temperature, mix)
    generator = make_generator(0, "policy", device=device)
    uniform = 1 / math.perm(4, slate_size)
    for _ in range(20):
        decision, _ = policy.act(from_numpy(SCORES, device), NoState(), generator)
        chosen = to_numpy(decision.action).reshape(2, -1)
        for row in range(2):
            own = plackett_luce(SCORES[row], tuple(chosen[row]), temperature)
            expected = (1 - mix) * own + mix * uniform
            assert math.exp(float(decision.log_propensity[row])) == pytest.approx(expected, rel=1e-4)


def test_all_orders_together_are_certain() -> None:
    """The reference above is a distribution, which the wrong one (with replacement) is not."""
    total = sum(plackett_luce(SCORES[0], slate, 0.7) for slate in itertools.permutations(range(4), 2))
    assert total == pytest.approx(1.0)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_greedy_is_the_best_in_order_and_certain(device: str) -> None:
    policy = ScoredPolicy[NoState](ActionSpec(4, 2, 4), identity, temperature=2.0, mix=0.5)
    decision, _ = policy.act(from_numpy(SCORES, device), NoState(), make_generator(0, "policy", device=device), True)
    assert to_numpy(decision.action).tolist() == [[2, 0], [0, 1]]
    assert to_numpy(decision.log_propensity).tolist() == [0, 0]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_temperature_zero_with_a_mix_takes_the_best_or_any(device: str) -> None:
    policy = ScoredPolicy[NoState](ActionSpec(4, 1, 4), identity, mix=0.4)
    many = from_numpy(np.repeat(SCORES[:1], 4000, axis=0), device)
    decision, _ = policy.act(many, NoState(), make_generator(0, "policy", device=device))
    chosen, chance = to_numpy(decision.action), np.exp(to_numpy(decision.log_propensity))
    assert np.mean(chosen == 2) == pytest.approx(0.7, abs=0.04)
    np.testing.assert_allclose(chance, np.where(chosen == 2, 0.7, 0.1), rtol=1e-4)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_random_slates_hold_different_candidates(device: str) -> None:
    policy = RandomPolicy(ActionSpec(6, 3, 6))
    observation = {"profile": from_numpy(np.zeros((500, 2), dtype=np.float32), device)}
    decision, state = policy.act(observation, policy.init_state(500, device), make_generator(0, "p", device=device))
    slates = to_numpy(decision.action)
    assert slates.shape == (500, 3)
    assert (np.diff(np.sort(slates, axis=1), axis=1) > 0).all()
    np.testing.assert_allclose(np.exp(to_numpy(decision.log_propensity)), 1 / 120, rtol=1e-4)
    assert state == NoState()


def test_one_item_is_no_slate() -> None:
    action = RandomPolicy(ActionSpec(6, 1, 6)).act(SCORES, NoState(), make_generator(0, "p", device="numpy"))[0].action
    assert action.shape == (2,)
    assert isinstance(RandomPolicy(ActionSpec(6, 1, 6)), Policy)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_popularity_scores_follow_the_candidates(device: str) -> None:
    popularity = np.array([0.1, 0.5, 0.3, 0.9])
    score = popularity_scores(popularity)
    candidates = from_numpy(np.array([[3, 0], [1, 2]]), device)
    np.testing.assert_allclose(to_numpy(score({"candidates": candidates})), [[0.9, 0.1], [0.5, 0.3]], rtol=1e-6)
    flat = to_numpy(score(from_numpy(SCORES, device)))
    np.testing.assert_allclose(flat, np.tile(popularity, (2, 1)), rtol=1e-6)
    assert flat.dtype == np.float32


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_popularity_is_drawn_from_over_the_whole_catalogue(device: str) -> None:
    policy = ScoredPolicy[NoState](ActionSpec(4, 2, 4), popularity_scores(np.array([0.1, 0.5, 0.3, 0.9])), 1.0)
    decision, _ = policy.act(from_numpy(SCORES, device), NoState(), make_generator(0, "p", device=device))
    assert decision.action.shape == (2, 2)


def test_a_mapped_policy_sees_what_the_mapping_makes() -> None:
    inner = ScoredPolicy[NoState](ActionSpec(4, 1, 4), identity)
    policy = MappedPolicy(inner, lambda observation: -observation["x"])
    state = policy.init_state(2, "cpu")
    decision, _ = policy.act({"x": torch.from_numpy(SCORES)}, state, make_generator(0, "p"), greedy=True)
    assert decision.action.tolist() == [1, 2]


@pytest.mark.parametrize(("temperature", "mix"), [(-0.1, 0.0), (1.0, 1.1), (1.0, -0.1)])
def test_settings_outside_their_range_are_refused(temperature: float, mix: float) -> None:
    with pytest.raises(ValueError, match=r"temperature must not be negative and mix must lie in \[0, 1\]"):
        ScoredPolicy[NoState](ActionSpec(4, 1, 4), identity, temperature, mix)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_candidates_masked_by_an_infinite_score_keep_propensities(device: str) -> None:
    scores = from_numpy(np.array([[-np.inf, 1.0, 0.0]], dtype=np.float32), device)
    policy: ScoredPolicy[NoState] = ScoredPolicy(ActionSpec(3, 2, 3), lambda seen: seen, temperature=1.0)
    decision, _ = policy.act(scores, policy.init_state(1, device), make_generator(0, "mask", device=device))
    chance = 1 / (1 + np.exp(-1.0)) if int(decision.action[0, 0]) == 1 else 1 / (1 + np.exp(1.0))
    assert float(np.exp(to_numpy(decision.log_propensity)[0])) == pytest.approx(chance, rel=1e-5)
