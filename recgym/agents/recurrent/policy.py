"""A trained recurrent policy, apart from the learner that it came from."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from recgym.agents.base import as_tensors, onto
from recgym.agents.recurrent.collect import ActorState, offer_of
from recgym.agents.recurrent.context import Context
from recgym.agents.recurrent.features import RunningScale, StepFeatures
from recgym.agents.recurrent.network import ActorCritic
from recgym.arrays import device_of, full, gather
from recgym.types import Array, Decision, Generator

__all__ = ["RecurrentPolicy"]


@dataclass(frozen=True)
class RecurrentPolicy:
    """A policy with a memory of each user's steps, as it was when it was taken from its agent.

    Which users share a world is not in an observation: rows are taken to form groups of ``group_size`` neighbours.

    Attributes:
        network: what acts, a copy.
        context: what is known of worlds, a copy.
        features: from observations to vectors.
        scale: of the features, a copy.
        slate_size: K.
        masks: whether consumed items are forbidden.
        group_size: users of one world that stand side by side; 0 for all.
    """

    network: ActorCritic
    context: Context
    features: StepFeatures
    scale: RunningScale
    slate_size: int
    masks: bool
    group_size: int = 0

    def init_state(self, users: int, device: str) -> ActorState:
        """See :class:`recgym.agents.Policy`."""
        return ActorState.first(self.network, self.context, users, self.slate_size, self.features.padding)

    def _groups(self, users: int) -> Int64[Tensor, "B"]:
        rows = torch.arange(users)
        return rows // self.group_size if self.group_size else torch.zeros_like(rows)

    @torch.no_grad()
    def act(
        self, observation: Any, state: ActorState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, ActorState]:
        """See :class:`recgym.agents.Policy`."""
        seen = as_tensors(observation, "cpu")
        features = self.scale(self.features(seen, state.last_slate))
        context = self.context.step(features, self._groups(features.shape[0]), state.context)
        out, memory = self.network.remember(torch.cat([features, context], 1)[None], state.memory)
        distribution = self.network.act(out[0], offer_of(seen, self.masks))
        action = distribution.mode() if greedy else distribution.sample(generator)
        device = device_of(generator)
        if greedy:
            log_propensity: Array = full((action.shape[0],), 0.0, "float32", device)
        else:
            log_propensity = onto(distribution.log_prob(action), device)
        slate = action[:, None] if action.ndim == 1 else action
        if isinstance(seen, dict) and "candidates" in seen:
            slate = gather(seen["candidates"], slate)
        return Decision(onto(action, device), log_propensity), ActorState(memory, slate, context)
