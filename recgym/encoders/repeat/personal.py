"""What a user had most often, with or without forgetting: P-Top."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.encoders.baselines import popularity
from recgym.encoders.repeat.past import Past, check_window, unknown_below
from recgym.encoders.sequences import Sequences
from recgym.types import Array, History

__all__ = ["PersonalTop", "PersonalTopConfig", "personal_grid"]


@dataclass(frozen=True, eq=False)
class PersonalTop:
    """The user's own items by how often they were had; those of others below, by popularity.

    Attributes:
        shares: popularity of each item.
        config: settings.
    """

    shares: Float32[Tensor, "N"]
    config: "PersonalTopConfig"

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
        """See :class:`recgym.encoders.baselines.Baseline`.

        Own items by ``sum_sessions decay^age``, of equal ones the more popular first. Only their order is kept, as
        numbers that never tie: the best of m own items gets 1, the last ``1 / m``.
        """
        past = Past.of_history(history, self.num_items, self.config.window, self.config.pause_s)
        frequency = past.sums(np.power(self.config.decay, past.age.astype(np.float64))).tocoo()
        row, item = frequency.row.astype(np.int64), frequency.col.astype(np.int64)
        order = np.lexsort((-self.shares.numpy()[item], -frequency.data, row))
        own = np.bincount(row, minlength=len(past.sessions))
        place = np.arange(len(row)) - np.repeat(np.cumsum(own) - own, own)
        out = torch.zeros(len(past.sessions), self.num_items)
        value = (1 - place / np.maximum(own[row[order]], 1)).astype(np.float32)
        out[torch.from_numpy(row[order]), torch.from_numpy(item[order])] = torch.from_numpy(value)
        return unknown_below(out, self.shares)


@dataclass(frozen=True)
class PersonalTopConfig:
    """Personal frequency: in how many of a user's sessions an item was, each counting ``decay`` to its age.

    Attributes:
        decay: what a session counts relative to the one after it; 1 never forgets (P-Top), less prefers what is recent.
        window: T, events of a user that count.
        pause_s: a longer pause begins a new session, in seconds.
    """

    decay: float = 1.0
    window: int = 1000
    pause_s: float = 1200.0

    def __post_init__(self) -> None:
        check_window(self.window, self.pause_s)
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, found {self.decay}")

    def fit(self, sequences: Sequences) -> PersonalTop:
        """See :class:`recgym.encoders.baselines.BaselineConfig`."""
        return PersonalTop(popularity(sequences), self)


def personal_grid(
    base: PersonalTopConfig, decays: Sequence[float] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
) -> tuple[PersonalTopConfig, ...]:
    """P-Top with recency decay: settings to choose among on validation."""
    return tuple(replace(base, decay=decay) for decay in decays)
