"""Operations that torch and numpy spell differently give the same on both."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy import stats

from recgym import arrays
from recgym.seeding import make_generator
from recgym.types import Array

DEVICES = pytest.mark.parametrize("device", ["numpy", "cpu"])
RNG = np.random.default_rng(0)


class Inner(NamedTuple):
    x: Array


class Outer(NamedTuple):
    inner: Inner
    y: Array


def tree(device: str, offset: float = 0.0) -> Outer:
    x = np.arange(12, dtype=np.float32).reshape(4, 3) + np.float32(offset)
    y = np.arange(4) + int(offset)
    return Outer(Inner(arrays.from_numpy(x, device)), arrays.from_numpy(y, device))


@DEVICES
def test_making_arrays(device: str) -> None:
    for dtype in ("float32", "float64", "int64", "bool"):
        zero, one = arrays.zeros((2, 3), dtype, device), arrays.full((2, 3), 1, dtype, device)
        for array, value in ((zero, 0), (one, 1)):
            assert isinstance(array, np.ndarray) == (device == "numpy")
            assert arrays.to_numpy(array).dtype == np.dtype(dtype)
            assert (arrays.to_numpy(array) == value).all()
    assert arrays.to_numpy(arrays.arange(3, device)).tolist() == [0, 1, 2]
    assert arrays.to_numpy(arrays.arange(3, device)).dtype == np.int64


@DEVICES
def test_conversions_and_copies(device: str) -> None:
    array = arrays.from_numpy(np.array([0.0, 1.5, -2.0]), device)
    assert arrays.to_numpy(arrays.as_float(array)).dtype == np.float32
    assert arrays.to_numpy(arrays.as_int(array)).tolist() == [0, 1, -2]
    twin = arrays.copy(array)
    twin[0] = 9.0
    assert float(array[0]) == 0.0
    assert arrays.namespace(array) is (np if device == "numpy" else torch)


@DEVICES
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (1, 7), (1, 7, 2)])
def test_gather_and_put(shape: tuple[int, ...], device: str) -> None:
    values, index = RNG.normal(size=shape), np.stack([RNG.permutation(7)[:3] for _ in range(shape[0])])
    picked = arrays.to_numpy(arrays.gather(arrays.from_numpy(values, device), arrays.from_numpy(index, device)))
    for row in range(shape[0]):
        np.testing.assert_array_equal(picked[row], values[row, index[row]])
    target = arrays.zeros(shape, "float64", device)
    arrays.put(target, arrays.from_numpy(index, device), arrays.from_numpy(picked, device))
    expected = np.zeros(shape)
    for row in range(shape[0]):
        expected[row, index[row]] = values[row, index[row]]
    np.testing.assert_array_equal(arrays.to_numpy(target), expected)


@DEVICES
def test_scatter_replaces_one_element_a_row_of_a_copy(device: str) -> None:
    array = arrays.zeros((3, 4), "float32", device)
    index, value = arrays.from_numpy(np.array([1, 3, 0]), device), arrays.full((3,), 2.0, "float32", device)
    found = arrays.to_numpy(arrays.scatter(array, index, value))
    assert found.tolist() == [[0, 2, 0, 0], [0, 0, 0, 2], [2, 0, 0, 0]]
    assert not arrays.to_numpy(array).any()


@DEVICES
def test_rows_of_trees(device: str) -> None:
    rows = arrays.from_numpy(np.array([2, 0]), device)
    some = arrays.take_rows(tree(device), rows)
    assert arrays.to_numpy(some.inner.x).tolist() == [[6, 7, 8], [0, 1, 2]]
    assert arrays.to_numpy(some.y).tolist() == [2, 0]
    original = tree(device)
    changed = arrays.set_rows(original, rows, arrays.take_rows(tree(device, 100), rows))
    assert arrays.to_numpy(changed.y).tolist() == [100, 1, 102, 3]
    assert arrays.to_numpy(original.y).tolist() == [0, 1, 2, 3]
    mask = arrays.from_numpy(np.array([True, False, False, True]), device)
    mixed = arrays.where_rows(mask, tree(device), tree(device, 100))
    assert isinstance(mixed.inner, Inner)
    assert arrays.to_numpy(mixed.y).tolist() == [0, 101, 102, 3]
    assert arrays.to_numpy(mixed.inner.x)[:, 0].tolist() == [0, 103, 106, 9]


@DEVICES
def test_draws_come_from_the_generator_and_live_where_it_does(device: str) -> None:
    def draws() -> list[Any]:
        generator = make_generator(0, "draws", device=device)
        return [
            arrays.uniform(generator, (3, 2)),
            arrays.normal(generator, (3,)),
            arrays.integers(generator, 5, (4,)),
            arrays.permutation(generator, 6),
            arrays.bernoulli(generator, arrays.full((3,), 0.5, "float32", device)),
        ]

    for first, second in zip(draws(), draws(), strict=True):
        assert isinstance(first, np.ndarray) == (device == "numpy")
        np.testing.assert_array_equal(arrays.to_numpy(first), arrays.to_numpy(second))
    assert arrays.device_of(make_generator(0, "draws", device=device)) == device


@DEVICES
def test_the_distributions(device: str) -> None:
    generator = make_generator(1, "draws", device=device)
    uniform = arrays.to_numpy(arrays.uniform(generator, (20_000,), -2.0, 3.0))
    normal = arrays.to_numpy(arrays.normal(generator, (20_000,)))
    assert uniform.dtype == normal.dtype == np.float32
    assert stats.kstest(uniform, "uniform", args=(-2, 5)).pvalue > 1e-4
    assert stats.kstest(normal, "norm").pvalue > 1e-4
    integers = arrays.to_numpy(arrays.integers(generator, 7, (20_000,)))
    assert stats.chisquare(np.bincount(integers, minlength=7)).pvalue > 1e-4
    chance = arrays.full((20_000,), 0.3, "float32", device)
    assert stats.binomtest(int(arrays.bernoulli(generator, chance).sum()), 20_000, 0.3).pvalue > 1e-4
    assert sorted(arrays.to_numpy(arrays.permutation(generator, 9)).tolist()) == list(range(9))


@DEVICES
def test_choose_draws_in_proportion_to_weights(device: str) -> None:
    generator = make_generator(2, "draws", device=device)
    weights = np.array([0.5, 0.0, 2.0, 1.0, 0.0], dtype=np.float32)
    rows = arrays.from_numpy(np.tile(weights, (20_000, 1)), device)
    counts = np.bincount(arrays.to_numpy(arrays.choose(generator, rows)), minlength=5)
    assert counts[1] == counts[4] == 0
    kept = weights > 0
    expected = weights[kept].astype(np.float64)
    assert stats.chisquare(counts[kept], expected / expected.sum() * 20_000).pvalue > 1e-4


@DEVICES
def test_choose_one_by_one(device: str) -> None:
    """A single row is drawn from as many rows are."""
    generator = make_generator(3, "draws", device=device)
    row = arrays.from_numpy(np.array([[1.0, 3.0, 0.0]], dtype=np.float32), device)
    draws = [int(arrays.choose(generator, row)[0]) for _ in range(4000)]
    assert stats.chisquare(np.bincount(draws, minlength=3)[:2], [1000, 3000]).pvalue > 1e-4
    assert 2 not in draws
