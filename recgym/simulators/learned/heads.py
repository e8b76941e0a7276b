"""How answers are distributed that are 0 or 1; amounts and ratings are in :mod:`recgym.simulators.learned.cells`.

The numbers (*parameters*) come from the response network, one row an item shown. All functions work on any leading
shape.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from torch import Tensor

from recgym.arrays import uniform
from recgym.types import Generator

__all__ = ["BinaryHead", "RestHead"]


@dataclass(frozen=True)
class BinaryHead:
    """0 or 1: one logit."""

    width = 1
    logits = (0,)
    relative = False

    def nll(self, parameters: Tensor, number: Tensor) -> Tensor:
        """Binary cross-entropy on the logit."""
        loss: Tensor = nnf.binary_cross_entropy_with_logits(parameters[..., 0], number, reduction="none")
        return loss

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Bernoulli draws."""
        one: Tensor = uniform(generator, tuple(parameters.shape[:-1])) < parameters[..., 0].sigmoid()
        return one.float()

    def mean(self, parameters: Tensor) -> Tensor:
        """The probability of 1."""
        return parameters[..., 0].sigmoid()

    def positive(self, parameters: Tensor) -> Tensor:
        """The probability of a value above 0."""
        return self.mean(parameters)


@dataclass(frozen=True)
class RestHead:
    """1 for certain, given that none of the channels that exclude it is 1: nothing is left to learn."""

    width = 0
    logits = ()
    relative = False

    def nll(self, parameters: Tensor, number: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(number)

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Ones."""
        return torch.ones(parameters.shape[:-1], device=parameters.device)

    def mean(self, parameters: Tensor) -> Tensor:
        """1."""
        return torch.ones(parameters.shape[:-1], device=parameters.device)

    def positive(self, parameters: Tensor) -> Tensor:
        """1."""
        return self.mean(parameters)
