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
        return self.at(parameters, uniform(generator, tuple(parameters.shape[:-1])))

    def at(self, parameters: Tensor, place: Tensor) -> Tensor:
        """The value at a place between 0 and 1 of the distribution: 1 at large ones."""
        one: Tensor = place >= torch.sigmoid(-parameters[..., 0])
        return one.float()

    def place(self, parameters: Tensor, number: Tensor, within: Tensor) -> Tensor:
        """A place at which :meth:`at` is the number; ``within`` (0 to 1) says where in that range."""
        zero = torch.sigmoid(-parameters[..., 0])
        return torch.where(number > 0, zero + (1 - zero) * within, zero * within)

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

    def at(self, parameters: Tensor, place: Tensor) -> Tensor:
        """1 everywhere."""
        return torch.ones_like(place)

    def place(self, parameters: Tensor, number: Tensor, within: Tensor) -> Tensor:
        """Anywhere."""
        return within

    def mean(self, parameters: Tensor) -> Tensor:
        """1."""
        return torch.ones(parameters.shape[:-1], device=parameters.device)

    def positive(self, parameters: Tensor) -> Tensor:
        """1."""
        return self.mean(parameters)
