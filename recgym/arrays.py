"""The few operations that torch and numpy spell differently, so that dynamics are written once for both.

Shared spellings (``exp``, ``where``, ``cumsum(axis=)``, ``sum(axis=)``, comparison, indexing) are used directly through
:func:`namespace`; the rest is here. Randomness is drawn from the generator that is passed in, which also says where the
result lives: a ``numpy.random.Generator`` gives numpy arrays, a ``torch.Generator`` gives tensors on its device.

For one user on numpy, an array operation costs ten times what the arithmetic does. So a formula may take its operands
through :func:`unbox`, which makes a plain number of an array of one and leaves every other array as it is;
:func:`namespace` then gives the formula ``exp``, ``where`` and ``clip`` of numbers, and :func:`box` makes an array of
the result. There is still one formula.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import torch

from recgym.types import Array, Generator

__all__ = [
    "box", "device_of", "from_numpy", "is_one_user", "namespace", "to_numpy", "unbox",
    "arange", "as_double", "as_float", "as_int", "copy", "full", "zeros",
    "append_column", "gather", "largest", "marked_column", "pick", "put", "scatter", "stretch", "sum_columns", "wrap",
    "set_rows", "take_rows", "where_rows",
    "bernoulli", "integers", "normal", "normal_each", "permutation", "uniform", "uniform_each",
    "choose",
]  # fmt: skip

Tree = TypeVar("Tree")

_CELL = np.zeros(1, dtype=np.float32)
_TORCH_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool}


class _Numbers:
    """The functions that formulas share, of plain numbers."""

    exp = staticmethod(math.exp)

    @staticmethod
    def where(condition: bool, yes: float | int, no: float | int) -> float | int:
        return yes if condition else no

    @staticmethod
    def clip(value: float | int, low: float | int, high: float | int) -> float | int:
        return low if value < low else high if value > high else value


def namespace(array: Array | float | int) -> Any:
    """The module (``torch`` or ``numpy``) whose functions take this array; for a number, a few of them."""
    if isinstance(array, torch.Tensor):
        return torch
    return np if isinstance(array, np.ndarray) else _Numbers


def is_one_user(array: Array) -> bool:
    """Whether this is a numpy array of a single row, for which plain numbers are faster than arrays."""
    return isinstance(array, np.ndarray) and array.shape[0] == 1


def unbox(array: Array | np.generic | float | int) -> Array | float | int:
    """The number in a numpy array of one element; any other array as it is."""
    if isinstance(array, np.ndarray):
        return array.item() if array.size == 1 else array
    return array.item() if isinstance(array, np.generic) else array


def box(value: Array | float | int) -> Array:
    """The inverse of :func:`unbox`: a number as a float32 numpy array ``[1]``; an array as it is."""
    if not isinstance(value, (float, int)):
        return value
    array = _CELL.copy()  # half the price of an array from a list
    array[0] = value
    return array


def device_of(source: Generator | Array) -> str:
    """``"numpy"`` for a numpy generator or array, else the torch device of the generator or tensor."""
    return "numpy" if isinstance(source, (np.random.Generator, np.ndarray)) else str(source.device)


def from_numpy(array: np.ndarray, device: str) -> Array:
    """The array as it is for ``"numpy"``, else a tensor on the device."""
    return array if device == "numpy" else torch.as_tensor(array, device=device)


def to_numpy(array: Array) -> np.ndarray:
    """The array on the host, as numpy; shares memory where it can."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def zeros(shape: tuple[int, ...], dtype: str, device: str) -> Array:
    """Zeros of a dtype named ``float32``, ``float64``, ``int64`` or ``bool``."""
    if device == "numpy":
        return np.zeros(shape, dtype=dtype)
    return torch.zeros(shape, dtype=_TORCH_DTYPES[dtype], device=device)


def full(shape: tuple[int, ...], value: float, dtype: str, device: str) -> Array:
    """A constant array of a dtype named as in :func:`zeros`."""
    if device == "numpy":
        array = np.empty(shape, dtype=dtype)
        array.fill(value)
        return array
    return torch.full(shape, value, dtype=_TORCH_DTYPES[dtype], device=device)


def arange(n: int, device: str) -> Array:
    """``0..n-1`` as int64."""
    return np.arange(n) if device == "numpy" else torch.arange(n, device=device)


def as_float(array: Array) -> Array:
    """The array as float32."""
    return array.float() if isinstance(array, torch.Tensor) else array.astype(np.float32)


def as_double(array: Array) -> Array:
    """The array as float64."""
    return array.double() if isinstance(array, torch.Tensor) else array.astype(np.float64)


