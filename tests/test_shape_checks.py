from collections.abc import Callable

import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import Float64

from recgym.agents.descent import mean_of
from tests import shape_checks


def _unchecked(values: Float64[np.ndarray, "n"], weights: Float64[np.ndarray, "n"]) -> float:
    return float(values.sum() + weights.sum())


_sum: Callable[..., float] = shape_checks.sparing(_unchecked, typechecker=shape_checks.typecheck)


def test_a_wrong_shape_is_found() -> None:
    assert _sum(np.ones(2), np.ones(2)) == 4
    with pytest.raises(jaxtyping.TypeCheckError):
        _sum(np.ones(2), np.ones(3))


def test_later_calls_of_a_test_are_not_checked_but_those_of_the_next_are() -> None:
    for _ in range(shape_checks.CALLS):
        _sum(np.ones(2), np.ones(2))
    assert _sum(np.ones(2), np.ones(3)) == 5
    shape_checks.new_test()
    with pytest.raises(jaxtyping.TypeCheckError):
        _sum(np.ones(2), np.ones(3))


def test_the_package_is_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        mean_of(torch.ones(2), torch.ones(3))
