"""What becomes a token: returns-to-go and actions."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from recgym.agents.sb3.networks import ItemTable
from recgym.data.transitions import Problem

__all__ = ["ActionInputs", "Buckets", "BucketReturns", "Linear", "LinearReturns", "ReturnEmbedding", "shown_items"]


@runtime_checkable
class ReturnEmbedding(Protocol):
    """Settings of how returns-to-go become vectors."""

    def build(self, parts: int, width: int) -> nn.Module:
        """A fresh module, from ``[n, V]`` to ``[n, d]``."""
        ...


@dataclass(frozen=True)
class Linear:
    """A linear map, as in the Decision Transformer."""

    def build(self, parts: int, width: int) -> "LinearReturns":
        """See :class:`ReturnEmbedding`."""
        return LinearReturns(parts, width)


@dataclass(frozen=True)
class Buckets:
    """A mixture of learned vectors, one a bucket of returns, as in DT4Rec and DT4IER.

    Attributes:
        count: buckets.
        sharpness: standard deviation of the first weights; at 0 all returns would be mixed alike.
    """

    count: int = 100
    sharpness: float = 3.0

    def build(self, parts: int, width: int) -> "BucketReturns":
        """See :class:`ReturnEmbedding`."""
        return BucketReturns(parts, width, self.count, self.sharpness)


class LinearReturns(nn.Module):
    """``W R + b``.

    Args:
        parts: V.
        width: d.
    """

    def __init__(self, parts: int, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(parts, width)

    def forward(self, returns: Float32[Tensor, "n V"]) -> Float32[Tensor, "n d"]:
        """One vector a row."""
        out: Tensor = self.map(returns)
        return out


class BucketReturns(nn.Module):
    """``sum_b softmax(W R + c)_b M_b``: neighbouring returns share buckets, so that their vectors are alike.

    Args:
        parts: V.
        width: d.
        count: buckets.
        sharpness: see :class:`Buckets`.
    """

    def __init__(self, parts: int, width: int, count: int, sharpness: float) -> None:
        super().__init__()
        self.weight = nn.Linear(parts, count)
        nn.init.normal_(self.weight.weight, std=sharpness)
        nn.init.normal_(self.weight.bias, std=sharpness)
        self.buckets = nn.Parameter(torch.randn(count, width))

    def forward(self, returns: Float32[Tensor, "n V"]) -> Float32[Tensor, "n d"]:
        """One vector a row."""
        out: Tensor = self.weight(returns).softmax(-1) @ self.buckets
        return out


def shown_items(observation: dict[str, Tensor], action: Tensor) -> Tensor:
    """Ids ``[n, K]`` of the items that candidate indices ``[n]`` or ``[n, K]`` stand for."""
    index = action.long().reshape(len(action), -1)
    return observation["candidates"].long().gather(1, index) if "candidates" in observation else index


class ActionInputs(nn.Module):
    """Actions as numbers: the features of the chosen items in order, a preference vector, or which index it was.

    Args:
        problem: what an action is.
        table: the items' features; None where observations do not say what is on offer.
    """

    def __init__(self, problem: Problem, table: ItemTable | None) -> None:
        super().__init__()
        self.table, self.preference = table, problem.action == "preference"
        self.candidates = problem.num_candidates
        one = problem.num_candidates if table is None else table.width
        self.width = problem.features if self.preference else problem.slate_size * one

    def forward(self, observation: Any, action: Tensor) -> Float32[Tensor, "n A"]:
        """One row an action."""
        if self.preference:
            return action.float()
        if self.table is None:
            chosen = functional.one_hot(action.long().reshape(len(action), -1), self.candidates)
            return chosen.float().flatten(1)
        features: Tensor = self.table(shown_items(observation, action)).flatten(1)
        return features
