"""The runtime type checks of the tests: beartype on every annotation of the package, for the first calls in each test.

A check costs more than most functions do. What is wrong with a shape shows in the first calls of a test; the calls
after :data:`CALLS` go straight to the function. jaxtyping's import hook decorates with ``jaxtyping.jaxtyped``, which
:func:`install` puts :func:`sparing` in the place of.
"""

import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial, wraps
from types import CodeType, FunctionType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep585DeprecationWarning

__all__ = ["CALLS", "install", "new_test", "typecheck"]

CALLS = 30
"""Calls of each function that are checked in each test."""

_typecheck: Any = beartype(conf=BeartypeConf(is_pep484_tower=True))  # to which an int is as good as a float

_always: Any = jaxtyping.jaxtyped
_test = 0
_defined: Counter[CodeType] = Counter()


def install() -> None:
    """Check every module of the package that is imported from now on."""
    jaxtyping.jaxtyped = sparing
    jaxtyping.install_import_hook("recgym", "tests.shape_checks.typecheck")


def typecheck(decorated: Any) -> Any:
    """Beartype, silent about annotations of other packages: tests that collect warnings want those of this one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BeartypeDecorHintPep585DeprecationWarning)
        return _typecheck(decorated)


def new_test() -> None:
    """From here on, the calls are counted anew."""
    global _test
    _test += 1
    _defined.clear()


def sparing(fn: Any = None, *, typechecker: Any = None) -> Any:
    """``jaxtyping.jaxtyped``, for the first calls in each test."""
    if fn is None:
        return partial(sparing, typechecker=typechecker)
    if not isinstance(fn, FunctionType):
        return _always(fn, typechecker=typechecker)
    # A function inside a function is defined at each call of the outer one.
    _defined[fn.__code__] += 1
    return fn if _defined[fn.__code__] > CALLS else _counting(fn, typechecker)


def _counting(fn: FunctionType, typechecker: Any) -> Callable[..., Any]:
    checked: Callable[..., Any] | None = None
    test, left = -1, 0

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked, test, left
        if test != _test:
            test, left = _test, CALLS
        if left == 0:
            return fn(*args, **kwargs)
        left -= 1
        if checked is None:  # making it is dear, and most functions of a module are not called
            checked = _always(fn, typechecker=typechecker)
        return checked(*args, **kwargs)

    return call