def as_int(array: Array) -> Array:
    """The array as int64."""
    return array.long() if isinstance(array, torch.Tensor) else array.astype(np.int64)


def copy(array: Array) -> Array:
    """The same values in memory of their own."""
    return array.clone() if isinstance(array, torch.Tensor) else array.copy()


@lru_cache(maxsize=8)
def _row_numbers(n: int) -> np.ndarray:
    """``0..n-1``, kept: only for use as an index."""
    return np.arange(n)


def gather(array: Array, index: Array) -> Array:
    """Pick along axis 1, row by row: ``out[b, j] = array[b, index[b, j]]``; later axes of ``array`` are kept whole."""
    if isinstance(array, torch.Tensor):
        return array.gather(1, _widen(index, array))
    if array.shape[0] == 1:
        return array[0][index]
    return array[_row_numbers(array.shape[0])[:, None], index]


def pick(array: Array, index: Array | int) -> Array:
    """One column a row, a copy: ``out[b] = array[b, index[b]]``; a number as index stands for a single user's."""
    if isinstance(index, int):
        return array[:, index].copy()
    if isinstance(array, torch.Tensor):
        return array.gather(1, _widen(index[:, None], array))[:, 0]
    return array[_row_numbers(array.shape[0]), index]


def stretch(array: Array, start: Array | int, length: int) -> Array:
    """Neighbouring columns of each row, a copy: ``out[b] = array[b, start[b] : start[b] + length]``.

    Args:
        array: ``[B, W]`` or ``[B, W, F]``, contiguous.
        start: ``[B]``, each in ``0..W-length``; a number stands for a single user's.
        length: how many columns.
    """
    if isinstance(start, int):
        return array[:, start : start + length].copy()
    if isinstance(array, torch.Tensor) and array.device.type == "cpu":
        return torch.from_numpy(stretch(array.numpy(), start.numpy(), length))  # numpy copies whole stretches
    if isinstance(array, torch.Tensor):
        windows = array.unfold(1, length, 1)
        windows = windows if array.ndim == 2 else windows.transpose(2, 3)
        return windows[torch.arange(array.shape[0], device=array.device), start]
    rows, columns = array.shape[:2]
    shape = (rows, columns - length + 1, length, *array.shape[2:])
    view = np.ndarray(shape, array.dtype, array, 0, (*array.strides[:2], *array.strides[1:]))
    return view[_row_numbers(rows), start]


def put(array: Array, index: Array, value: Array) -> None:
    """The inverse of :func:`gather`, in place: ``array[b, index[b, j]] = value[b, j]``."""
    if isinstance(array, torch.Tensor):
        array.scatter_(1, _widen(index, array), value)
    else:
        array[_row_numbers(array.shape[0])[:, None], index] = value


def _widen(index: torch.Tensor, array: torch.Tensor) -> torch.Tensor:
    """The index, repeated over the axes of ``array`` that it lacks: torch's gather wants it so."""
    if array.ndim == index.ndim:
        return index
    return index.reshape(index.shape + (1,) * (array.ndim - 2)).expand(*index.shape, *array.shape[2:])


def scatter(array: Array, index: Array | int, value: Array | float | int) -> Array:
    """A copy of ``array`` ``[B, C]`` with one element a row replaced: ``out[b, index[b]] = value[b]``.

    Index and value may be the numbers of a single user.
    """
    if isinstance(array, torch.Tensor):
        return array.scatter(1, index[:, None], value[:, None])  # type: ignore[index]
    copy = array.copy()
    copy[0 if isinstance(index, int) else _row_numbers(array.shape[0]), index] = value
    return copy


_FEW_COLUMNS = 8


def sum_columns(array: Array) -> Array:
    """The sum over axis 1 of ``[B, K]`` or ``[B, K, F]``; adding few columns one by one beats a reduction."""
    columns = array.shape[1]
    if columns > _FEW_COLUMNS:
        return array.sum(axis=1)
    total = array[:, 0]
    for column in range(1, columns):
        total = total + array[:, column]
    return total


def wrap(array: Array, n: int) -> Array:
    """``array % n`` for non-negative integers, in place."""
    if is_one_user(array) or isinstance(array, torch.Tensor):
        array %= n
    else:
        array -= array // n * n  # numpy divides by a constant faster than it takes a remainder
    return array


def marked_column(array: Array) -> Array:
    """The column ``[B]`` of the only 1 in each row of zeros ``[B, K]``; 0 if there is none."""
    if isinstance(array, np.ndarray):
        return array.argmax(1)
    return as_int(
        sum_columns(array * torch.arange(array.shape[1], device=array.device))
    )  # argmax takes ten times as long


