"""DQN whose targets are chosen by the network that learns (Double DQN), among the candidates that may be shown."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from stable_baselines3 import DQN
from torch import Tensor
from torch.nn import functional

from recgym.agents.sb3.distributions import FORBIDDEN
from recgym.agents.sb3.policies import ItemQNetwork

__all__ = ["DoubleDQN"]


class DoubleDQN(DQN):
    """Stable-Baselines3's DQN with other targets; see :class:`recgym.agents.DQNConfig`.

    Its own takes the best of all candidates as Q' has them; this one takes Q' of the candidate that Q likes best, and
    leaves out candidates that the task masks.

    Args:
        double: whether Q chooses; Q' chooses otherwise.
        **kwargs: of Stable-Baselines3's DQN.
    """

    def __init__(self, *args: Any, double: bool = True, **kwargs: Any) -> None:
        self.double = double
        super().__init__(*args, **kwargs)

    def next_values(self, observation: Any) -> Float32[Tensor, "n 1"]:
        """What the best action is worth after a step."""
        values = self.q_net_target(observation)
        choosing = self.q_net(observation) if self.double else values
        if isinstance(self.q_net, ItemQNetwork):
            choosing = choosing.masked_fill(~self.q_net.head.allowed(observation), FORBIDDEN)
        best: Tensor = values.gather(1, choosing.argmax(1, keepdim=True))
        return best

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Stable-Baselines3's own training, but for the targets."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        assert self.replay_buffer is not None
        losses = []
        for _ in range(gradient_steps):
            data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            with torch.no_grad():
                target = data.rewards + (1 - data.dones) * self.gamma * self.next_values(data.next_observations)
            loss = functional.smooth_l1_loss(self.q_net(data.observations).gather(1, data.actions.long()), target)
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append(loss.item())
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.mean(losses))
