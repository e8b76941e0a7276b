"""The bandits and worlds that are compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.bandits import (
    TVTP,
    TVUCB,
    ClusterTS,
    DiscountedLinUCB,
    GaussianTS,
    LinTS,
    LinUCB,
    SlidingLinUCB,
)
from recgym.simulators.bandit_clustered import ClusteredBandit, ClusteredBanditConfig
from recgym.simulators.bandit_contextual import ContextualBandit, ContextualBanditConfig
from reproductions.bandits.regret import World

__all__ = ["DRIFT", "DRIFT_PLAIN", "Run", "cluster_runs", "drift_runs", "stationary_runs"]

DRIFT = 0.06

DRIFT_PLAIN = {
    "TVUCB": "LinUCB", "DiscountedLinUCB": "LinUCB", "SlidingLinUCB": "LinUCB", "TVTP": "LinTS",
}  # fmt: skip
"""Each bandit for drift, and the one without that it is held against."""

_DRIFTERS: dict[str, Any] = {
    "LinUCB": LinUCB(1.0), "LinTS": LinTS(0.25), "TVUCB": TVUCB(), "TVTP": TVTP(),
    "DiscountedLinUCB": DiscountedLinUCB(0.995, 0.5), "SlidingLinUCB": SlidingLinUCB(500, 0.5),
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One bandit in one world.

    Attributes:
        part: of the reproduction.
        name: of the bandit.
        bandit: itself.
        world: where it plays.
        steps: rounds.
    """

    part: str
    name: str
    bandit: Any
    world: World
    steps: int


def stationary_runs(steps: int) -> list[Run]:
    """20 arms, 10 features, weights that stay."""
    world = ContextualBandit(ContextualBanditConfig(20, 10))
    bandits = {"LinUCB": LinUCB(1.0), "LinTS": LinTS(0.25)}
    return [Run("stationary", name, bandit, world, steps) for name, bandit in bandits.items()]


def drift_runs(steps: int) -> list[Run]:
    """10 arms, 5 features, with drift and without."""
    return [
        Run(part, name, bandit, ContextualBandit(ContextualBanditConfig(10, 5, drift)), steps)
        for part, drift in (("drifting", DRIFT), ("staying", 0.0))
        for name, bandit in _DRIFTERS.items()
    ]


def cluster_runs(steps: int) -> list[Run]:
    """50 arms in 5 clusters; the same arms where clusters mean nothing, with the same spread of arms."""
    between, within = 0.12, 0.04
    whole = (between**2 + within**2) ** 0.5
    config = ClusteredBanditConfig(50, 5, between=between, within=within)
    runs = []
    for part, world in (
        ("clustered", ClusteredBandit(config)),
        ("without clusters", ClusteredBandit(ClusteredBanditConfig(50, 5, between=0.0, within=whole))),
    ):
        # Both know the spread of arms around the centre, 0.3, which they cannot subtract: it is part of the prior.
        shared = ClusterTS(np.asarray(config.cluster_of), (between**2 + config.centre**2) ** 0.5, within, 0.45)
        alone = GaussianTS((whole**2 + config.centre**2) ** 0.5, 0.45)
        runs += [Run(part, "ClusterTS", shared, world, steps), Run(part, "GaussianTS", alone, world, steps)]
    return runs
