"""The simplest things one can say of feedback, as baselines: rates overall, by position and by item."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

__all__ = ["RateTables"]

MAX_POSITION = 50
_PRIOR_ROWS = 10.0


@dataclass(frozen=True)
class RateTables:
    """Counts of a log from which rates are taken; the last axis is (values, values above 0, sum of values).

    Attributes:
        by_position: ``[50 + 2, F, 3]``: positions from 0, the last but one for positions beyond, the last for unknown
            ones.
        by_item: ``[N + 1, F, 3]``, the last for unknown items.
    """

    by_position: Float64[np.ndarray, "positions F 3"]
    by_item: Float64[np.ndarray, "N_plus_1 F 3"]

    @classmethod
    def of(
        cls,
        item: Int64[np.ndarray, "R"],
        position: Int64[np.ndarray, "R"],
        labels: Float32[np.ndarray, "R F"],
        modelled: Bool[np.ndarray, "R F"],
        n_items: int,
    ) -> "RateTables":
        """Count the modelled values of some rows."""
        values = np.stack([modelled, modelled & (labels > 0), np.where(modelled, labels, 0)], 2).astype(np.float64)
        place = _place(position)

        def count(index: np.ndarray, size: int) -> np.ndarray:
            flat = values.reshape(values.shape[0], -1)
            sums = [np.bincount(index, weights=flat[:, column], minlength=size) for column in range(flat.shape[1])]
            return np.stack(sums, 1).reshape(size, *values.shape[1:])

        return cls(count(place, MAX_POSITION + 2), count(item, n_items + 1))

    def predict(
        self, item: Int64[np.ndarray, "R"], position: Int64[np.ndarray, "R"]
    ) -> dict[str, Float64[np.ndarray, "R F 2"]]:
        """What each baseline says of some rows: (probability of a value above 0, mean).

        Rates by position and by item are shrunk towards the overall rate as if by 10 more rows.
        """
        total = self.by_item.sum(0)
        overall = total[:, 1:] / np.maximum(total[:, :1], 1.0)

        def shrunk(table: np.ndarray) -> np.ndarray:
            smooth: np.ndarray = (table[..., 1:] + _PRIOR_ROWS * overall) / (table[..., :1] + _PRIOR_ROWS)
            return smooth

        return {
            "position": shrunk(self.by_position)[_place(position)],
            "popularity": shrunk(self.by_item)[item],
            "global": np.broadcast_to(overall, (item.size, *overall.shape)).copy(),
        }


def _place(position: np.ndarray) -> np.ndarray:
    return np.where(position < 0, MAX_POSITION + 1, np.minimum(position, MAX_POSITION))
