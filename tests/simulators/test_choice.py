"""Choice models against RecSim's formulas."""

import math

import numpy as np
import pytest
import torch

from recgym.arrays import from_numpy, to_numpy
from recgym.simulators import ExponentialCascade, MultinomialLogit, MultinomialProportional, ProportionalCascade
from recgym.simulators.choice import ChoiceModel, repeated_items
from tests.simulators import recsim

SCORES = np.random.default_rng(0).uniform(-1, 1, size=(40, 4)).astype(np.float32)


def chances(model: ChoiceModel, scores: np.ndarray, device: str, empty: np.ndarray | None = None) -> np.ndarray:
    """Probabilities ``[B, K + 1]``, none last."""
    hidden = np.zeros(scores.shape, dtype=bool) if empty is None else empty
    weights = to_numpy(model.weights(from_numpy(scores, device), from_numpy(hidden, device))).astype(np.float64)
    assert (weights >= 0).all()
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_proportional(device: str) -> None:
    found = chances(MultinomialProportional(), SCORES, device)
    np.testing.assert_allclose(found, [recsim.proportional(row.tolist()) for row in SCORES], rtol=1e-5)
    other = chances(MultinomialProportional(no_click_mass=0.2, min_normalizer=-2.0), SCORES, device)
    np.testing.assert_allclose(other, [recsim.proportional(row.tolist(), 0.2, -2.0) for row in SCORES], rtol=1e-5)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_logit_also_where_exponentials_overflow(device: str) -> None:
    found = chances(MultinomialLogit(no_click_mass=0.5), SCORES, device)
    np.testing.assert_allclose(found, [recsim.logit(row.tolist(), 0.5) for row in SCORES], rtol=1e-5)
    large = chances(MultinomialLogit(), np.array([[500.0, 499.0]], dtype=np.float32), device)
    np.testing.assert_allclose(large[0, :2], [math.e / (1 + math.e), 1 / (1 + math.e)], rtol=1e-5)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_cascades(device: str) -> None:
    exponential = chances(ExponentialCascade(0.65, 0.3), SCORES, device)
    expected = [recsim.cascade([math.exp(score) for score in row.tolist()], 0.65, 0.3) for row in SCORES]
    np.testing.assert_allclose(exponential, expected, rtol=1e-5)
    proportional = chances(ProportionalCascade(0.9, 0.4, min_normalizer=-1.5), SCORES, device)
    expected = [recsim.cascade([score + 1.5 for score in row.tolist()], 0.9, 0.4) for row in SCORES]
    np.testing.assert_allclose(proportional, expected, rtol=1e-5)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize(
    "model", [MultinomialProportional(), MultinomialLogit(), ExponentialCascade(), ProportionalCascade()]
)
def test_an_empty_position_is_as_if_it_were_not_there(model: ChoiceModel, device: str) -> None:
    empty = np.zeros(SCORES.shape, dtype=bool)
    empty[:, 2] = True
    found = chances(model, SCORES, device, empty)
    without = chances(model, np.delete(SCORES, 2, axis=1), device)
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(np.delete(found, 2, axis=1), without, rtol=1e-5)


def test_a_probability_above_one_is_cut() -> None:
    found = chances(ExponentialCascade(1.0, 5.0), np.ones((1, 2), dtype=np.float32), "numpy")
    np.testing.assert_allclose(found, [[1, 0, 0]])


@pytest.mark.parametrize("array", [np.array, torch.tensor])
def test_repeats_are_marked_at_their_later_positions(array: type) -> None:
    for slate in ([[3, 3], [3, 4]], [[1, 2, 1, 1], [1, 1, 2, 2], [4, 3, 2, 1]], [[7], [7]]):
        found = to_numpy(repeated_items(array(slate)))
        assert found.tolist() == [[item in row[:i] for i, item in enumerate(row)] for row in slate]
