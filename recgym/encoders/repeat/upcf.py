"""User-popularity collaborative filtering: what users of like taste have had lately, UP-CF.

Source: Faggioli, Polato and Aiolli, Recency Aware Collaborative Filtering for Next Basket Recommendation (UMAP 2020).
Differences from the paper: (1) a user's own part comes from the history of the query, the others' from the training
log, which is also the moment at which their recency window ends; (2) users whom the log does not know are served too;
(3) items without any score stand below the rest in the order of popularity.
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

__all__ = ["UPCF", "UPCFConfig", "upcf_grid"]

_USERS = 1 << 14
"""Users compared with a batch at once."""


@dataclass(frozen=True, eq=False)
class UPCF:
    """The recent popularity of items with the user, and with users like them.

    Attributes:
        known: sparse ``[U, N]``, 1 for each item that a user has had.
        recent: sparse ``[U, N]``, pi: the share of a user's newest sessions that held an item.
        shares: popularity of each item.
        config: settings.
    """

    known: csr_array
    recent: csr_array
    shares: Float32[Tensor, "N"]
    config: "UPCFConfig"

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
        """See :class:`recgym.encoders.baselines.Baseline`, and :class:`UPCFConfig` for the law."""
        past = Past.of_history(history, self.num_items, self.config.window, self.config.pause_s)
        known, user = past.known(), to_numpy(users)
        out = self.config.recent_shares(past).toarray()
        size = np.asarray(known.sum(1), np.float64)
        for first in range(0, self.known.shape[0], _USERS):
            theirs = self.known[first : first + _USERS]
            both = csr_array(known @ theirs.T).tocoo()
            # A user's own row of the log would count what the history counts already.
            other = both.col + first != user[both.row]
            row, column, both_count = both.row[other], both.col[other], both.data[other].astype(np.float64)
            their_size = np.asarray(theirs.sum(1), np.float64)
            asymmetry = self.config.asymmetry
            alike = both_count / (size[row] ** asymmetry * their_size[column] ** (1 - asymmetry))
            weight = csr_array(((alike**self.config.locality).astype(np.float32), (row, column)), both.shape)
            out += (weight @ self.recent[first : first + _USERS]).toarray()
        return unknown_below(torch.from_numpy(out), self.shares)


@dataclass(frozen=True)
class UPCFConfig:
    """UP-CF@r.

    ``score(u, i) = sum_v w_uv^q pi_v(i)`` over all users v, u among them with w = 1, with
    ``pi_v(i)`` the share of v's newest r sessions that held i, and the asymmetric cosine
    ``w_uv = |I_u n I_v| / (|I_u|^a |I_v|^(1 - a))`` of the items that each has had.

    Attributes:
        recent: r, newest sessions that count in pi.
        locality: q; the larger, the more only the most alike count, in the end the user alone.
        asymmetry: a, in [0, 1].
        window: T, events of a user that count.
        pause_s: a longer pause begins a new session, in seconds.
    """

    recent: int = 10
    locality: float = 5.0
    asymmetry: float = 0.5
    window: int = 1000
    pause_s: float = 1200.0

    def __post_init__(self) -> None:
        check_window(self.window, self.pause_s)
        if self.recent < 1 or not self.locality > 0 or not 0 <= self.asymmetry <= 1:
            raise ValueError(
                "recent must be at least 1, locality above 0 and asymmetry in [0, 1], found recent "
                f"{self.recent}, locality {self.locality} and asymmetry {self.asymmetry}"
            )

    def fit(self, sequences: Sequences) -> UPCF:
        """See :class:`recgym.encoders.baselines.BaselineConfig`."""
        past = Past.of_sequences(sequences, self.window, self.pause_s)
        return UPCF(past.known(), self.recent_shares(past), popularity(sequences), self)

    def recent_shares(self, past: Past) -> csr_array:
        """pi: sparse ``[B, N]`` float32."""
        counted = np.minimum(past.sessions, self.recent)[past.row]
        return past.sums((past.age < self.recent) / np.maximum(counted, 1)).astype(np.float32)


def upcf_grid(
    base: UPCFConfig, recents: Sequence[int] = (5, 25, 100), localities: Sequence[float] = (5.0, 50.0),
    asymmetries: Sequence[float] = (0.25,),
) -> tuple[UPCFConfig, ...]:  # fmt: skip
    """Settings to choose among on validation: a corner of the paper's grid."""
    return tuple(
        replace(base, recent=recent, locality=locality, asymmetry=asymmetry)
        for recent, locality, asymmetry in product(recents, localities, asymmetries)
    )
