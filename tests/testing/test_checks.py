"""Comparison of nested arrays, named checks, and the guard over global randomness."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from recgym.testing.checks import Check, assert_same, difference, no_global_randomness, run_checks
from recgym.testing.means import mean_gap


class Pair(NamedTuple):
    first: object
    second: object


@pytest.mark.parametrize(
    ("one", "other", "phrase"),
    [
        ({"a": np.arange(3)}, {"a": np.arange(3)}, None),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), None),
        (float("nan"), float("nan"), None),
        (torch.ones(2), np.ones(2, dtype=np.float32), None),
        (Pair(1, {"x": None}), Pair(1, {"x": None}), None),
        (Pair(1, {"x": np.zeros(2)}), Pair(1, {"x": np.array([0.0, 1e-9])}), "second.x differs at [1]"),
        (np.zeros(2), np.zeros(3), "shape (2,)"),
        (np.zeros(2), np.zeros(2, dtype=np.float32), "type float64 in one"),
        ({"a": 1}, {"b": 1}, "a is missing in the other"),
        ({}, {"b": 1}, "b is missing in the first"),
        ({"a": 1}, {"a": 2}, "a is 1 in one and 2"),
        (np.zeros(1), 0.0, "is an array in one"),
    ],
)
def test_difference(one: object, other: object, phrase: str | None) -> None:
    found = difference(one, other)
    assert found is None if phrase is None else found is not None and phrase in found


def test_objects_are_compared_one_by_one() -> None:
    one, other = np.empty(2, dtype=object), np.empty(2, dtype=object)
    one[1], other[1] = {"x": np.zeros(2)}, {"x": np.ones(2)}
    found = difference(one, other)
    assert found is not None
    assert "1.x" in found


def test_numbers_may_lie_apart_where_that_is_said() -> None:
    one, other = np.array([1.0, 1000.0]), np.array([1.0, 1000.5])
    assert difference(one, other, relative=1e-3) is None
    with pytest.raises(AssertionError, match=r"^these: the value differs at"):
        assert_same(one, other, "these", relative=1e-4)


@pytest.mark.parametrize(
    ("draw", "whose"),
    [(lambda: np.random.rand(), "numpy's"), (lambda: torch.rand(1), "torch's")],  # noqa: NPY002
)
def test_global_draws_are_found(draw: object, whose: str) -> None:
    assert callable(draw)
    with pytest.raises(AssertionError, match=f"it draws from {whose}"), no_global_randomness("it"):
        draw()


def test_own_generators_are_fine() -> None:
    with no_global_randomness("it"):
        np.random.default_rng(0).random()
        torch.rand(1, generator=torch.Generator().manual_seed(0))


def test_a_failed_check_does_not_end_the_others() -> None:
    def fail() -> None:
        raise AssertionError("no")

    def break_down() -> None:
        raise RuntimeError("worse")

    results = list(run_checks([Check("a", fail), Check("b", break_down), Check("c", lambda: None)]))
    assert [(r.name, r.error) for r in results] == [("a", "no"), ("b", "RuntimeError: worse"), ("c", None)]


def test_a_true_mean_passes_and_a_shifted_one_does_not() -> None:
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.05, 0.9, size=(20, 2))
    draws = (rng.random((2000, 20, 2)) < mean).astype(np.float64)
    assert mean_gap(draws, mean, binary=True) is None
    assert "for user 3" in str(mean_gap(draws, np.where(np.arange(20)[:, None] == 3, mean + 0.15, mean), binary=True))
    assert "over all users" in str(mean_gap(draws, mean + 0.02, binary=True))


def test_of_rare_answers_nothing_is_said_but_binary_ones_are_bounded() -> None:
    draws = np.zeros((2000, 20, 1))
    small = np.full((20, 1), 1e-6)
    assert mean_gap(draws, small, binary=True) is None
    assert mean_gap(draws, small * 100, binary=False) is None
    assert mean_gap(draws, np.full((20, 1), 0.05), binary=True) is not None
