"""Lagrange multipliers of auxiliary responses, which grow as long as a response falls short of the log's."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn

__all__ = ["MultiplierConfig", "Multipliers"]


@dataclass(frozen=True)
class MultiplierConfig:
    """How multipliers learn.

    Attributes:
        initial: value at the start.
        rate: growth an update for a response that falls short by its whole mean.
        largest: multipliers stay below.
        slack: share of a response's mean in the log that may be given up.
    """

    initial: float = 0.1
    rate: float = 0.005
    largest: float = 10.0
    slack: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= self.largest:
            raise ValueError(f"initial must lie in 0..{self.largest:g} (largest), found {self.initial:g}")


class Multipliers(nn.Module):
    """``l_i <- clip(l_i + rate (C_i - J_i) / |C|, 0, largest)``, C_i the mean of response i in the log less the slack.

    J_i is the mean of the response under the actor, estimated from a batch by importance ratios that sum to 1.

    Args:
        config: settings.
        count: auxiliary responses.
    """

    values: Tensor

    def __init__(self, config: MultiplierConfig, count: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("values", torch.full((count,), config.initial))

    def adapt(
        self, ratio: Float32[Tensor, "B"], responses: Float32[Tensor, "B R"], rate: Float32[Tensor, "R"]
    ) -> dict[str, Tensor]:
        """Move on.

        Args:
            ratio: importance ratios.
            responses: scaled, the main one first.
            rate: mean of each in the log.
        """
        found = (ratio @ responses[:, 1:]) / ratio.sum().clamp(min=1e-6)
        size = rate[1:].abs().clamp(min=1e-6)
        short = (rate[1:] - self.config.slack * size - found) / size
        self.values.copy_((self.values + self.config.rate * short).clamp(0.0, self.config.largest))
        return {f"multiplier_{index}": value.clone() for index, value in enumerate(self.values, 1)}
