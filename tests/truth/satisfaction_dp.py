"""The exact optimum of long-term satisfaction for users whose hidden state is known, by dynamic programming."""

from dataclasses import dataclass

import numpy as np
import torch

HORIZON, ACTIONS, KALE = 140, 30, 4.0
LEVELS = torch.arange(ACTIONS, dtype=torch.float64) / ACTIONS


@dataclass(frozen=True)
class Oracle:
    """Value function of every user on a grid of exposures.

    Attributes:
        memory, sensitivity: the users, each ``[U]``.
        choc: mean engagement with pure clickbait.
        low, width: first grid point and spacing of each user's grid, each ``[U]``.
        values: value with t steps gone, ``[HORIZON + 1, U, G]``.
    """

    memory: torch.Tensor
    sensitivity: torch.Tensor
    choc: float
    low: torch.Tensor
    width: torch.Tensor
    values: torch.Tensor

    def action_values(self, exposure: torch.Tensor, step: int) -> torch.Tensor:
        """Q values ``[U, X, A]`` of exposures ``[U, X]`` with ``step`` steps gone."""
        satisfaction = torch.sigmoid(self.sensitivity[:, None] * exposure)
        reward = (LEVELS * self.choc + (1 - LEVELS) * KALE) * satisfaction[:, :, None]
        after = self.memory[:, None, None] * exposure[:, :, None] - 2 * (LEVELS - 0.5)
        return reward + self._interpolate(self.values[step + 1], after)

    def _interpolate(self, values: torch.Tensor, exposure: torch.Tensor) -> torch.Tensor:
        place = ((exposure - self.low[:, None, None]) / self.width[:, None, None]).clamp(0, values.shape[1] - 1.000001)
        left = place.long()
        weight = place - left
        flat = left.flatten(1)
        at_left, at_right = values.gather(1, flat), values.gather(1, flat + 1)
        return (at_left + (at_right - at_left) * weight.flatten(1)).reshape(exposure.shape)


def solve(memory: torch.Tensor, sensitivity: torch.Tensor, choc: float, grid: int = 161) -> Oracle:
    """Backward induction over the 140 steps for each user."""
    memory, sensitivity = memory.double(), sensitivity.double()
    bound = 1 / (1 - memory)
    low, width = -bound, 2 * bound / (grid - 1)
    exposures = low[:, None] + width[:, None] * torch.arange(grid)
    values = torch.zeros(HORIZON + 1, memory.shape[0], grid, dtype=torch.float64)
    oracle = Oracle(memory, sensitivity, choc, low, width, values)
    for step in reversed(range(HORIZON)):
        values[step] = oracle.action_values(exposures, step).amax(-1)
    return oracle


def start_value(oracle: Oracle) -> torch.Tensor:
    """Value of each user's first exposure, ``[U]``."""
    start = 0.5 / (1 - oracle.memory)
    return oracle.action_values(start[:, None], 0).amax(-1)[:, 0]


def quadrature(nodes: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Users ``m``, ``s`` at Gauss-Legendre nodes of their distribution, and the weight of each, ``[nodes**2]``."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    u = torch.as_tensor(1.01 + (points + 1) / 2 * (2.6 - 1.01)).log()
    w = torch.as_tensor(weights / 2)
    memory, sensitivity = torch.meshgrid(u, u, indexing="ij")
    return memory.flatten(), sensitivity.flatten(), torch.outer(w, w).flatten()
