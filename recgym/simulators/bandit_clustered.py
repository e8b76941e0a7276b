"""Arms in clusters: what one arm brings says something about the others of its cluster."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from recgym.arrays import as_float, device_of, from_numpy, full, gather, namespace, normal
from recgym.simulators.bandit_base import BanditWorld, rows_of
from recgym.simulators.base import Observed
from recgym.types import Array, Generator, Response

__all__ = ["ClusteredBandit", "ClusteredBanditConfig", "ClusteredState"]


@dataclass(frozen=True)
class ClusteredBanditConfig:
    """Parameters of the world.

    Attributes:
        arms: A; arm a is in cluster ``a mod clusters``.
        clusters: how many there are.
        centre: mean click probability.
        between: standard deviation of a cluster's mean around it; 0 if clusters say nothing.
        within: standard deviation of an arm's click probability around its cluster's.
    """

    arms: int = 50
    clusters: int = 5
    centre: float = 0.3
    between: float = 0.12
    within: float = 0.04

    def __post_init__(self) -> None:
        if not 1 <= self.clusters <= self.arms:
            raise ValueError(f"clusters must be in 1..{self.arms} (the arms), found {self.clusters}")
        if self.between < 0 or self.within < 0 or not 0 < self.centre < 1:
            raise ValueError("between and within must not be negative and centre must lie in (0, 1)")

    @property
    def cluster_of(self) -> Int64[np.ndarray, "A"]:
        """The cluster of each arm."""
        return np.arange(self.arms) % self.clusters


class ClusteredState(NamedTuple):
    """State of a batch of services; it never changes.

    Attributes:
        rate: click probability of each arm.
    """

    rate: Float32[Array, "B N"]


class ClusteredBandit(BanditWorld[ClusteredState]):
    """Every visitor clicks arm a with probability ``centre + m_c + e_a``, cut to [0.01, 0.99].

    ``m_c ~ N(0, between^2)`` is the cluster's part, ``e_a ~ N(0, within^2)`` the arm's own; both are drawn once for
    each row and hidden. A system sees which cluster an arm is in (one-hot item features), and nothing of visitors.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("rate",)

    def __init__(self, config: ClusteredBanditConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or ClusteredBanditConfig()
        super().__init__(config.arms, np.eye(config.clusters)[config.cluster_of], device)
        self.profile_size = 0
        self._cluster = from_numpy(config.cluster_of, device)

    def on(self, device: str) -> "ClusteredBandit":
        """See :class:`UserModel`."""
        return ClusteredBandit(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> ClusteredState:
        """See :class:`UserModel`."""
        config = self.config
        centres = config.between * normal(generator, (n, config.clusters))
        rate = config.centre + centres[:, self._cluster] + config.within * normal(generator, (n, config.arms))
        return ClusteredState(as_float(namespace(rate).clip(rate, 0.01, 0.99)))

    def chance(self, state: ClusteredState, slate: Int64[Array, "B K"]) -> Float32[Array, "B K"]:
        """See :class:`BanditWorld`."""
        return gather(state.rate, slate)

    def advance(
        self, state: ClusteredState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> ClusteredState:
        """See :class:`UserModel`. Nothing changes."""
        return state

    def observe(self, state: ClusteredState) -> Observed:
        """See :class:`UserModel`."""
        return Observed(full((rows_of(state), 0), 0.0, "float32", device_of(state.rate)))
