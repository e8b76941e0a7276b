"""Values of what is shown in a state, where the outcome of one showing says too little."""

from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.offline.networks import ActorNetwork, Parts, StateNetwork, ValueNetwork
from recgym.agents.sb3.distributions import Slates
from recgym.agents.sb3.networks import mlp

__all__ = ["ActionValues"]


class ActionValues(nn.Module):
    """Q(s, a).

    For items it is a value of the state and one of each shown item at its position, added up; for preference vectors a
    network of state and vector.

    Args:
        parts: of the agent.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.preference = parts.problem.action == "preference"
        if self.preference:
            self.state = StateNetwork(parts)
            body, latent = mlp(self.state.width + parts.problem.features, parts.config.hidden, nn.ReLU)
            self.value = nn.Sequential(body, nn.Linear(latent, 1))
        else:
            self.base, self.scores = ValueNetwork(parts), ActorNetwork(parts)

    def forward(self, observation: Any, action: Tensor) -> Float32[Tensor, "B"]:
        """The values."""
        if self.preference:
            both = torch.cat([self.state(observation), action], 1)
            value: Tensor = self.value(both)[:, 0]
            return value
        scores = self.scores(observation)
        assert isinstance(scores, Slates)
        picks = action.reshape(len(action), -1)
        shown = scores.logits.gather(2, picks[:, :, None])[:, :, 0].sum(1)
        total: Tensor = self.base(observation)[:, 0] + shown
        return total
