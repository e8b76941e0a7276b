"""Behaviour cloning, of all that is on record or of its best episodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recgym.agents.descent import descend, frozen
from recgym.agents.offline.networks import ActorNetwork, Parts
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.offline.returns import episode_returns
from recgym.agents.sb3.config import NetworkConfig
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["BC", "BCConfig"]


@dataclass(frozen=True)
class BCConfig:
    """Settings of :class:`BC`.

    Attributes:
        best: share of the episodes that is imitated, those of the highest return; "10 % BC" is 0.1.
        learning_rate: of Adam.
        batch_size: steps in an update.
        network: the network.
    """

    name: ClassVar[str] = "bc"

    best: float = 1.0
    learning_rate: float = 1e-3
    batch_size: int = 256
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not 0 < self.best <= 1:
            raise ValueError(f"best is a share of the episodes in (0, 1], found {self.best}")

    def learner(self, parts: Parts) -> "BC":
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        return BC(self, parts)


class BC:
    """Maximises the likelihood of the logged actions: ``loss = -mean log pi(a | s)``.

    Args:
        config: settings.
        parts: of the networks.
    """

    def __init__(self, config: BCConfig, parts: Parts) -> None:
        self.config = config
        self.module: nn.Module = ActorNetwork(parts)
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "optimiser": torch.optim.Adam(self.module.parameters(), lr=config.learning_rate)
        }
        self._best: tuple[TransitionStore, TransitionStore] | None = None

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        self.module.state.look(store)  # type: ignore[union-attr,operator]

    def _imitated(self, store: TransitionStore) -> TransitionStore:
        """The best episodes; worked out once for a store."""
        if self.config.best == 1.0:
            return store
        if self._best is None or self._best[0] is not store:
            count = max(1, round(self.config.best * len(store.episodes)))
            best = np.argsort(-episode_returns(store), kind="stable")[:count]
            self._best = (store, store.subset(best))
        return self._best[1]

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        imitated = self._imitated(store)
        points = imitated.draw(self.config.batch_size, generator)
        loss = -self.module(imitated.observations(points)).log_prob(imitated.actions(points)).mean()
        descend(self.optimisers["optimiser"], loss)
        return {"loss": loss.detach()}

    def policy(self) -> NetworkPolicy:
        """See :class:`recgym.agents.offline.Learner`."""
        return NetworkPolicy(frozen(self.module))