def largest(array: Array) -> int:
    """The largest element of an integer array."""
    return int(array.item() if array.shape == (1,) else array.max())


def append_column(array: Array, value: float) -> Array:
    """A copy of ``array`` ``[B, C]`` with one more column, of a constant."""
    rows, columns = array.shape
    shape = (rows, columns + 1)
    wider = np.empty(shape, array.dtype) if isinstance(array, np.ndarray) else array.new_empty(shape)
    wider[:, :columns] = array
    wider[:, columns] = value
    return wider


def _map(function: Callable[..., Array], *trees: Any) -> Any:
    """The function of the leaves that stand at the same place in each (nested) named tuple."""
    first = trees[0]
    if isinstance(first, tuple):
        branches = [_map(function, *leaves) for leaves in zip(*trees, strict=True)]
        return type(first)(*branches) if hasattr(first, "_fields") else tuple(branches)
    return function(*trees)


def take_rows(tree: Tree, rows: Array) -> Tree:
    """The given rows of every array in a (nested) named tuple; a copy."""
    taken: Tree = _map(lambda leaf: leaf[rows], tree)
    return taken


def set_rows(tree: Tree, rows: Array, values: Tree) -> Tree:
    """A copy of the tree with the given rows replaced by ``values``, which has as many rows as ``rows`` names."""

    def replaced(leaf: Array, value: Array) -> Array:
        leaf = copy(leaf)
        leaf[rows] = value
        return leaf

    whole: Tree = _map(replaced, tree, values)
    return whole


def where_rows(mask: Array, tree: Tree, other: Tree) -> Tree:
    """Rows of ``tree`` where the mask ``[B]`` holds, rows of ``other`` elsewhere."""

    def chosen(leaf: Array, alternative: Array) -> Array:
        return namespace(leaf).where(mask.reshape((-1,) + (1,) * (leaf.ndim - 1)), leaf, alternative)

    mixed: Tree = _map(chosen, tree, other)
    return mixed


def uniform(generator: Generator, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Array:
    """Uniform float32 draws from ``[low, high)``."""
    if isinstance(generator, np.random.Generator):
        draws: Array = generator.random(shape, dtype=np.float32)
    else:
        draws = torch.rand(shape, generator=generator, device=generator.device)
    return draws if (low, high) == (0.0, 1.0) else draws * (high - low) + low


def normal(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Standard normal float32 draws."""
    if isinstance(generator, np.random.Generator):
        return generator.standard_normal(shape, dtype=np.float32)
    return torch.randn(shape, generator=generator, device=generator.device)


def normal_each(generator: Generator, users: int) -> Array | float:
    """One standard normal draw a user, ``[B]``; a number for one user on numpy, as :func:`unbox` would give."""
    if users == 1 and isinstance(generator, np.random.Generator):
        return generator.standard_normal()
    return normal(generator, (users,))


def uniform_each(generator: Generator, users: int) -> Array | float:
    """One draw from ``[0, 1)`` a user, ``[B]``; a number for one user on numpy, as :func:`unbox` would give."""
    if users == 1 and isinstance(generator, np.random.Generator):
        return generator.random()
    return uniform(generator, (users,))


def integers(generator: Generator, high: int, shape: tuple[int, ...]) -> Array:
    """Uniform int64 draws from ``0..high-1``."""
    if isinstance(generator, np.random.Generator):
        return generator.integers(high, size=shape)
    return torch.randint(high, shape, generator=generator, device=generator.device)


def permutation(generator: Generator, n: int) -> Array:
    """A uniformly random order of ``0..n-1``, int64."""
    if isinstance(generator, np.random.Generator):
        return generator.permutation(n)
    return torch.randperm(n, generator=generator, device=generator.device)


def bernoulli(generator: Generator, probability: Array) -> Array:
    """Independent float32 draws of 0 or 1 with the given probabilities, any shape."""
    return as_float(uniform(generator, tuple(probability.shape)) < probability)


def choose(generator: Generator, weights: Array) -> Array:
    """Draw one column per row in proportion to non-negative weights ``[B, C]``; returns indices ``[B]``, int64."""
    if is_one_user(weights):
        sums = list(accumulate(weights[0].tolist()))
        return np.array([bisect_right(sums, generator.random() * sums[-1], 0, len(sums) - 1)])
    xp = namespace(weights)
    cumulative = xp.cumsum(weights, axis=-1)
    threshold = uniform(generator, (weights.shape[0], 1)) * cumulative[:, -1:]
    # A threshold rounded up to the total would fall past the last column, hence the comparison without it.
    return (cumulative[:, :-1] <= threshold).sum(axis=-1)
