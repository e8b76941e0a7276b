"""Which items a policy may choose from at each step."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from recgym.arrays import as_int, device_of, from_numpy, uniform, wrap
from recgym.types import Array, Generator

__all__ = ["CandidateSource", "FullCatalogue", "SampledCandidates"]


@runtime_checkable
class CandidateSource(Protocol):
    """Offers M candidates a user and step."""

    def size(self, num_items: int) -> int:
        """M for a catalogue of ``num_items``.

        Raises:
            ValueError: the catalogue is too small.
        """
        ...

    def draw(self, users: int, num_items: int, generator: Generator) -> Int64[Array, "B M"] | None:
        """Item ids of the candidates; None if an action is an item id, because all items are offered in order.

        Rows must be drawn independently of each other: a simulation of few users draws for several steps at once.
        """
        ...


@dataclass(frozen=True)
class FullCatalogue:
    """All items, always: M = N, and the action is the item id."""

    def size(self, num_items: int) -> int:
        """See :class:`CandidateSource`."""
        return num_items

    def draw(self, users: int, num_items: int, generator: Generator) -> None:
        """See :class:`CandidateSource`."""


@lru_cache(maxsize=64)
def _coprimes(n: int) -> np.ndarray:
    """Up to 256 numbers below ``n`` that share no factor with it, spread over its range; [1] for n < 3."""
    starts = np.unique(np.linspace(1, max(n - 1, 1), 256).astype(np.int64))
    found = [next((c for c in range(int(s), n) if math.gcd(c, n) == 1), 1) for s in starts]
    return np.unique(np.asarray(found, dtype=np.int64))


@lru_cache(maxsize=64)
def _tables(n: int, m: int, device: str) -> tuple[Array, Array, Array]:
    """The coprimes of n, where each of m strata begins, and the ranges of the draws of a coprime and of a shift."""
    coprimes = _coprimes(n)
    ranges = np.asarray([[coprimes.size], [n]], dtype=np.float32)
    return from_numpy(coprimes, device), from_numpy(np.arange(m) * (n // m), device), from_numpy(ranges, device)


@dataclass(frozen=True)
class SampledCandidates:
    """M distinct items a user and step, every item equally likely, drawn anew each step.

    The catalogue is put in a random order for each user, cut into M equal strata, and one item is drawn from each: no
    item twice, no rejection, and a cost of B x M at any N. The random order is ``x -> (a x + b) mod N``, with ``a``
    coprime to N.

    Attributes:
        num_candidates: M.
    """

    num_candidates: int

    def __post_init__(self) -> None:
        if self.num_candidates < 1:
            raise ValueError(f"at least 1 candidate is needed, found num_candidates={self.num_candidates}")

    def size(self, num_items: int) -> int:
        """See :class:`CandidateSource`."""
        if self.num_candidates > num_items:
            raise ValueError(f"{self.num_candidates} distinct candidates cannot be drawn from {num_items} items")
        return self.num_candidates

    def draw(self, users: int, num_items: int, generator: Generator) -> Int64[Array, "B M"]:
        """See :class:`CandidateSource`."""
        m = self.size(num_items)
        coprimes, offsets, ranges = _tables(num_items, m, device_of(generator))
        # One call for all draws. A float32 draw times its range may round up to the range only above 2**24 items.
        # In place from here: at B x M = 1.6 million the allocations cost more than the arithmetic.
        draws = uniform(generator, (users * (m + 2),))
        within, order = draws[: users * m].reshape(users, m), draws[users * m :].reshape(2, users)
        within *= num_items // m
        items = as_int(within)
        items += offsets
        order = as_int(order * ranges)
        items *= coprimes[order[0]][:, None]
        items += order[1][:, None]
        return wrap(items, num_items)
