"""The best slate of K items for users who pick at most one of them.

The value of a slate A beyond that of picking nothing is ``f(A) = sum_A v_i q_i / (v_0 + sum_A v_i)``: item i is picked
in proportion to its weight v_i, nothing in proportion to v_0, and q_i is what picking i is worth more than nothing.

Source: SlateQ (arXiv 1905.12767), section 5; RecSim (arXiv 1909.04847), ``agents/slate_decomp_q_agent.py``.
"""

from enum import StrEnum
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

__all__ = ["Optimiser", "Pickings", "exact", "greedy", "slate_value", "top_k"]

_FORBIDDEN = -1e9
"""Of what must not be shown: finite, so that it still fills the slate of a user who is allowed fewer than K items."""
_TAKEN = 2 * _FORBIDDEN
_MOST_ROUNDS = 50


class Pickings(NamedTuple):
    """What is known of the candidates of each user.

    Attributes:
        weight: v_i, above 0.
        null_weight: v_0, above 0.
        gain: q_i, of either sign.
        allowed: which candidates may be shown; where fewer than K may, others fill the slate.
    """

    weight: Float[Tensor, "B M"]
    null_weight: Float[Tensor, "B"]
    gain: Float[Tensor, "B M"]
    allowed: Bool[Tensor, "B M"]


def slate_value(pickings: Pickings, slate: Int64[Tensor, "B K"]) -> Float[Tensor, "B"]:
    """The value f of each user's slate, which names columns of the candidates."""
    weight, gain = pickings.weight.gather(1, slate), pickings.gain.gather(1, slate)
    return (weight * gain).sum(1) / (pickings.null_weight + weight.sum(1))


def _largest(scores: Float[Tensor, "B M"], pickings: Pickings, size: int) -> Int64[Tensor, "B K"]:
    return scores.masked_fill(~pickings.allowed, _FORBIDDEN).topk(size, 1).indices


def top_k(pickings: Pickings, size: int) -> Int64[Tensor, "B K"]:
    """The K items with the largest ``v_i q_i``, as though picking one took nothing from the others."""
    return _largest(pickings.weight * pickings.gain, pickings, size)


def greedy(pickings: Pickings, size: int) -> Int64[Tensor, "B K"]:
    """Item by item, the one with which the slate so far is worth most."""
    weight, worth = pickings.weight, pickings.weight * pickings.gain
    total, mass = torch.zeros_like(worth[:, :1]), pickings.null_weight[:, None]
    closed = torch.where(pickings.allowed, 0.0, _FORBIDDEN)
    slate = []
    for _ in range(size):
        pick = ((total + worth) / (mass + weight) + closed).argmax(1, keepdim=True)
        total, mass = total + worth.gather(1, pick), mass + weight.gather(1, pick)
        closed = closed.scatter(1, pick, _TAKEN)
        slate.append(pick)
    return torch.cat(slate, 1)


def exact(pickings: Pickings, size: int) -> Int64[Tensor, "B K"]:
    """The best slate of all, by Dinkelbach's method, best items first.

    A slate is worth more than l exactly if ``sum_A v_i (q_i - l) > l v_0``, and for a given l the left side is largest
    for the K items with the largest ``v_i (q_i - l)``. So l is raised to the value of the slate found last until it
    rises no more: each round is a better slate, and a handful of rounds is usual.

    Source: Dinkelbach, On nonlinear fractional programming, Management Science 13 (1967).
    """
    slate = top_k(pickings, size)
    value = slate_value(pickings, slate)
    for _ in range(_MOST_ROUNDS):
        other = _largest(pickings.weight * (pickings.gain - value[:, None]), pickings, size)
        reached = slate_value(pickings, other)
        better = reached > value
        if not bool(better.any()):
            break
        slate, value = torch.where(better[:, None], other, slate), torch.where(better, reached, value)
    return slate


class Optimiser(StrEnum):
    """How the slate of the largest value is looked for."""

    TOP_K = "top-k"
    """The largest ``v_i q_i``: fast, and blind to what items take from each other."""
    GREEDY = "greedy"
    """Item by item, each the best addition."""
    EXACT = "exact"
    """The best slate."""

    def solve(self, pickings: Pickings, size: int) -> Int64[Tensor, "B K"]:
        """Columns of K different candidates for each user.

        Args:
            pickings: what is known of the candidates.
            size: K.
        """
        return _SOLVERS[self](pickings, size)


_SOLVERS = {Optimiser.TOP_K: top_k, Optimiser.GREEDY: greedy, Optimiser.EXACT: exact}
