"""The networks of a recurrent policy: a memory of the user's own steps, a distribution of actions and a value."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.recurrent.config import RecurrentPPOConfig
from recgym.agents.sb3.distributions import Slates
from recgym.agents.sb3.networks import ItemTable, LogitHead, PointerHead
from recgym.arrays import to_numpy
from recgym.envs.task import Task

__all__ = ["ActorCritic", "Memory", "OrderedHead", "make_head"]

_SPREAD = (0.02, 1.0)
_FIRST_SPREAD = -1.2
_ITEM_WIDTH = 32


class Memory(NamedTuple):
    """The LSTM's state, a row a user; both have width 0 without a memory."""

    hidden: Float32[Tensor, "B H"]
    cell: Float32[Tensor, "B H"]


class OrderedHead(nn.Module):
    """A bell curve over levels: ``logit_a = -((level_a - m) / s)^2 / 2`` with m and s from the state.

    Neighbouring levels share what is learned of either, and exploration has one width that shrinks as the policy
    becomes sure.

    Args:
        inputs: width of the state.
        levels: of each action, in [0, 1].
    """

    levels: Tensor

    def __init__(self, inputs: int, levels: Float32[np.ndarray, "M"]) -> None:
        super().__init__()
        self.register_buffer("levels", torch.as_tensor(levels))
        self.query = nn.Linear(inputs, 2)

    def forward(self, state: Float32[Tensor, "n S"], offer: Mapping[str, Tensor]) -> Slates:
        """The distribution of actions."""
        centre, spread = self.query(state).split(1, -1)
        spread = torch.exp(spread + _FIRST_SPREAD).clamp(*_SPREAD)
        logits: Tensor = -0.5 * ((self.levels - centre.sigmoid()) / spread).square()
        return Slates(logits[:, None])


def make_head(task: Task, inputs: int, ordered: bool) -> nn.Module:
    """The head that suits the actions of a task.

    Raises:
        ValueError: actions are no items, or are to be ordered and cannot be.
    """
    if task.action != "items":
        raise ValueError(f"{task.name}: this agent chooses items, found action={task.action!r}")
    features = to_numpy(task.model.on("cpu").item_features)
    if ordered:
        if task.slate_size != 1 or task.sizes.candidates_vary:
            raise ValueError(f"{task.name}: ordered actions need slates of one item from the full catalogue")
        levels = features[:, 0]
        low, high = float(levels.min()), float(levels.max())
        return OrderedHead(inputs, ((levels - low) / max(high - low, 1e-9)).astype(np.float32))
    if isinstance(task.observer.space(task.sizes), spaces.Dict):
        table = ItemTable(features)
        return PointerHead(inputs, task.slate_size, table, _ITEM_WIDTH, task.mask_consumed)
    return LogitHead(inputs, task.slate_size, task.num_candidates)


def _mlp(inputs: int, hidden: tuple[int, ...]) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for width in hidden:
        linear = nn.Linear(inputs, width)
        nn.init.orthogonal_(linear.weight, math.sqrt(2))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers), inputs


class ActorCritic(nn.Module):
    """Policy and value on top of one memory.

    ``x`` is the step's features beside the context; ``h`` what the LSTM makes of all of the user's steps so far. Policy
    and value each have layers of their own on ``[x, h]``.

    Args:
        features: width of a step's features.
        context: width of the context; 0 for none.
        task: says what actions are.
        config: settings.
    """

    def __init__(self, features: int, context: int, task: Task, config: RecurrentPPOConfig) -> None:
        super().__init__()
        inputs = features + context
        self.width = config.memory
        self.lstm = nn.LSTM(inputs, config.memory) if config.memory else None
        self.actor, width = _mlp(inputs + config.memory, config.hidden)
        self.critic, _ = _mlp(inputs + config.memory, config.hidden)
        self.head = make_head(task, width, config.ordered)
        self.value = nn.Linear(width, 1)
        query = self.head.query
        assert isinstance(query, nn.Linear)
        # A first policy that hardly depends on the state: what it then prefers, it has learned.
        nn.init.orthogonal_(query.weight, 0.01)
        nn.init.zeros_(query.bias)
        nn.init.orthogonal_(self.value.weight, 1.0)
        nn.init.zeros_(self.value.bias)

    def start(self, users: int) -> Memory:
        """The memory of users at the start of an episode."""
        device = self.value.weight.device
        return Memory(torch.zeros(users, self.width, device=device), torch.zeros(users, self.width, device=device))

    def remember(self, inputs: Float32[Tensor, "L n I"], memory: Memory) -> tuple[Float32[Tensor, "L n S"], Memory]:
        """Inputs with what the memory adds, step by step, and the memory after the last step."""
        if self.lstm is None:
            return inputs, memory
        out, (hidden, cell) = self.lstm(inputs, (memory.hidden[None], memory.cell[None]))
        return torch.cat([inputs, out], -1), Memory(hidden[0], cell[0])

    def act(self, state: Float32[Tensor, "n S"], offer: Mapping[str, Tensor]) -> Slates:
        """The distribution of actions."""
        distribution: Slates = self.head(self.actor(state), offer)
        return distribution

    def worth(self, state: Float32[Tensor, "n S"]) -> Float32[Tensor, "n"]:
        """The scaled value."""
        value: Tensor = self.value(self.critic(state))
        return value[:, 0]
