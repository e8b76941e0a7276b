"""What the network needs of each item, computed once."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.network import ResponseNetwork

__all__ = ["ItemTables"]


@dataclass(frozen=True)
class ItemTables:
    """Items as they stand at the end of the training log; the last row is that of padding and unknown items.

    Attributes:
        vectors: item vectors.
        hidden: what each item brings to the first layer of the response network.
        lengths: how long each item is in seconds, the median where it is not known, 1 if none is.
    """

    vectors: Float32[Tensor, "N_plus_1 D"]
    hidden: Float32[Tensor, "N_plus_1 H"]
    lengths: Float32[Tensor, "N_plus_1"]

    @classmethod
    @torch.no_grad()
    def of(cls, fitted: FittedSimulator, network: ResponseNetwork, device: str) -> "ItemTables":
        """The tables of a network that lies on ``device``."""
        n = fitted.n_items
        raw = np.zeros((n + 1, network.shape.context), dtype=np.float32)
        if fitted.context is not None:
            # One second after the last row, so that the row itself counts.
            raw[:n] = fitted.context.at(np.arange(n), np.full(n, fitted.facts.end_time + 1.0))
            raw[n, 0] = 1.0
        vectors = network.item_vectors(torch.arange(n + 1, device=device))
        hidden = network.item_part(vectors, network.context(torch.from_numpy(raw).to(device)))
        return cls(vectors, hidden, torch.from_numpy(fitted.item_lengths).to(device))
