"""Named checks, and what they share: comparing nested arrays, and a guard over global random state."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from recgym.arrays import to_numpy

__all__ = [
    "Check", "Result", "run_checks",
    "leaves", "difference", "assert_same", "expect_array", "untouched", "no_global_randomness",
]  # fmt: skip


class Check(NamedTuple):
    """One check of a contract.

    Attributes:
        name: what is checked, in a few words.
        run: raises an ``AssertionError`` where the contract is broken.
    """

    name: str
    run: Callable[[], None]


class Result(NamedTuple):
    """How a check went.

    Attributes:
        name: of the check.
        error: one sentence, or None if it passed.
        seconds: how long it took.
    """

    name: str
    error: str | None
    seconds: float


def run_checks(checks: Iterable[Check]) -> Iterator[Result]:
    """Run the checks one by one; a failure, or an error in what is checked, ends one check and not the others."""
    for check in checks:
        start = time.perf_counter()
        error = None
        try:
            check.run()
        except AssertionError as failure:
            error = str(failure)
        except Exception as failure:  # whatever a user's own model or environment may raise
            error = f"{type(failure).__name__}: {failure}"
        yield Result(check.name, error, time.perf_counter() - start)


def leaves(tree: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested named tuples, tuples, lists and mappings, with the path that leads to it."""
    if isinstance(tree, Mapping):
        parts: Iterable[tuple[Any, Any]] = tree.items()
    elif isinstance(tree, tuple | list):
        parts = zip(getattr(tree, "_fields", range(len(tree))), tree, strict=True)
    else:
        yield where, tree
        return
    for key, value in parts:
        yield from leaves(value, f"{where}.{key}" if where else str(key))


def difference(one: Any, other: Any, *, relative: float = 0.0) -> str | None:
    """Where two nested values differ, or None if they are the same.

    Args:
        one: nested tuples and mappings of arrays and scalars.
        other: the same.
        relative: how far numbers may lie apart, relative to 1 or to their size if that is larger. NaN equals NaN.

    Returns:
        One phrase that names the first value that differs.
    """
    first, second = dict(leaves(one)), dict(leaves(other))
    for path, a in first.items():
        found = _leaf_difference(a, second[path], relative) if path in second else "is missing in the other"
        if found:
            return f"{path or 'the value'} {found}"
    extra = next((path for path in second if path not in first), None)
    return None if extra is None else f"{extra} is missing in the first"


def _leaf_difference(a: Any, b: Any, relative: float) -> str | None:
    if not isinstance(a, np.ndarray | torch.Tensor):
        same = a == b or (a != a and b != b)
        return None if same else f"is {a!r} in one and {b!r} in the other"
    if not isinstance(b, np.ndarray | torch.Tensor):
        return f"is an array in one and {b!r} in the other"
    x, y = to_numpy(a), to_numpy(b)
    if x.shape != y.shape or x.dtype != y.dtype:
        return f"has shape {x.shape} and type {x.dtype} in one, {y.shape} and {y.dtype} in the other"
    if x.dtype == object:
        return difference(list(x), list(y), relative=relative)
    if x.dtype.kind != "f":
        same_cells = x == y
    elif relative:
        same_cells = np.isclose(x, y, rtol=relative, atol=relative, equal_nan=True)
    else:
        same_cells = (x == y) | (np.isnan(x) & np.isnan(y))
    if same_cells.all():
        return None
    cell = tuple(int(i) for i in np.argwhere(~same_cells)[0])
    return f"differs at {list(cell)}: {x[cell]} in one, {y[cell]} in the other"


def assert_same(one: Any, other: Any, sentence: str, *, relative: float = 0.0) -> None:
    """Fail with the sentence and the first difference, if there is one; see :func:`difference`."""
    found = difference(one, other, relative=relative)
    assert found is None, f"{sentence}: {found}"


def _global_state() -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    return np.random.get_state(), torch.get_rng_state(), cuda  # noqa: NPY002 - the guarded state


@contextmanager
def no_global_randomness(what: str) -> Iterator[None]:
    """Fail if the block changes the state of numpy's or torch's global generator.

    Python's own is left out: runtime type checkers, on while tests run, draw from it.
    """
    before = _global_state()
    yield
    names = ("numpy's", "torch's", "torch's CUDA")
    for name, old, new in zip(names, before, _global_state(), strict=True):
        assert difference(old, new) is None, (
            f"{what} draws from {name} global generator, not only from the one passed in"
        )


@contextmanager
def untouched(what: str, *inputs: Any) -> Iterator[None]:
    """Fail if the block changes these inputs of it, or global random state."""
    before = copy.deepcopy(inputs)
    with no_global_randomness(what):
        yield
    found = difference(before, inputs)
    assert found is None, f"{what} changes its inputs: {found}"


def expect_array(array: Any, shape: tuple[int, ...], dtype: str, what: str) -> None:
    """Fail unless the value is an array of the shape and type."""
    assert isinstance(array, np.ndarray | torch.Tensor), f"{what} is a {type(array).__name__}, an array was expected"
    found, kind = tuple(array.shape), str(array.dtype).removeprefix("torch.")
    assert found == shape and kind == dtype, f"{what} has shape {found} and type {kind}, expected {shape} and {dtype}"  # noqa: PT018
