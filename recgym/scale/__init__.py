"""More than one machine: the same work, and the same numbers, over a Ray cluster; needs the extra ``recgym[ray]``."""

from recgym.scale.cluster import RayWorkers, cluster, connected

__all__ = ["RayWorkers", "cluster", "connected"]
