"""What users show when they are not alone: neighbours, blocks of time that work on, clusters that are alike.

Replications draw for each user what it would show under every arm; these models say what is seen of it. The effect
that an experiment is after stays that of all users under one arm against all users under the other.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

__all__ = ["CarryOver", "ClusterEffect", "Outcome", "Spillover"]


@runtime_checkable
class Outcome(Protocol):
    """From what users would show under each arm to what they do show."""

    def observed(
        self,
        potential: Float64[np.ndarray, "A R n"],
        arm: Int64[np.ndarray, "R n"],
        generator: np.random.Generator,
    ) -> Float64[np.ndarray, "R n"]:
        """Outcomes of all users of all replications.

        Args:
            potential: of each user under each arm, alone.
            arm: what each user got.
            generator: the source of randomness.
        """
        ...


def own(potential: Float64[np.ndarray, "A R n"], arm: Int64[np.ndarray, "R n"]) -> Float64[np.ndarray, "R n"]:
    """What each user shows under its arm, alone."""
    picked: np.ndarray = np.take_along_axis(potential, arm[None], 0)[0]
    return picked


@dataclass(frozen=True)
class Spillover:
    """Control users share in the effect on their treated neighbours (interference).

    ``y_i = y_i(0) + strength * sum over arms a of share_a (y_i(a) - y_i(0))`` for users in control, where ``share_a``
    is that of arm a among the ``neighbours`` users who arrived together. A split by users then finds
    ``1 - strength * (share treated)`` of the effect; one by clusters of neighbours finds all of it.

    Attributes:
        strength: 0 for none; 1 for a control that gets as much as its neighbourhood on average.
        neighbours: users of a neighbourhood.
    """

    strength: float
    neighbours: int

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"a neighbourhood needs at least 1 user, found {self.neighbours}")

    def observed(
        self,
        potential: Float64[np.ndarray, "A R n"],
        arm: Int64[np.ndarray, "R n"],
        generator: np.random.Generator,
    ) -> Float64[np.ndarray, "R n"]:
        """See :class:`Outcome`."""
        n = arm.shape[1]
        place = np.arange(n) // self.neighbours
        start = np.arange(0, n, self.neighbours)
        size = np.bincount(place)
        gained = np.zeros(arm.shape)
        for index in range(1, len(potential)):
            share = np.add.reduceat((arm == index).astype(np.float64), start, axis=1) / size
            gained += share[:, place] * (potential[index] - potential[0])
        shown: np.ndarray = own(potential, arm) + np.where(arm == 0, self.strength * gained, 0.0)
        return shown


@dataclass(frozen=True)
class CarryOver:
    """After a switch of arms, the arm before works on for a while.

    ``y_i = (1 - w) y_i(arm) + w y_i(arm before)`` with ``w = leak * exp(-place / fades_after)``, where ``place`` counts
    the users since the start of the block.

    Attributes:
        every: users of a block, as in :class:`recgym.abtest.Switchback`.
        leak: share of the old arm in the first user's outcome.
        fades_after: users until it is 1/e of that.
    """

    every: int
    leak: float
    fades_after: float

    def __post_init__(self) -> None:
        if self.every < 1 or not self.fades_after > 0:
            raise ValueError(f"blocks of {self.every} users and a fading of {self.fades_after} must be positive")

    def observed(
        self,
        potential: Float64[np.ndarray, "A R n"],
        arm: Int64[np.ndarray, "R n"],
        generator: np.random.Generator,
    ) -> Float64[np.ndarray, "R n"]:
        """See :class:`Outcome`."""
        n = arm.shape[1]
        block, place = np.arange(n) // self.every, np.arange(n) % self.every
        last = np.maximum(block * self.every - 1, 0)  # the last user of the block before
        weight = np.where(block > 0, self.leak * np.exp(-place / self.fades_after), 0.0)
        mixed: np.ndarray = (1 - weight) * own(potential, arm) + weight * own(potential, arm[:, last])
        return mixed


@dataclass(frozen=True)
class ClusterEffect:
    """Users of a cluster are alike: each cluster adds a normal draw of its own, whatever its arm.

    A test that takes such users for independent rejects too often if clusters were randomised.

    Attributes:
        sd: of the draw.
        size: users of a cluster, who arrive together.
    """

    sd: float
    size: int

    def observed(
        self,
        potential: Float64[np.ndarray, "A R n"],
        arm: Int64[np.ndarray, "R n"],
        generator: np.random.Generator,
    ) -> Float64[np.ndarray, "R n"]:
        """See :class:`Outcome`."""
        n = arm.shape[1]
        draws = generator.normal(0.0, self.sd, (len(arm), -(-n // self.size)))
        shifted: np.ndarray = own(potential, arm) + draws[:, np.arange(n) // self.size]
        return shifted
