"""The Decision Transformer as one would write it down: PyTorch's own layers, an explicit mask, all tokens to the end.

It is what :mod:`benchmarks.offline_agents` holds our training against: sizes, log, windows, loss and optimiser are the
same.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from recgym.data.transitions import TransitionStore

__all__ = ["PlainDT", "PlainWindows"]


class PlainWindows:
    """Windows of a log of flat observations, in arrays of their own, drawn by number.

    Args:
        store: the log.
        window: T.
        seed: of the draws.
    """

    def __init__(self, store: TransitionStore, window: int, seed: int) -> None:
        self.window, self.generator = window, np.random.default_rng(seed)
        steps = store.steps
        self.observations = np.asarray(store.columns["flat"][steps])
        self.actions = np.asarray(store.columns["action"][steps][:, 0]).astype(np.int64)
        rewards = np.asarray(store.columns["reward"][steps])
        self.first = np.repeat(np.cumsum(store.lengths) - store.lengths, store.lengths)
        episodes = np.split(rewards, np.cumsum(store.lengths)[:-1])
        self.to_go = np.concatenate([episode[::-1].cumsum()[::-1] for episode in episodes])

    def draw(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Observations, actions, returns to go and a mask, each ``[B, T, ...]``, padded on the left."""
        last = self.generator.integers(len(self.actions), size=size)
        index = last[:, None] - self.window + 1 + np.arange(self.window)
        mask = index >= self.first[last][:, None]
        index = np.maximum(index, 0)
        parts = self.observations[index], self.actions[index], self.to_go[index].astype(np.float32), mask
        seen, action, to_go, there = (torch.from_numpy(part) for part in parts)
        return seen, action, to_go, there


class PlainDT(nn.Module):
    """Tokens of returns, states and actions through ``nn.TransformerEncoder``.

    Args:
        inputs: width of an observation.
        actions: how many there are.
        window: T.
        width: d.
        layers: blocks.
        heads: of each block.
        dropout: of the input and the blocks.
    """

    def __init__(
        self, inputs: int, actions: int, window: int, width: int, layers: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.returns, self.states = nn.Linear(1, width), nn.Linear(inputs, width)
        self.chosen, self.positions = nn.Embedding(actions, width), nn.Embedding(window, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.norm, self.drop, self.head = nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, actions)

    def forward(
        self, seen: Float32[Tensor, "B T S"], action: Int64[Tensor, "B T"], to_go: Float32[Tensor, "B T"]
    ) -> Float32[Tensor, "B T M"]:
        """The logits of each step's action."""
        users, steps = action.shape
        tokens = torch.stack([self.returns(to_go[:, :, None]), self.states(seen), self.chosen(action)], 2)
        tokens = (tokens + self.positions.weight[:steps, None]).reshape(users, 3 * steps, -1)
        mask = torch.ones((3 * steps, 3 * steps), dtype=torch.bool).triu(1)
        states = self.blocks(self.drop(self.norm(tokens)), mask=mask)
        logits: Tensor = self.head(states[:, 1::3])
        return logits

    def loss(self, seen: Tensor, action: Tensor, to_go: Tensor, mask: Tensor) -> Tensor:
        """Mean cross-entropy over the steps that there are."""
        return functional.cross_entropy(self(seen, action, to_go)[mask], action[mask])
