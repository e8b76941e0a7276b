"""Work in fixed blocks of replications, by whoever does it, with the same result."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from recgym.workers import Workers, workers_of

__all__ = ["BLOCK", "block_sizes", "in_blocks", "joined"]

Setup = TypeVar("Setup")
Made = TypeVar("Made")

BLOCK = 32
"""Replications that share a generator: what is drawn depends on the block, never on who works on it."""


def block_sizes(replications: int) -> list[int]:
    """Replications of each block.

    Raises:
        ValueError: there are none.
    """
    if replications < 1:
        raise ValueError(f"at least 1 replication is needed, found {replications}")
    return [min(BLOCK, replications - start) for start in range(0, replications, BLOCK)]


def in_blocks(
    work: Callable[[Setup, int, int], Made], setup: Setup, replications: int, workers: int | Workers = 1
) -> Iterator[Made]:
    """Results of all blocks, in order.

    Args:
        work: gets the setup, the index of a block and its size; a function of a module.
        setup: what all blocks share, sent to each worker once.
        replications: in all.
        workers: processes (1 for none beside this one), or others.
    """
    pieces = list(enumerate(block_sizes(replications)))
    return workers_of(workers).map(_one, (work, setup), pieces)


def _one(given: tuple[Callable[[Any, int, int], Any], Any], piece: tuple[int, int]) -> Any:
    work, setup = given
    return work(setup, *piece)


def joined(parts: Sequence[Any]) -> Any:
    """Named tuples of arrays, one after the other."""
    kind = type(parts[0])
    return kind(*(np.concatenate(column) for column in zip(*parts, strict=True)))
