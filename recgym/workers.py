"""Independent pieces of work, done here or by others, with the same result.

What a piece draws comes from generators derived for that piece (see :mod:`recgym.seeding`), never from who works on it.
So :class:`Processes` of any number give the same bits, and so does whatever else keeps to :class:`Workers`, such as a
cluster (:mod:`recgym.scale`).
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar, runtime_checkable

import cloudpickle
import torch

__all__ = ["Processes", "Workers", "in_turn", "workers_of"]

Setup = TypeVar("Setup")
Piece = TypeVar("Piece")
Made = TypeVar("Made")
Ticket = TypeVar("Ticket")

_AHEAD = 4
"""Pieces under way or waiting to be fetched, for each process: bounds memory."""


@runtime_checkable
class Workers(Protocol):
    """Who does the work."""

    def map(
        self, work: Callable[[Setup, Piece], Made], setup: Setup, pieces: Iterable[Piece]
    ) -> Generator[Made, None, None]:
        """Results of all pieces, in order.

        Args:
            work: gets the setup and a piece; draws nothing but from generators of that piece.
            setup: what all pieces share; sent to each worker once.
            pieces: taken only shortly before their turn, so there may be no end to them if the iterator is closed.
        """
        ...


@dataclass(frozen=True)
class Processes:
    """Processes of this machine; what a process that dies was doing is not done again.

    Attributes:
        count: of processes; 1 for none beside this one.
    """

    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"at least 1 worker is needed, found {self.count}")

    def map(
        self, work: Callable[[Setup, Piece], Made], setup: Setup, pieces: Iterable[Piece]
    ) -> Generator[Made, None, None]:
        """See :class:`Workers`. A single piece is worked on here."""
        pieces = iter(pieces)
        first = list(islice(pieces, 2))
        pieces = chain(first, pieces)
        if self.count == 1 or len(first) < 2:
            for piece in pieces:
                yield work(setup, piece)
            return
        # Not plain pickle: a setup may hold functions that have no name in a module.
        given = cloudpickle.dumps((work, setup))
        threads = torch.get_num_threads()
        with ProcessPoolExecutor(
            self.count, get_context("spawn"), initializer=_begin, initargs=(given, threads)
        ) as pool:
            try:
                yield from in_turn(
                    pieces, lambda piece: pool.submit(_one, piece), lambda made: made.result(), _AHEAD * self.count
                )
            finally:
                pool.shutdown(cancel_futures=True)


def workers_of(workers: int | Workers) -> Workers:
    """The workers; a number stands for so many processes.

    Raises:
        ValueError: the number is not positive.
    """
    return Processes(workers) if isinstance(workers, int) else workers


def in_turn(
    pieces: Iterable[Piece], begin: Callable[[Piece], Ticket], fetch: Callable[[Ticket], Made], ahead: int
) -> Generator[Made, None, None]:
    """Begin pieces and fetch their results in the same order, with so many begun and not fetched at most.

    Args:
        pieces: taken when they are begun.
        begin: hands a piece over, and returns what its result is fetched by.
        fetch: waits for a result.
        ahead: at least 1.
    """
    begun: deque[Ticket] = deque()
    for piece in pieces:
        begun.append(begin(piece))
        if len(begun) >= ahead:
            yield fetch(begun.popleft())
    while begun:
        yield fetch(begun.popleft())


_GIVEN: list[Any] = []


def _begin(given: bytes, threads: int) -> None:
    # Sums are rounded by how threads share them: as many as where the work comes from give the same bits.
    torch.set_num_threads(threads)
    _GIVEN[:] = cloudpickle.loads(given)


def _one(piece: Any) -> Any:
    work, setup = _GIVEN
    return work(setup, piece)
