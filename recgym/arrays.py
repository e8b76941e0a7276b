"""The few operations that torch and numpy spell differently, so that dynamics are written once for both.

Shared spellings (``exp``, ``where``, ``cumsum(axis=)``, ``sum(axis=)``, comparison, indexing) are used directly through
:func:`namespace`; the rest is here. Randomness is drawn from the generator that is passed in, which also says where the
result lives: a ``numpy.random.Generator`` gives numpy arrays, a ``torch.Generator`` gives tensors on its device.
"""

from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch

from recgym.types import Array, Generator

__all__ = [
    "device_of", "from_numpy", "namespace", "to_numpy",
    "arange", "as_bool", "as_float", "as_int", "copy", "full", "gather", "put", "scatter", "set_rows", "take_rows", "where_rows", "zeros",
    "bernoulli", "integers", "normal", "permutation", "uniform",
    "choose",
]  # fmt: skip

Tree = TypeVar("Tree")

_TORCH_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool}


def namespace(array: Array) -> ModuleType:
    """The module (``torch`` or ``numpy``) whose functions take this array."""
    return torch if isinstance(array, torch.Tensor) else np


def device_of(generator: Generator) -> str:
    """``"numpy"`` for a numpy generator, else the torch device of the generator."""
    return "numpy" if isinstance(generator, np.random.Generator) else str(generator.device)


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
        return np.full(shape, value, dtype=dtype)
    return torch.full(shape, value, dtype=_TORCH_DTYPES[dtype], device=device)


def arange(n: int, device: str) -> Array:
    """``0..n-1`` as int64."""
    return np.arange(n) if device == "numpy" else torch.arange(n, device=device)


def as_float(array: Array) -> Array:
    """The array as float32."""
    return array.float() if isinstance(array, torch.Tensor) else array.astype(np.float32)


def as_int(array: Array) -> Array:
    """The array as int64."""
    return array.long() if isinstance(array, torch.Tensor) else array.astype(np.int64)


def as_bool(array: Array) -> Array:
    """The array as bool."""
    return array.bool() if isinstance(array, torch.Tensor) else array.astype(bool)


def copy(array: Array) -> Array:
    """The same values in memory of their own."""
    return array.clone() if isinstance(array, torch.Tensor) else array.copy()


def gather(array: Array, index: Array) -> Array:
    """Pick along axis 1, row by row: ``out[b, j] = array[b, index[b, j]]``; later axes of ``array`` are kept whole."""
    if isinstance(array, torch.Tensor):
        return array.gather(1, _widen(index, array))
    rows = np.arange(array.shape[0])[:, None]
    return array[rows, index]


def put(array: Array, index: Array, value: Array) -> None:
    """The inverse of :func:`gather`, in place: ``array[b, index[b, j]] = value[b, j]``."""
    if isinstance(array, torch.Tensor):
        array.scatter_(1, _widen(index, array), value)
    else:
        array[np.arange(array.shape[0])[:, None], index] = value


def _widen(index: torch.Tensor, array: torch.Tensor) -> torch.Tensor:
    """The index, repeated over the axes of ``array`` that it lacks: torch's gather wants it so."""
    if array.ndim == index.ndim:
        return index
    return index.reshape(index.shape + (1,) * (array.ndim - 2)).expand(*index.shape, *array.shape[2:])


def scatter(array: Array, index: Array, value: Array) -> Array:
    """A copy of ``array`` ``[B, C]`` with one element a row replaced: ``out[b, index[b]] = value[b]``."""
    if isinstance(array, torch.Tensor):
        return array.scatter(1, index[:, None], value[:, None])
    copy = array.copy()
    np.put_along_axis(copy, index[:, None], value[:, None], axis=1)
    return copy


def _rebuild(tree: Any, leaves: list[Any]) -> Any:
    return type(tree)(*leaves)


def take_rows(tree: Tree, rows: Array) -> Tree:
    """The given rows of every array in a (nested) named tuple; a copy."""
    if isinstance(tree, tuple):
        return _rebuild(tree, [take_rows(leaf, rows) for leaf in tree])
    return tree[rows]  # type: ignore[index,no-any-return]


def set_rows(tree: Tree, rows: Array, values: Tree) -> Tree:
    """A copy of the tree with the given rows replaced by ``values``, which has as many rows as ``rows`` names."""
    if isinstance(tree, tuple):
        return _rebuild(tree, [set_rows(leaf, rows, value) for leaf, value in zip(tree, values, strict=True)])  # type: ignore[call-overload]
    copy: Any = tree.clone() if isinstance(tree, torch.Tensor) else np.array(tree)
    copy[rows] = values
    return copy  # type: ignore[no-any-return]


def where_rows(mask: Array, tree: Tree, other: Tree) -> Tree:
    """Rows of ``tree`` where the mask ``[B]`` holds, rows of ``other`` elsewhere."""
    if isinstance(tree, tuple):
        return _rebuild(tree, [where_rows(mask, a, b) for a, b in zip(tree, other, strict=True)])  # type: ignore[call-overload]
    array: Any = tree
    shaped = mask.reshape((-1,) + (1,) * (array.ndim - 1))
    return namespace(array).where(shaped, array, other)  # type: ignore[no-any-return]


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
    xp = namespace(weights)
    cumulative = xp.cumsum(weights, axis=-1)
    threshold = uniform(generator, (weights.shape[0], 1)) * cumulative[:, -1:]
    # A threshold rounded up to the total would fall past the last column, hence the comparison without it.
    return (cumulative[:, :-1] <= threshold).sum(axis=-1)
