"""Personalised item frequency with forgetting, and that of the nearest users: TIFU-KNN.

Source: Hu, He, Gao and Zhang, Modeling Personalized Item Frequency Information for Next-basket Recommendation
(arXiv 2006.00556). Differences from the paper: (1) baskets are sessions, found by pauses; (2) neighbours are users of
the training log as it ends, without the one who asks, whose own vector comes from the history of the query; (3) items
without any score stand below the rest in the order of popularity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array
from torch import Tensor

from recgym.arrays import to_numpy
from recgym.encoders.baselines import popularity
from recgym.encoders.repeat.past import Past, check_window, unknown_below
from recgym.encoders.sequences import Sequences
from recgym.types import Array, History

__all__ = ["TIFUKNN", "TIFUKNNConfig", "tifu_knn_grid"]

_USERS = 1 << 14
"""Users compared with a batch at once."""


@dataclass(frozen=True, eq=False)
class TIFUKNN:
    """What the user had, weighted by age, mixed with what the nearest users had.

    Attributes:
        vectors: sparse ``[U, N]`` float32, the vector of each user of the log.
        squares: squared length of each; infinite for users without events, who are nobody's neighbours.
        shares: popularity of each item.
        config: settings.
    """

    vectors: csr_array
    squares: Float32[np.ndarray, "U"]
    shares: Float32[Tensor, "N"]
    config: "TIFUKNNConfig"

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.shares)

    @property
    def window(self) -> int:
        """T."""
        return self.config.window

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.encoders.baselines.Baseline`, and :class:`TIFUKNNConfig` for the law."""
        past = Past.of_history(history, self.num_items, self.config.window, self.config.pause_s)
        mine = self.config.vectors(past)
        near = self._nearest(mine, to_numpy(users))
        mixed = self.config.alpha * mine + (1 - self.config.alpha) * (near @ self.vectors)
        return unknown_below(torch.from_numpy(mixed.toarray()), self.shares)

    def _nearest(self, mine: csr_array, users: Int64[np.ndarray, "B"]) -> csr_array:
        """The mean over each row's nearest users by Euclidean distance, as a sparse ``[B, U]`` matrix."""
        batch, k = mine.shape[0], self.config.neighbours
        distance = torch.full((batch, 0), torch.inf)
        index = torch.zeros((batch, 0), dtype=torch.int64)
        for first in range(0, self.vectors.shape[0], _USERS):
            some = self.vectors[first : first + _USERS]
            # Without the part that all distances of a row share: the length of its own vector.
            apart = self.squares[first : first + _USERS] - 2 * (mine @ some.T).toarray()
            own = np.flatnonzero((users >= first) & (users < first + some.shape[0]))
            apart[own, users[own] - first] = np.inf
            both = torch.cat([distance, torch.from_numpy(apart)], 1)
            ids = torch.cat([index, torch.arange(some.shape[0]).expand(batch, -1) + first], 1)
            best = both.topk(min(k, both.shape[1]), dim=1, largest=False)
            distance, index = best.values, ids.gather(1, best.indices)
        there = torch.isfinite(distance)
        row, column = (part.numpy() for part in torch.nonzero(there, as_tuple=True))
        share = 1 / there.sum(1).clamp(min=1).numpy()[row]
        found = (row, index.numpy()[row, column])
        return csr_array((share.astype(np.float32), found), (batch, self.vectors.shape[0]))


@dataclass(frozen=True)
class TIFUKNNConfig:
    """TIFU-KNN with the settings published for Ta-Feng.

    A user's n baskets, as vectors of zeros and ones, fall into groups of ``x = ceil(n / groups)`` from the newest one
    back; the oldest group may be smaller. With basket j of the t of a group, oldest first, and group g of m:

        group vector  v_g = 1/t sum_j  r_b^(t - j) b_j
        user vector   v_u = 1/m sum_g  r_g^(m - g) v_g
        score         alpha v_u + (1 - alpha) mean over the k nearest users of their v

    Attributes:
        neighbours: k.
        groups: the most groups.
        within: r_b, what a basket counts relative to the one after it in its group.
        between: r_g, what a group counts relative to the one after it.
        alpha: weight of the user's own vector.
        window: T, events of a user that count.
        pause_s: a longer pause begins a new session, in seconds.
    """

    neighbours: int = 300
    groups: int = 7
    within: float = 0.9
    between: float = 0.7
    alpha: float = 0.7
    window: int = 1000
    pause_s: float = 1200.0

    def __post_init__(self) -> None:
        check_window(self.window, self.pause_s)
        for name in ("neighbours", "groups"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        for name in ("within", "between", "alpha"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], found {getattr(self, name)}")

    def fit(self, sequences: Sequences) -> TIFUKNN:
        """See :class:`recgym.encoders.baselines.BaselineConfig`."""
        vectors = self.vectors(Past.of_sequences(sequences, self.window, self.pause_s))
        squares = np.asarray(vectors.multiply(vectors).sum(1), np.float32)
        squares[np.diff(vectors.indptr) == 0] = np.inf
        return TIFUKNN(vectors, squares, popularity(sequences), self)

    def vectors(self, past: Past) -> csr_array:
        """The vector of each row: sparse ``[B, N]`` float32."""
        count = np.maximum(past.sessions, 1)
        size = -(-count // self.groups)  # x
        number = -(-count // size)  # m
        oldest = count - (number - 1) * size  # baskets of the oldest group
        size_of, number_of = size[past.row], number[past.row]
        group, place = np.divmod(past.age, size_of)  # both from the newest one back
        held = np.where(group == number_of - 1, oldest[past.row], size_of)
        weight = np.power(self.within, place) / held * np.power(self.between, group) / number_of
        return past.sums(weight).astype(np.float32)


def tifu_knn_grid(
    base: TIFUKNNConfig, groups: Sequence[int] = (3, 7), neighbours: Sequence[int] = (100, 300),
    alphas: Sequence[float] = (0.2, 0.7, 0.9),
) -> tuple[TIFUKNNConfig, ...]:  # fmt: skip
    """Settings to choose among on validation, around the published ones."""
    return tuple(
        replace(base, groups=m, neighbours=k, alpha=alpha) for m, k, alpha in product(groups, neighbours, alphas)
    )
