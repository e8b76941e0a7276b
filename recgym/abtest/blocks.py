"""Work in fixed blocks of replications, by one process or several, with the same result."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

__all__ = ["BLOCK", "block_sizes", "in_blocks"]

Setup = TypeVar("Setup")
Made = TypeVar("Made")

BLOCK = 32
"""Replications that share a generator: what is drawn depends on the block, never on who works on it."""

_SETUP: list[Any] = []


def block_sizes(replications: int) -> list[int]:
    """Replications of each block.

    Raises:
        ValueError: there are none.
    """
    if replications < 1:
        raise ValueError(f"at least 1 replication is needed, found {replications}")
    return [min(BLOCK, replications - start) for start in range(0, replications, BLOCK)]


def in_blocks(
    work: Callable[[Setup, int, int], Made], setup: Setup, replications: int, workers: int = 1
) -> Iterator[Made]:
    """Results of all blocks, in order.

    Args:
        work: gets the setup, the index of a block and its size; a function of a module.
        setup: what all blocks share, sent to each process once.
        replications: in all.
        workers: processes; 1 for none beside this one.
    """
    sizes = block_sizes(replications)
    if workers <= 1 or len(sizes) == 1:
        for index, size in enumerate(sizes):
            yield work(setup, index, size)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(work, setup)) as pool:
        yield from pool.map(_one, range(len(sizes)), sizes, chunksize=max(1, len(sizes) // (8 * workers)))


def _begin(*given: Any) -> None:
    _SETUP[:] = given


def _one(index: int, size: int) -> Any:
    work, setup = _SETUP
    return work(setup, index, size)


def joined(parts: Sequence[Any]) -> Any:
    """Named tuples of arrays, one after the other."""
    import numpy as np

    kind = type(parts[0])
    return kind(*(np.concatenate(column) for column in zip(*parts, strict=True)))
