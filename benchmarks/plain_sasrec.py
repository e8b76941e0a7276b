"""SASRec as one would write it down: left-padded batches, PyTorch's own layers, every score of every position.

It is what :mod:`benchmarks.encoders` holds our training against: the same model, data, batches of users, loss and
optimiser, without bucketing by length, without flattening padding away, and with ``F.cross_entropy`` on ``[B, T, N]``.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders import Sequences

__all__ = ["PlainSASRec", "padded_batches"]


class PlainSASRec(nn.Module):
    """A causal Transformer over item ids.

    Args:
        num_items: N.
        width: D.
        blocks: how many.
        heads: of each block.
        window: T.
        dropout: of the input and the blocks.
    """

    def __init__(self, num_items: int, width: int, blocks: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.num_items = num_items
        self.items = nn.Embedding(num_items + 1, width, padding_idx=num_items)
        self.positions = nn.Embedding(window, width)
        layer = nn.TransformerEncoderLayer(width, heads, width, dropout, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, blocks, nn.LayerNorm(width), enable_nested_tensor=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, items: Int64[Tensor, "B T"]) -> Float32[Tensor, "B T D"]:
        """The state at every position."""
        length = items.shape[1]
        inputs = self.drop(self.items(items) * self.items.embedding_dim**0.5 + self.positions.weight[:length])
        mask = torch.ones((length, length), dtype=torch.bool).triu(1)
        states: Tensor = self.blocks(inputs, mask=mask)
        return states

    def loss(self, items: Int64[Tensor, "B T"], targets: Int64[Tensor, "B T"]) -> Tensor:
        """Mean cross-entropy over the positions that have a target."""
        scores = self(items) @ self.items.weight[:-1].T
        return functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=self.num_items)


def padded_batches(
    sequences: Sequences, window: int, batch_size: int, generator: np.random.Generator
) -> Iterator[tuple[Int64[Tensor, "B T"], Int64[Tensor, "B T"]]]:
    """Each user's newest ``window`` events and what follows each, padded on the left to the window."""
    users = generator.permutation(np.flatnonzero(np.diff(sequences.start) > 1))
    for first in range(0, len(users), batch_size):
        rows = users[first : first + batch_size]
        end = sequences.start[rows + 1]
        index = end[:, None] - 1 - window + np.arange(window)
        mask = index >= sequences.start[rows][:, None]
        index = np.where(mask, index, 0)
        items, targets = (np.where(mask, sequences.items[index + later], sequences.num_items) for later in (0, 1))
        yield torch.from_numpy(items), torch.from_numpy(targets)
