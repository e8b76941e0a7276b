"""The exact optimum of long-term satisfaction for users whose hidden state is known, by dynamic programming.

It is written from the equations and shares no code with the user model, so that each can be held against the other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

__all__ = ["SatisfactionOracle", "quadrature", "solve"]

_HORIZON, _ACTIONS, _KALE = 140, 30, 4.0
_LEVELS = torch.arange(_ACTIONS, dtype=torch.float64) / _ACTIONS


@dataclass(frozen=True)
class SatisfactionOracle:
    """Value function of U users of ``recgym/LongTermSatisfaction-v0`` on a grid of G exposures each.

    Attributes:
        memory: m of each user.
        sensitivity: s of each user.
        choc: mean engagement with pure clickbait.
        low: first grid point of each user.
        width: spacing of each user's grid.
        values: expected return to come with t steps gone.
    """

    memory: Float64[Tensor, "U"]
    sensitivity: Float64[Tensor, "U"]
    choc: float
    low: Float64[Tensor, "U"]
    width: Float64[Tensor, "U"]
    values: Float64[Tensor, "horizon_plus_1 U G"]

    def action_values(self, exposure: Float64[Tensor, "U X"], step: int) -> Float64[Tensor, "U X A"]:
        """Expected return of each action at some exposures, with ``step`` steps gone."""
        satisfaction = torch.sigmoid(self.sensitivity[:, None] * exposure)
        reward = (_LEVELS * self.choc + (1 - _LEVELS) * _KALE) * satisfaction[:, :, None]
        after = self.memory[:, None, None] * exposure[:, :, None] - 2 * (_LEVELS - 0.5)
        total: Tensor = reward + self._interpolate(self.values[step + 1], after)
        return total

    def _interpolate(self, values: Tensor, exposure: Tensor) -> Tensor:
        place = ((exposure - self.low[:, None, None]) / self.width[:, None, None]).clamp(0, values.shape[1] - 1.000001)
        left = place.long()
        weight = place - left
        flat = left.flatten(1)
        at_left, at_right = values.gather(1, flat), values.gather(1, flat + 1)
        return (at_left + (at_right - at_left) * weight.flatten(1)).reshape(exposure.shape)

    def best_action(self, exposure: Float32[Tensor, "U"], step: int) -> Int64[Tensor, "U"]:
        """The best action of each user."""
        return self.action_values(exposure.double()[:, None], step)[:, 0].argmax(-1)

    def start_value(self) -> Float64[Tensor, "U"]:
        """Expected return of each user's episode, from the first exposure ``0.5 / (1 - m)``."""
        start = 0.5 / (1 - self.memory)
        return self.action_values(start[:, None], 0).amax(-1)[:, 0]


def solve(
    memory: Float32[Tensor, "U"] | Float64[Tensor, "U"],
    sensitivity: Float32[Tensor, "U"] | Float64[Tensor, "U"],
    choc: float,
    grid: int = 161,
) -> SatisfactionOracle:
    """Backward induction over the 140 steps for each user.

    Args:
        memory: m of each user.
        sensitivity: s of each user.
        choc: mean engagement with pure clickbait.
        grid: points of each user's grid of exposures; 81 are exact to 1 in 1000.
    """
    memory, sensitivity = memory.double(), sensitivity.double()
    bound = 1 / (1 - memory)
    low, width = -bound, 2 * bound / (grid - 1)
    exposures = low[:, None] + width[:, None] * torch.arange(grid)
    values = torch.zeros(_HORIZON + 1, memory.shape[0], grid, dtype=torch.float64)
    oracle = SatisfactionOracle(memory, sensitivity, choc, low, width, values)
    for step in reversed(range(_HORIZON)):
        values[step] = oracle.action_values(exposures, step).amax(-1)
    return oracle


def quadrature(nodes: int = 10) -> tuple[Float64[Tensor, "U"], Float64[Tensor, "U"], Float64[Tensor, "U"]]:
    """``nodes**2`` users: m and s at Gauss-Legendre nodes of their distribution, and the weight of each."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    u = torch.as_tensor(1.01 + (points + 1) / 2 * (2.6 - 1.01)).log()
    w = torch.as_tensor(weights / 2)
    memory, sensitivity = torch.meshgrid(u, u, indexing="ij")
    return memory.flatten(), sensitivity.flatten(), torch.outer(w, w).flatten()
