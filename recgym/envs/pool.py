"""Candidates drawn from a part of the catalogue: what is in stock, on air, or was ever shown."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from recgym.arrays import device_of, from_numpy
from recgym.envs.candidates import SampledCandidates
from recgym.types import Array, Generator

__all__ = ["PooledCandidates"]


@dataclass(frozen=True)
class PooledCandidates:
    """M distinct items of a pool a user and step, every item of the pool equally likely.

    Attributes:
        num_candidates: M.
        pool: ids of the items that may be offered, without repeats.
    """

    num_candidates: int
    pool: np.ndarray
    _on: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.pool.ndim != 1 or np.unique(self.pool).size != self.pool.size:
            raise ValueError("the pool of candidates must be a list of item ids without repeats")

    def size(self, num_items: int) -> int:
        """See :class:`recgym.envs.CandidateSource`."""
        if self.pool.size and not 0 <= int(self.pool.min()) <= int(self.pool.max()) < num_items:
            raise ValueError(f"the pool holds ids outside 0..{num_items - 1}")
        return SampledCandidates(self.num_candidates).size(self.pool.size)

    def draw(self, users: int, num_items: int, generator: Generator) -> Int64[Array, "B M"]:
        """See :class:`recgym.envs.CandidateSource`."""
        device = device_of(generator)
        if device not in self._on:
            self._on[device] = from_numpy(self.pool.astype(np.int64), device)
        return self._on[device][SampledCandidates(self.num_candidates).draw(users, self.pool.size, generator)]
