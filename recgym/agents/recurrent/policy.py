"""A trained recurrent policy, apart from the learner that it came from."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from recgym.agents.base import as_tensors
from recgym.agents.recurrent.collect import ActorState, offer_of
from recgym.agents.recurrent.context import Context
from recgym.agents.recurrent.features import RunningScale, StepFeatures
from recgym.agents.recurrent.network import ActorCritic
from recgym.agents.sb3.distributions import ActionDistribution, decide, likelihood
from recgym.arrays import gather
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

    def _look(self, observation: Any, state: ActorState) -> tuple[Any, ActionDistribution, ActorState]:
        """What is seen, the distribution of actions, and the state but for what will be shown."""
        seen = as_tensors(observation, "cpu")
        features = self.scale(self.features(seen, state.last_slate))
        context = self.context.step(features, self._groups(features.shape[0]), state.context)
        out, memory = self.network.remember(torch.cat([features, context], 1)[None], state.memory)
        distribution: ActionDistribution = self.network.act(out[0], offer_of(seen, self.masks))
        return seen, distribution, ActorState(memory, state.last_slate, context)

    @torch.no_grad()
    def act(
        self, observation: Any, state: ActorState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, ActorState]:
        """See :class:`recgym.agents.Policy`."""
        seen, distribution, after = self._look(observation, state)
        decision = decide(distribution, generator, greedy)
        return decision, after._replace(last_slate=_shown(seen, torch.as_tensor(decision.action)))

    @torch.no_grad()
    def log_prob(
        self, observation: Any, action: Array, state: ActorState, greedy: bool = False
    ) -> tuple[Array, ActorState]:
        """See :class:`recgym.agents.LikelihoodPolicy`."""
        seen, distribution, after = self._look(observation, state)
        shown = _shown(seen, torch.as_tensor(action))
        return likelihood(distribution, action, greedy), after._replace(last_slate=shown)


def _shown(seen: Any, action: Tensor) -> Int64[Tensor, "B K"]:
    """The item ids that an action shows."""
    slate = action[:, None] if action.ndim == 1 else action
    return gather(seen["candidates"], slate) if isinstance(seen, dict) and "candidates" in seen else slate
