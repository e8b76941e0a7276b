"""The best slate, against all slates."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor

from recgym.agents.slateq.slates import Pickings, exact, greedy, slate_value, top_k

INSTANCES = 1000
ROUNDING = 1e-12


def instances(candidates: int, size: int, kind: str) -> Pickings:
    """Random small instances in double precision: values of either sign, some with ties, some with forbidden items."""
    generator = torch.Generator().manual_seed(candidates)
    shape = (INSTANCES, candidates)
    weight = torch.rand(shape, generator=generator, dtype=torch.float64) * 3 + 1e-3
    null_weight = torch.rand(INSTANCES, generator=generator, dtype=torch.float64) * 3 + 1e-3
    gain = torch.randn(shape, generator=generator, dtype=torch.float64) * 5
    allowed = torch.ones(shape, dtype=torch.bool)
    if kind == "negative":
        gain = -gain.abs()
    if kind == "ties":
        weight, gain = weight.round().clamp(min=1), gain.round().clamp(-2, 2)
    if kind == "masked":
        allowed = torch.rand(shape, generator=generator) < 0.7
        allowed[:, :size] = True
    return Pickings(weight, null_weight, gain, allowed)


def brute_force(pickings: Pickings, size: int) -> Tensor:
    """The value of the best slate of allowed items."""
    best = torch.full((INSTANCES,), -torch.inf, dtype=torch.float64)
    for slate in combinations(range(pickings.weight.shape[1]), size):
        columns = torch.tensor(slate).expand(INSTANCES, -1)
        possible = pickings.allowed.gather(1, columns).all(1)
        best = torch.where(possible, torch.maximum(best, slate_value(pickings, columns)), best)
    return best


@pytest.mark.parametrize("kind", ["mixed", "negative", "ties", "masked"])
@pytest.mark.parametrize(("candidates", "size"), [(4, 1), (6, 2), (7, 3), (5, 5)])
def test_exact_slates_are_those_of_brute_force(candidates: int, size: int, kind: str) -> None:
    pickings = instances(candidates, size, kind)
    best = brute_force(pickings, size)
    for solve in (exact, greedy, top_k):
        slate = solve(pickings, size)
        assert slate.shape == (INSTANCES, size)
        assert bool((slate.sort(1).values.diff(dim=1) > 0).all()), "an item stands in a slate twice"
        assert bool(pickings.allowed.gather(1, slate).all())
        assert bool((slate_value(pickings, slate) <= best + ROUNDING).all())
    assert torch.allclose(slate_value(pickings, exact(pickings, size)), best, rtol=0, atol=ROUNDING)


def one_round(pickings: Pickings, size: int) -> Tensor:
    """A wrong variant: Dinkelbach's method stopped after a single round."""
    value = slate_value(pickings, top_k(pickings, size))
    gain = pickings.weight * (pickings.gain - value[:, None])
    return gain.topk(size, 1).indices


@pytest.mark.parametrize("wrong", [one_round, greedy, top_k])
def test_other_slates_are_told_from_the_best(wrong: Callable[[Pickings, int], Tensor]) -> None:
    pickings = instances(7, 3, "mixed")
    short = brute_force(pickings, 3) - slate_value(pickings, wrong(pickings, 3))
    assert float(short.max()) > 1e-3
