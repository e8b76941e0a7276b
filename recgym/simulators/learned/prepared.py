"""A log with everything that the network looks at."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.simulators.learned.steps import Behaviour

__all__ = ["Prepared"]


@dataclass(frozen=True)
class Prepared:
    """A log with everything the network looks at.

    Attributes:
        behaviour: the log as arrays.
        profile: user features, one row a user.
        context: raw item context, one row a row.
        repeats: how often the user consumed a row's item lately.
        row_item: the network's id of each row's item (N if unknown).
        taken_item: the network's id of each consumption's item.
        row_length: length of each row's item in seconds.
    """

    behaviour: Behaviour
    profile: Float32[Tensor, "U P"]
    context: Float32[Tensor, "R X"]
    repeats: Float32[Tensor, "R"]
    row_item: Int64[Tensor, "R"]
    taken_item: Int64[Tensor, "C"]
    row_length: Float32[Tensor, "R"]

    def owner(self, steps: Int64[np.ndarray, "s"]) -> Int64[Tensor, "r"]:
        """Which of the exposures each of their rows belongs to."""
        counts = self.behaviour.step_rows[steps + 1] - self.behaviour.step_rows[steps]
        return torch.from_numpy(np.repeat(np.arange(steps.size), counts))

    def profiles(self, steps: Int64[np.ndarray, "s"]) -> Float32[Tensor, "s P"]:
        """Features of the users of exposures."""
        return self.profile[torch.from_numpy(self.behaviour.step_user[steps])]

    def log_sizes(self, steps: Int64[np.ndarray, "s"]) -> Float32[Tensor, "s"]:
        """Logarithm of the sizes of slates."""
        return torch.from_numpy(np.log(np.maximum(self.behaviour.step_size[steps], 1))).float()
