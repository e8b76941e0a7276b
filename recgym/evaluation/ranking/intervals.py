"""Bootstrap over users, of many means at once: the draws are made once and shared by all metrics."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int64

from recgym.seeding import make_generator
from recgym.stats import Interval, cluster_weights, few_clusters, percentile_interval

__all__ = ["UserBootstrap"]


class UserBootstrap:
    """Resamples users, all queries of one together.

    Args:
        users: whose query each is.
        replicates: bootstrap replicates.
        level: confidence level.
        seed: decides the draws; the same for every metric, and for every model on the same queries.
    """

    def __init__(
        self, users: Int64[np.ndarray, "Q"], replicates: int = 1000, level: float = 0.95, seed: int = 0
    ) -> None:
        self._cluster, clusters = few_clusters(users)
        generator = make_generator(seed, "ranking intervals", device="numpy")
        assert isinstance(generator, np.random.Generator)
        self._weights = cluster_weights(clusters, replicates, generator)
        self.level = level

    def means(self, values: Mapping[str, Float64[np.ndarray, "Q"]]) -> dict[str, Interval]:
        """The mean of each metric over its queries with its interval; NaN marks queries that do not count."""
        return {name: self._mean(value) for name, value in values.items()}

    def _mean(self, value: Float64[np.ndarray, "Q"]) -> Interval:
        counts = ~np.isnan(value)
        size = self._weights.shape[1]
        total = np.bincount(self._cluster[counts], weights=value[counts], minlength=size)
        number = np.bincount(self._cluster[counts], minlength=size)
        if number.sum() == 0:
            return Interval(float("nan"), float("nan"), float("nan"))
        estimate = float(total.sum() / number.sum())
        if np.count_nonzero(number) < 2:
            return Interval(estimate, float("nan"), float("nan"))
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = (self._weights @ total) / (self._weights @ number)
        return percentile_interval(estimate, replicates, self.level)
