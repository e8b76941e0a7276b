"""One root seed, and from it named, independent generators.

A generator is derived from what it is for (a name) and from which block of users or which replication it serves, never
from the worker that happens to run it. So a result is the same for any number of workers.
"""

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch

from recgym.types import Generator

__all__ = ["child_seed", "make_generator", "seeded", "torch_seeded"]


def child_seed(seed: int, name: str, block: int = 0) -> int:
    """A 63-bit seed for one purpose and one block, independent of all others of the same root.

    Args:
        seed: root seed, not negative.
        name: what the randomness is for, such as ``"users"`` or ``"policy"``.
        block: index of the block of users or of the replication.

    Returns:
        An integer in ``[0, 2**63)``.

    Raises:
        ValueError: the root seed or the block is negative.
    """
    if seed < 0 or block < 0:
        raise ValueError(f"seed and block must not be negative, found seed={seed}, block={block}")
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(zlib.crc32(name.encode()), block))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def make_generator(seed: int, name: str, block: int = 0, device: str = "cpu") -> Generator:
    """A generator for one purpose and one block.

    Args:
        seed: root seed, not negative.
        name: what the randomness is for.
        block: index of the block of users or of the replication.
        device: ``"numpy"`` for a ``numpy.random.Generator``, else the torch device of a ``torch.Generator``.
    """
    derived = child_seed(seed, name, block)
    if device == "numpy":
        return np.random.Generator(np.random.SFC64(derived))
    return torch.Generator(device=device).manual_seed(derived)


@contextmanager
def torch_seeded(seed: int) -> Iterator[None]:
    """A context in which PyTorch's own initialisers and dropout draw from a seed, and nothing outside it changes."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed the generators of other devices too, which the fork does not give back.
        torch.default_generator.manual_seed(seed)
        yield


def seeded(seed: int, name: str) -> AbstractContextManager[None]:
    """:func:`torch_seeded` for one purpose.

    Args:
        seed: root seed, not negative.
        name: what the randomness is for, such as ``"weights"``.
    """
    return torch_seeded(child_seed(seed, name))
