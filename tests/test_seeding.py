"""Generators derived from a root seed by name and block."""

import numpy as np
import pytest
import torch

from recgym.seeding import child_seed, make_generator


def test_seeds_differ_by_root_name_and_block() -> None:
    seeds = {
        child_seed(seed, name, block) for seed in range(20) for name in ("users", "policy", "x") for block in range(20)
    }
    assert len(seeds) == 20 * 3 * 20
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_never_change() -> None:
    """A result is published with its seed, so what a seed means must stay."""
    assert child_seed(0, "users") == child_seed(0, "users", 0)
    assert (child_seed(0, "users"), child_seed(7, "policy", 3)) == (1264846963845165175, 6980809329617617525)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_generators(device: str) -> None:
    first, again, other = (make_generator(seed, "users", 2, device) for seed in (4, 4, 5))
    assert isinstance(first, np.random.Generator if device == "numpy" else torch.Generator)

    def draw(generator: np.random.Generator | torch.Generator) -> float:
        if isinstance(generator, np.random.Generator):
            return float(generator.random())
        return float(torch.rand(1, generator=generator))

    value = draw(first)
    assert value == draw(again)
    assert value != draw(other)


def test_blocks_are_uncorrelated() -> None:
    draws = [make_generator(0, "users", block, "numpy").standard_normal(4000) for block in range(2)]
    assert abs(np.corrcoef(*draws)[0, 1]) < 0.08


@pytest.mark.parametrize(("seed", "block"), [(-1, 0), (0, -2)])
def test_negative_seeds_are_refused(seed: int, block: int) -> None:
    with pytest.raises(ValueError, match=f"must not be negative, found seed={seed}, block={block}"):
        child_seed(seed, "users", block)
