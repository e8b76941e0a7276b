"""SlateQ on many simulated users in one batch."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from recgym.agents.descent import descend, frozen
from recgym.agents.online.base import Choice
from recgym.agents.online.replay import Experience, Replay
from recgym.agents.slateq.config import SlateQConfig
from recgym.agents.slateq.learning import losses, unit_of
from recgym.agents.slateq.network import SlateQNetwork
from recgym.agents.slateq.policy import SlateQPolicy, slates
from recgym.agents.slateq.replay import Transitions
from recgym.agents.slateq.slates import Optimiser
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.types import Generator

__all__ = ["SlateQ"]


class SlateQ:
    """Values of items and a model of what users pick, learned on simulated users who pick at most one item of a slate.

    A position of the slate counts as picked if the user gave it any feedback. What is learned from a step is said at
    :class:`SlateQConfig`; a step without a pick belongs to the null item (``NullItem``). Differences from RecSim's
    agent (``agents/slate_decomp_q_agent.py``, arXiv 1909.04847):

    1. The choice model is learned from what users pick; RecSim's is given the true one, weights and null weight.
    2. The null item has a value of its own unless ``NullItem.WORTHLESS`` asks for RecSim's rule.
    3. Users are stepped side by side and values learned in larger batches; the next slate of Q-learning is found with
       the network that learns and judged with the label network; the learning rate falls.
    4. The state holds the visible history beside the profile, and values are dot products of state and item beside a
       common part, in place of layers over user and document side by side.

    Args:
        config: settings.
        task: what to learn.

    Raises:
        ValueError: the agent cannot learn the task.
    """

    def __init__(self, config: SlateQConfig, task: Task) -> None:
        if task.action != "items":
            raise ValueError(f"{task.name}: slateq chooses items, found action {task.action!r}")
        self.config, self.task = config, task
        self.network = SlateQNetwork(task, config)
        self.label = copy.deepcopy(self.network).requires_grad_(False)
        self.module: nn.Module = nn.ModuleDict({"network": self.network, "label": self.label})
        self.module.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self._rates = (config.learning_rate, config.choice_rate)
        groups = [{"params": g, "lr": rate} for g, rate in zip(self.network.groups(), self._rates, strict=True)]
        self.optimisers: dict[str, torch.optim.Optimizer] = {"optimiser": torch.optim.Adam(groups)}

    def explore(self, observation: Any, share: float | None, generator: Generator) -> Choice:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        epsilon = 1.0 if share is None else self.config.epsilon_at(share)
        size = self.task.slate_size
        slate = slates(self.network, observation, self.config.serving, size, epsilon).sample(generator)
        return Choice(slate[:, 0] if size == 1 else slate, {"slate": slate})

    def keep(self, transition: Transition) -> dict[str, Tensor]:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        return {"picked": _picked(transition.response.feedback, self.task.name)}

    def begin(self, replay: Replay, generator: Generator) -> None:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        for network in (self.network, self.label):
            network.unit.fill_(unit_of(replay, self.config))

    def update(self, batch: Experience, share: float, generator: Generator) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        config, optimiser = self.config, self.optimisers["optimiser"]
        left = config.final_rate + (1 - config.final_rate) * (1 - share)
        for settings, rate in zip(optimiser.param_groups, self._rates, strict=True):
            settings["lr"] = rate * left
        found = losses(self.network, self.label, Transitions.of(batch), config)
        descend(optimiser, found.value + found.choice, config.max_grad_norm)
        updates: Any = self.module.updates
        updates += 1
        if int(updates) % config.label_every == 0:
            self.label.load_state_dict(self.network.state_dict())
        return {"value": found.value.detach(), "choice": found.choice.detach()}

    def policy(self, serving: Optimiser | None = None) -> SlateQPolicy:
        """The policy as it is now; later learning does not change it.

        Args:
            serving: finds the slates; the settings' own if None.
        """
        network = frozen(self.network)
        return SlateQPolicy(network, serving or self.config.serving, self.task.slate_size, self.config.epsilon)


def _picked(feedback: Float32[Tensor, "B K F"], name: str) -> Int64[Tensor, "B"]:
    """The position that each user gave any feedback; K for none.

    Raises:
        ValueError: a user gave feedback to several.
    """
    given: Bool[Tensor, "B K"] = (feedback != 0).any(-1)
    most = int(given.sum(1).max())
    if most > 1:
        raise ValueError(f"{name}: slateq needs users who pick at most one item of a slate, found {most} picked")
    return torch.where(given.any(1), given.int().argmax(1), given.shape[1])
