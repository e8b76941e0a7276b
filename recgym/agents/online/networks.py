"""Networks that agents with a replay buffer share."""

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.offline.networks import Parts, StateNetwork
from recgym.agents.offline.problem import problem_of
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.networks import mlp
from recgym.arrays import to_numpy
from recgym.envs.task import Task

__all__ = ["ActionValue", "follow", "parts_of"]


def parts_of(task: Task, config: NetworkConfig) -> Parts:
    """What networks for a task are built from."""
    return Parts(problem_of(task), to_numpy(task.model.on("cpu").item_features), config)


class ActionValue(nn.Module):
    """What an action that is a vector is worth: ``Q(s, a)``.

    Args:
        parts: of the agent.
        width: of actions.
    """

    def __init__(self, parts: Parts, width: int) -> None:
        super().__init__()
        self.state = StateNetwork(parts)
        self.body, latent = mlp(self.state.width + width, parts.config.hidden, nn.ReLU)
        self.value = nn.Linear(latent, 1)

    def forward(self, observation: dict[str, Tensor], action: Float32[Tensor, "B W"]) -> Float32[Tensor, "B"]:
        """The values."""
        value: Tensor = self.value(self.body(torch.cat([self.state(observation), action], 1)))[:, 0]
        return value


@torch.no_grad()
def follow(target: nn.Module, network: nn.Module, tau: float) -> None:
    """Move the weights of a target network by a share ``tau`` towards those of another; buffers are copied."""
    torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), tau)
    for kept, now in zip(target.buffers(), network.buffers(), strict=True):
        kept.copy_(now)
