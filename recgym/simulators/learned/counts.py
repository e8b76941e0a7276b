"""How many items of a slate are taken together: a law of their number on top of what each item is worth by itself.

The chance that exactly the items with ``y_k = 1`` are taken is in proportion to ``exp(sum_k l_k y_k + w[sum_k y_k])``:
``l_k`` is the logit of an item, ``w`` are the *potentials* of taking none, one, two, or more of a slate. With ``w = 0``
items are independent; where users take exactly one item of every slate, ``w`` is large at one and the law is a
softmax over the slate.

The number of items taken is worked out along a binary tree over the positions: each node holds the chances that 0, 1,
2, or at least 3 of its positions are taken, which are sums over pairs of those of its halves. All terms are positive,
so nothing cancels; a slate of K costs log2(K) rounds of operations on whole batches.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float, Int64
from scipy.stats import binom
from torch import Tensor

from recgym.arrays import uniform
from recgym.types import Generator

__all__ = ["POTENTIALS", "SlateGrid", "draw", "log_normaliser", "marginal_logits", "of_number", "start_potentials"]

POTENTIALS = 3
"""Free potentials: of none, of two, and of more than two; that of one is 0."""

_STATES = 4
_MOST = 20.0
_BELOW_ONE = 1.0 - 1e-6


def _full(potentials: Tensor) -> Tensor:
    """Potentials of 0, 1, 2 and more items."""
    none, two, more = potentials.clamp(-_MOST, _MOST).unbind(-1)
    return torch.stack([none, torch.zeros_like(none), two, more], -1)


def start_potentials(sizes: Int64[np.ndarray, "n"], numbers: Int64[np.ndarray, "n"]) -> Float[np.ndarray, "potentials"]:
    """Potentials that fit how often each number was taken of slates of these sizes, were all items of a size alike."""
    expected, observed = np.ones(_STATES), np.ones(_STATES)
    observed += np.bincount(np.minimum(numbers, _STATES - 1), minlength=_STATES)
    for size in np.unique(sizes):
        of_size = numbers[sizes == size]
        chances = binom.pmf(np.arange(_STATES - 1), size, of_size.mean() / size)
        expected += of_size.size * np.append(chances, 1 - chances.sum()).clip(0)
    potential = np.log(observed / expected)
    free: np.ndarray = np.delete(potential - potential[1], 1)
    return free


def of_number(potentials: Float[Tensor, "*B potentials"], number: Int64[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """The potential of taking so many items."""
    return _full(potentials).gather(-1, number.clamp(max=_STATES - 1)[..., None])[..., 0]


def _pairs(like: Tensor) -> Tensor:
    """Which of the 16 pairs of numbers add up to which number; ``[16, 4]``."""
    number = torch.arange(_STATES, device=like.device)
    total = (number[:, None] + number).clamp(max=_STATES - 1).flatten()
    return nnf.one_hot(total, _STATES).to(like.dtype)


def _halves(level: Tensor) -> tuple[Tensor, Tensor]:
    return level[..., 0::2, :], level[..., 1::2, :]


def _levels(logits: Tensor, shown: Tensor | None) -> list[Tensor]:
    """Chances of the numbers at each node, from the positions up to the whole slate; ``[*B, nodes, 4]``."""
    chance = logits.sigmoid()
    chance = chance if shown is None else chance * shown
    depth = (logits.shape[-1] - 1).bit_length()
    chance = nnf.pad(chance, (0, (1 << depth) - logits.shape[-1]))
    never = torch.zeros_like(chance)
    levels, pairs = [torch.stack([1 - chance, chance, never, never], -1)], _pairs(logits)
    for _ in range(depth):
        left, right = _halves(levels[-1])
        levels.append((left[..., :, None] * right[..., None, :]).flatten(-2) @ pairs)
    return levels


def log_normaliser(
    logits: Float[Tensor, "*B K"], potentials: Float[Tensor, "*B potentials"], shown: Bool[Tensor, "*B K"] | None = None
) -> Float[Tensor, "*B"]:
    """Logarithm of what the potentials multiply the chance of a slate by on average, if items were independent.

    Args:
        logits: of each item by itself.
        potentials: see :data:`POTENTIALS`.
        shown: positions that hold an item; all if None.
    """
    root = _levels(logits, shown)[-1][..., 0, :]
    return (root.clamp(min=1e-37).log() + _full(potentials)).logsumexp(-1)


def marginal_logits(
    logits: Float[Tensor, "*B K"], potentials: Float[Tensor, "*B potentials"], shown: Bool[Tensor, "*B K"] | None = None
) -> Float[Tensor, "*B K"]:
    """Logit of the exact chance that each item is taken, whatever becomes of the others."""
    levels, pairs, full = _levels(logits, shown), _pairs(logits), _full(potentials)
    worth = (full - full.amax(-1, keepdim=True)).exp()[..., None, :]
    for level in reversed(levels[:-1]):
        left, right = _halves(level)
        both = (worth @ pairs.T).reshape(*worth.shape[:-1], _STATES, _STATES)
        of_left, of_right = (both * right[..., None, :]).sum(-1), (both * left[..., :, None]).sum(-2)
        worth = torch.stack([of_left, of_right], -2).flatten(-3, -2)
    worth = worth[..., : logits.shape[-1], :].clamp(min=1e-37).log()
    return logits + worth[..., 1] - worth[..., 0]


def draw(
    logits: Float[Tensor, "*B K"],
    potentials: Float[Tensor, "*B potentials"],
    generator: Generator,
    shown: Bool[Tensor, "*B K"] | None = None,
) -> Bool[Tensor, "*B K"]:
    """Draw which items are taken: first how many, then in which half of the slate, and so on down to the positions."""
    levels, pairs = _levels(logits, shown), _pairs(logits)
    full = _full(potentials)
    number = _categorical(levels[-1] * (full - full.amax(-1, keepdim=True)).exp()[..., None, :], generator)
    for level in reversed(levels[:-1]):
        left, right = _halves(level)
        weights = (left[..., :, None] * right[..., None, :]).flatten(-2) * nnf.embedding(number, pairs.T.contiguous())
        pair = _categorical(weights, generator)
        number = torch.stack([pair // _STATES, pair % _STATES], -1).flatten(-2)
    return number[..., : logits.shape[-1]] == 1


def _categorical(weights: Tensor, generator: Generator) -> Tensor:
    """One index of the last axis, in proportion to the weights; never one whose weight is 0."""
    reached = weights.cumsum(-1)
    # A little below the sum, so that rounding does not lead beyond it.
    mark = uniform(generator, tuple(weights.shape[:-1])) * _BELOW_ONE * reached[..., -1]
    index: Tensor = (reached <= mark[..., None]).sum(-1).clamp(max=weights.shape[-1] - 1)
    return index


@dataclass(frozen=True)
class SlateGrid:
    """Slates whose rows follow each other, in a grid of as many columns as the largest has rows.

    Attributes:
        owner: the slate of each row, ascending.
        place: its place there, from 0.
        slates: how many.
        columns: size of the largest, at least 1.
    """

    owner: Int64[Tensor, "r"]
    place: Int64[Tensor, "r"]
    slates: int
    columns: int

    @classmethod
    def of(cls, owner: Int64[Tensor, "r"], slates: int) -> "SlateGrid":
        """Arrange the rows of so many slates."""
        counts = torch.bincount(owner, minlength=slates)
        place = torch.arange(owner.shape[0], device=owner.device) - (counts.cumsum(0) - counts)[owner]
        return cls(owner, place, slates, max(int(counts.max()), 1) if slates else 1)

    def spread(self, values: Tensor) -> Tensor:
        """Values ``[r, ...]`` of the rows in the grid ``[slates, columns, ...]``; 0 where there is no row."""
        blank = values.new_zeros(self.slates, self.columns, *values.shape[1:])
        return blank.index_put((self.owner, self.place), values)

    def rows(self, grid: Tensor) -> Tensor:
        """The inverse."""
        return grid[self.owner, self.place]

    def mean(self, values: Tensor) -> Tensor:
        """Mean of values ``[r, ...]`` over the rows of each slate; 0 for a slate without any."""
        sums = values.new_zeros(self.slates, *values.shape[1:]).index_add(0, self.owner, values)
        counts = torch.bincount(self.owner, minlength=self.slates).clamp(min=1)
        return sums / counts.reshape(-1, *[1] * (values.ndim - 1))
