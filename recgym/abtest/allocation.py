"""Who gets which arm: user by user, block of time by block, or cluster by cluster."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

__all__ = ["Allocation", "Assignment", "Clustered", "Split", "Switchback", "unit_means"]


class Assignment(NamedTuple):
    """Who got which arm, of many replications.

    Attributes:
        arm: of each user, in the order of arrival; 0 is the control.
        unit: what was randomised, of each user: ids ``0..U-1`` in the order in which units are complete; None if it is
            the user itself.
    """

    arm: Int64[np.ndarray, "R n"]
    unit: Int64[np.ndarray, "n"] | None


@runtime_checkable
class Allocation(Protocol):
    """A design: how arms are assigned without looking at outcomes."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Planned share of units in each arm, the control first; they sum to 1."""
        ...

    def assign(self, generator: np.random.Generator, replications: int, users: int) -> Assignment:
        """Draw the arms of all users of all replications."""
        ...


@dataclass(frozen=True)
class Split:
    """Each user gets an arm of its own, independently.

    Attributes:
        shares: of users in each arm, two or more.
    """

    shares: tuple[float, ...] = (0.5, 0.5)

    def __post_init__(self) -> None:
        _check_shares(self.shares)

    def assign(self, generator: np.random.Generator, replications: int, users: int) -> Assignment:
        """See :class:`Allocation`."""
        return Assignment(_draw(generator, (replications, users), self.shares), None)


@dataclass(frozen=True)
class Switchback:
    """All users of a block of time get the same arm, drawn anew for each block.

    For effects that spill over between users at the same time. Blocks, not users, are the units of the analysis.

    Attributes:
        every: users of a block; the last block may have fewer.
        shares: of blocks in each arm.
        burn: users at the start of each block that the analysis leaves out, because the last block still works on.
    """

    every: int
    shares: tuple[float, ...] = (0.5, 0.5)
    burn: int = 0

    def __post_init__(self) -> None:
        _check_shares(self.shares)
        if not 0 <= self.burn < self.every:
            raise ValueError(f"a block of {self.every} users cannot lose its first {self.burn}")

    def assign(self, generator: np.random.Generator, replications: int, users: int) -> Assignment:
        """See :class:`Allocation`."""
        unit = np.arange(users) // self.every
        arm = _draw(generator, (replications, int(unit[-1]) + 1), self.shares)
        return Assignment(arm[:, unit], unit)


@dataclass(frozen=True, eq=False)
class Clustered:
    """All users of a cluster get the same arm: for effects that spill over between neighbours.

    Attributes:
        clusters: id of each user's cluster, in the order of arrival; a short record is repeated with new clusters, so
            that ``(0, 0, 0)`` makes clusters of three.
        shares: of clusters in each arm.
    """

    clusters: Int64[np.ndarray, "c"]
    shares: tuple[float, ...] = (0.5, 0.5)

    def __post_init__(self) -> None:
        _check_shares(self.shares)
        if self.clusters.size == 0:
            raise ValueError("cluster ids of at least one user are needed")

    def units(self, users: int) -> Int64[np.ndarray, "n"]:
        """Cluster of each user, numbered in the order in which they are complete."""
        _, ids = np.unique(self.clusters, return_inverse=True)
        repeats = -(-users // ids.size)
        ids = (ids[None] + (ids.max() + 1) * np.arange(repeats)[:, None]).reshape(-1)[:users]
        _, last, ids = np.unique(ids[::-1], return_index=True, return_inverse=True)
        rank = np.empty(last.size, dtype=np.int64)
        rank[np.argsort(-last)] = np.arange(last.size)  # the later the last user, the higher the rank
        ranked: np.ndarray = rank[ids[::-1]]
        return ranked

    def assign(self, generator: np.random.Generator, replications: int, users: int) -> Assignment:
        """See :class:`Allocation`."""
        unit = self.units(users)
        arm = _draw(generator, (replications, int(unit.max()) + 1), self.shares)
        return Assignment(arm[:, unit], unit)


def unit_means(
    values: Float64[np.ndarray, "R n"], arm: Int64[np.ndarray, "R n"], unit: Int64[np.ndarray, "n"], burn: int = 0
) -> tuple[Float64[np.ndarray, "R U"], Int64[np.ndarray, "R U"]]:
    """Mean and arm of each unit: what was randomised together counts as one.

    Args:
        values: of each user.
        arm: of each user, the same within a unit.
        unit: of each user, ids ``0..U-1``.
        burn: users at the start of each unit to leave out; a unit that has no more is kept whole.
    """
    order = np.argsort(unit, kind="stable")
    size = np.bincount(unit)
    start = np.concatenate([[0], size.cumsum()[:-1]])
    place = np.arange(unit.size) - np.repeat(start, size)
    skip = np.where(size > burn, burn, 0)
    weight = (place >= np.repeat(skip, size)).astype(np.float64)
    means: np.ndarray = np.add.reduceat(values[:, order] * weight, start, axis=1) / (size - skip)
    return means, arm[:, order[start]]


def _draw(generator: np.random.Generator, shape: tuple[int, int], shares: tuple[float, ...]) -> np.ndarray:
    draw = generator.random(shape, dtype=np.float32)
    first, *others = np.cumsum(shares)[:-1].astype(np.float32)
    arm: np.ndarray = (draw >= first).astype(np.int64)
    for edge in others:
        arm += draw >= edge
    return arm


def _check_shares(shares: tuple[float, ...]) -> None:
    if len(shares) < 2 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares of two or more arms must be positive and sum to 1, found {list(shares)}")
