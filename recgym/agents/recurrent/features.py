"""What a recurrent policy is shown of each step: one vector, made from the observation and the last slate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.arrays import to_numpy
from recgym.envs.task import Task

__all__ = ["RunningScale", "StepFeatures", "symlog"]

_KNOWN = ("profile", "history_items", "history_feedback", "history_gap_s", "candidates")
_NOW_S = 1e-3


def symlog(values: Tensor) -> Tensor:
    """``sign(x) log(1 + |x|)``."""
    return values.sign() * values.abs().log1p()


class StepFeatures:
    """Turns a batched observation into vectors ``[B, D]``.

    ==========================  ========================================================================================
    flat observation            the observation, and again on a logarithmic scale
    history observation         profile; of the items consumed in the last step and of the whole window: mean features,
                                mean feedback, number; time since the newest event; further scalars, on a logarithmic
                                scale
    state of an encoder         profile, state; time since the newest event and how far the episode is, on a logarithmic
                                scale
    all                         mean features of the last slate shown (the last action); 0 before the first
    ==========================  ========================================================================================

    Args:
        task: says what observations hold.
    """

    def __init__(self, task: Task) -> None:
        features = to_numpy(task.model.on("cpu").item_features).astype(np.float32)
        spread = features.std(0)
        scaled = (features - features.mean(0)) / np.where(spread > 1e-6, spread, 1.0)
        self.items = torch.from_numpy(np.concatenate([scaled, np.zeros_like(scaled[:1])]).astype(np.float32))
        self.padding = int(features.shape[0])

    def __call__(self, observation: Any, last_slate: Int64[Tensor, "B K"]) -> Float32[Tensor, "B D"]:
        """The vectors, not scaled yet.

        Args:
            observation: of the environment, as tensors.
            last_slate: item ids shown one step before; N where there was no step.
        """
        shown = self.items[last_slate].mean(1)
        if isinstance(observation, Mapping):
            parts = self._of_state(observation) if "state" in observation else self._of_history(observation)
            return torch.cat([*parts, shown], 1)
        return torch.cat([observation, symlog(observation), shown], 1)

    def _of_state(self, observation: Mapping[str, Tensor]) -> list[Tensor]:
        parts = [observation[key].float() for key in ("profile", "state") if key in observation]
        return parts + [symlog(observation[key].float()) for key in ("since_s", "progress") if key in observation]

    def _of_history(self, observation: Mapping[str, Tensor]) -> list[Tensor]:
        items, gap = observation["history_items"], observation["history_gap_s"]
        feedback = symlog(observation["history_feedback"])
        there = (items != self.padding).float()
        now = there * (gap < _NOW_S)
        vectors = self.items[items]
        parts = [observation["profile"].float()] if "profile" in observation else []
        for weight in (now, there):
            count = weight.sum(1, keepdim=True)
            share = (weight / count.clamp(min=1))[:, None]
            parts += [(share @ vectors)[:, 0], (share @ feedback)[:, 0], count.log1p()]
        parts.append(gap[:, -1:].log1p() * there[:, -1:])
        others = [value for key, value in sorted(observation.items()) if key not in _KNOWN]
        return parts + [symlog(value.float().reshape(value.shape[0], -1)) for value in others]


class RunningScale:
    """Running mean and variance of each feature, over all that was seen.

    Args:
        width: D.

    Attributes:
        count: vectors seen.
        mean: of each feature.
        square: mean of each feature's square.
    """

    def __init__(self, width: int) -> None:
        self.count = 0.0
        self.mean = torch.zeros(width, dtype=torch.float64)
        self.square = torch.ones(width, dtype=torch.float64)

    def update(self, values: Float32[Tensor, "*n D"]) -> None:
        """Take further vectors into account."""
        flat = values.reshape(-1, values.shape[-1]).double()
        total = self.count + flat.shape[0]
        share = flat.shape[0] / total
        self.mean += share * (flat.mean(0) - self.mean)
        self.square = (1 - share if self.count else 0.0) * self.square + share * flat.square().mean(0)
        self.count = total

    def __call__(self, values: Float32[Tensor, "*n D"]) -> Float32[Tensor, "*n D"]:
        """``(x - mean) / deviation``, cut at 8; what never varied is only centred."""
        spread = (self.square - self.mean.square()).clamp(min=0).sqrt()
        scale = torch.where(spread > 1e-6, spread, 1.0)
        return ((values - self.mean.float()) / scale.float()).clamp(-8.0, 8.0)

    def to_tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"count": torch.tensor(self.count, dtype=torch.float64), "mean": self.mean, "square": self.square}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "RunningScale":
        """The inverse of :meth:`to_tensors`."""
        scale = cls(int(tensors["mean"].shape[0]))
        scale.count, scale.mean, scale.square = float(tensors["count"]), tensors["mean"], tensors["square"]
        return scale
