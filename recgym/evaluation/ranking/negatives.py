"""Drawing a few candidates for each query, without replacement, many queries at once."""

import numpy as np
from jaxtyping import Int64

from recgym.evaluation.ranking.protocol import NegativeLaw, SampledNegatives
from recgym.seeding import make_generator

__all__ = ["NegativeSampler"]


class NegativeSampler:
    """Negatives of one evaluation, drawn batch after batch; how queries are put into batches does not matter.

    A query with fewer eligible items than asked for gets all of them. With :attr:`NegativeLaw.POPULARITY`, an item that
    was never consumed in training is not eligible.

    Args:
        config: how many, and by which law.
        popularity: how often each item was consumed in training.
    """

    def __init__(self, config: SampledNegatives, popularity: Int64[np.ndarray, "N"]) -> None:
        generator = make_generator(config.seed, "negatives", device="numpy")
        assert isinstance(generator, np.random.Generator)
        self._generator = generator
        self._count = min(config.count, len(popularity))
        uniform = config.law is NegativeLaw.UNIFORM
        self._weight = (np.ones(len(popularity)) if uniform else popularity).astype(np.float32)

    def draw(
        self, batch: int, rows: Int64[np.ndarray, "E"], items: Int64[np.ndarray, "E"], instead: Int64[np.ndarray, "B"]
    ) -> Int64[np.ndarray, "B S"]:
        """Negatives for the next queries.

        An exponential race: item i arrives after an exponential time of rate ``weight[i]``; the first S arrivals are a
        sample without replacement by these weights.

        Args:
            batch: B.
            rows: queries of items that are not eligible.
            items: these items.
            instead: what to put in a place that nothing is left for: an item that does not count, as a target.
        """
        arrival = self._generator.standard_exponential((batch, len(self._weight)), dtype=np.float32)
        with np.errstate(divide="ignore"):
            arrival /= self._weight
        arrival[rows, items] = np.inf
        drawn = np.argpartition(arrival, self._count - 1, axis=1)[:, : self._count]
        left = np.isfinite(np.take_along_axis(arrival, drawn, axis=1))
        return np.where(left, drawn, instead[:, None])
