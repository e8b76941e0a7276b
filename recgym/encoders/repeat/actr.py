"""What comes to mind of what a user has had, by the activation of ACT-R, and nothing else: ACTR-Repeat.

Source: Reiter-Haas et al., Predicting Music Relistening Behavior Using the ACT-R Framework (RecSys 2021), in the form
of "Transformers Meet ACT-R" (arXiv 2408.16578). Differences from the papers: (1) each component is divided by its sum
over the user's items before the weights of the settings apply, so that these have one meaning on every log; (2) partial
matching compares items by the singular vectors of who had them; likenesses below 0 count as none.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from torch import Tensor

from recgym.encoders.activation import Association, base_level, item_weights, partial_matching, spreading
from recgym.encoders.repeat.past import check_window, events_of
from recgym.encoders.sequences import Sequences
from recgym.types import Array, History

__all__ = ["ACTRRepeat", "ACTRRepeatConfig", "association_of", "item_vectors"]


@dataclass(frozen=True, eq=False)
class ACTRRepeat:
    """The user's own items by activation; no others.

    Attributes:
        association: of items in sessions.
        vectors: of items, unit length or 0.
        config: settings.
    """

    association: Association
    vectors: Float32[Tensor, "N D"]
    config: "ACTRRepeatConfig"

    @property
    def num_items(self) -> int:
        """N."""
        return self.association.num_items

    @property
    def window(self) -> int:
        """T."""
        return self.config.window

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.encoders.baselines.Baseline`; minus infinity for items that the user never had.

        Args:
            users: ignored.
            history: right-aligned, of tensors or arrays.
            query_time_s: the start of the session asked for, t_ref; None for a second after the newest event.
        """
        events = events_of(history, self.num_items, self.config.window, self.config.pause_s)
        base = base_level(*events[:3], events.reference(query_time_s), self.num_items, self.config.decay)
        activation = item_weights(base)
        there, previous = base.newest, events.last_session
        if self.config.spreading:
            found = spreading(self.association, events.items, events.items, previous)
            activation = activation + self.config.spreading * _shares(found * there)
        if self.config.matching:
            found = partial_matching(self.vectors, events.items, events.items, previous)
            activation = activation + self.config.matching * _shares(found.clamp(min=0) * there)
        out = torch.full((len(events.mask), self.num_items), -torch.inf)
        row, column = torch.nonzero(there, as_tuple=True)
        out[row, events.items[row, column]] = activation[row, column]
        return out


def _shares(values: Float32[Tensor, "B T"]) -> Float32[Tensor, "B T"]:
    """Non-negative values divided by their sum; 0 where there are none."""
    shares: Tensor = values / values.sum(1, keepdim=True).clamp(min=torch.finfo(values.dtype).tiny)
    return shares


@dataclass(frozen=True)
class ACTRRepeatConfig:
    """``A_i = BL_i + spreading SPR_i + matching PM_i`` over the items i that the user has had.

    BL is the softmax of the base level at t_ref; SPR the association with the user's newest session, PM the likeness to
    it, each divided by its sum. See :mod:`recgym.encoders.activation`.

    Attributes:
        decay: d of the base level.
        spreading: weight of SPR; 0 for none.
        matching: weight of PM; 0 for none.
        width: D, of the vectors that PM compares.
        window: T, events of a user that count.
        pause_s: a longer pause begins a new session, in seconds.
    """

    decay: float = 0.5
    spreading: float = 0.0
    matching: float = 0.0
    width: int = 32
    window: int = 1000
    pause_s: float = 1200.0

    def __post_init__(self) -> None:
        check_window(self.window, self.pause_s)
        for name in ("decay", "spreading", "matching"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, found {getattr(self, name)}")
        if self.width < 1:
            raise ValueError(f"vectors of items need a width of at least 1, found {self.width}")

    def fit(self, sequences: Sequences) -> ACTRRepeat:
        """See :class:`recgym.encoders.baselines.BaselineConfig`."""
        n = sequences.num_items
        nothing = np.zeros(0, np.int64)
        association = (
            association_of(sequences, self.pause_s) if self.spreading else Association.of_sessions(nothing, nothing, n)
        )
        vectors = item_vectors(sequences, self.width) if self.matching else torch.zeros(n, 1)
        return ACTRRepeat(association, vectors, self)


def association_of(sequences: Sequences, pause_s: float, keep: int | None = None) -> Association:
    """How strongly items share sessions, which pauses divide.

    Args:
        sequences: all events.
        pause_s: a longer pause begins a new session, in seconds.
        keep: the most entries of a row; None for all.
    """
    return Association.of_sessions(sequences.items, session_numbers(sequences, pause_s), sequences.num_items, keep)


def session_numbers(sequences: Sequences, pause_s: float) -> Int64[np.ndarray, "E"]:
    """The session of each event, numbered over all users; where only the order is known, an event takes a second."""
    time_s = sequences.time_s
    if time_s is None:
        time_s = np.arange(len(sequences.items), dtype=np.float64)
    opens = np.zeros(len(time_s), bool)
    opens[1:] = np.diff(time_s) > pause_s
    first = sequences.start[:-1]
    opens[first[first < len(opens)]] = True
    return np.cumsum(opens) - 1


def item_vectors(sequences: Sequences, width: int) -> Float32[Tensor, "N D"]:
    """Unit vectors of items: the singular vectors of ``ln(1 + count)`` of each user and item, scaled.

    D is less than ``width`` where there are not that many users or items. Items without events get 0.
    """
    user = np.repeat(np.arange(sequences.num_users), np.diff(sequences.start))
    shape = (sequences.num_users, sequences.num_items)
    counts = csr_array((np.ones(len(user)), (user, sequences.items)), shape)
    counts.data = np.log1p(counts.data)
    rank = min(width, min(shape) - 1)
    if rank < 1 or counts.nnz == 0:
        return torch.zeros(sequences.num_items, 1)
    # The start is fixed, so that the same log gives the same vectors; that of ones would be blind to some directions.
    start = np.cos(np.arange(min(shape), dtype=np.float64))
    _, strength, right = svds(counts, k=rank, v0=start)
    vectors = torch.from_numpy((right.T * strength).astype(np.float32))
    return torch.nn.functional.normalize(vectors, dim=1)
