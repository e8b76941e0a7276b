"""Getting to know the world that users share from what all of them show: SADAE as a policy's context.

Source: Sim2Rec (arXiv 2305.04832), sections 4.2 and 4.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.agents.descent import descend
from recgym.arrays import integers
from recgym.encoders.sadae import SADAE, SADAEConfig
from recgym.types import Generator

__all__ = ["WorldConfig", "WorldContext"]


@dataclass(frozen=True)
class WorldConfig:
    """How a policy gets to know worlds.

    Attributes:
        encoder: of the sets of users. The evidence bound of whole sets (``elements_weight`` 100) in place of that of a
            single element: with the latter v forgets what little worlds differ in as soon as users differ more.
        first_updates: steps of the encoder's optimiser before the policy learns.
        updates: steps after each rollout, so that v keeps up with the states that the policy leads to.
        smallest_set: a group of fewer users keeps its last v, which at the start is the prior's mean.
    """

    encoder: SADAEConfig = field(default_factory=lambda: SADAEConfig(elements_weight=100.0))
    first_updates: int = 300
    updates: int = 4
    smallest_set: int = 2

    def __post_init__(self) -> None:
        for name in ("first_updates", "updates", "smallest_set"):
            if getattr(self, name) < (name == "smallest_set"):
                raise ValueError(f"{name} must not be negative (smallest_set at least 1), found {getattr(self, name)}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "WorldConfig":
        """The inverse of ``dataclasses.asdict``."""
        encoder = {**value["encoder"], "widths": tuple(value["encoder"]["widths"])}
        return cls(**{**value, "encoder": SADAEConfig(**encoder)})


class WorldContext:
    """v of each user's group, as a :class:`recgym.agents.recurrent.Context`: the mean of SADAE's posterior.

    The set of a step is what all users of the group show in it, observation and last action. The encoder learns from
    its own objective alone; the policy's loss does not reach it.

    Args:
        config: settings.
        width: D, width of a step's features.
    """

    def __init__(self, config: WorldConfig, width: int) -> None:
        self.config = config
        self.encoder = SADAE(width, config.encoder)
        self._optimiser = torch.optim.AdamW(
            self.encoder.parameters(), lr=config.encoder.step_size, weight_decay=config.encoder.weight_decay
        )

    @property
    def width(self) -> int:
        """See :class:`recgym.agents.recurrent.Context`."""
        return self.config.encoder.latent

    def start(self, users: int) -> Float32[Tensor, "B L"]:
        """See :class:`recgym.agents.recurrent.Context`."""
        return torch.zeros(users, self.width)

    @torch.no_grad()
    def step(
        self, features: Float32[Tensor, "B D"], group: Int64[Tensor, "B"], last: Float32[Tensor, "B L"]
    ) -> Float32[Tensor, "B L"]:
        """See :class:`recgym.agents.recurrent.Context`."""
        size = torch.bincount(group)
        enough = (size >= self.config.smallest_set)[group]
        if not bool(enough.any()):
            return last
        latent = self.encoder(features, group, size.shape[0]).mean[group]
        return torch.where(enough[:, None], latent, last)

    def begin(self, features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], generator: Generator) -> None:
        """See :class:`recgym.agents.recurrent.Context`."""
        self._update(features, group, self.config.first_updates, generator)

    def learn(self, features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], generator: Generator) -> float:
        """See :class:`recgym.agents.recurrent.Context`."""
        return self._update(features, group, self.config.updates, generator)

    def _update(self, features: Tensor, group: Tensor, updates: int, generator: Generator) -> float:
        """Train on sets drawn from random steps and groups; returns the mean loss."""
        total = 0.0
        for _ in range(updates):
            loss = self.encoder.loss(_draw_sets(features, group, self.config.encoder, generator), generator)
            descend(self._optimiser, loss, 10.0)
            total += loss.item()
        return total / max(updates, 1)

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """See :class:`recgym.agents.recurrent.Context`."""
        return {"world": self.encoder.state_dict(), "world_optimizer": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, dict[str, Any]]) -> None:
        """See :class:`recgym.agents.recurrent.Context`."""
        self.encoder.load_state_dict(state["world"])
        self._optimiser.load_state_dict(state["world_optimizer"])


def _draw_sets(
    features: Float32[Tensor, "T B D"], group: Int64[Tensor, "T B"], config: SADAEConfig, generator: Generator
) -> Float32[Tensor, "G n D"]:
    """Sets of users of one world at one step: a random user's group at a random step, its members with replacement."""
    step = integers(generator, features.shape[0], (config.sets,))
    someone = integers(generator, features.shape[1], (config.sets,))
    member = group[step] == group[step, someone][:, None]
    count = member.sum(1, keepdim=True)
    rank = (torch.rand(config.sets, config.set_size, generator=generator) * count).long()
    order = member.float().argsort(dim=1, descending=True, stable=True)
    return features[step[:, None], order.gather(1, rank)]
