"""The policy classes that Stable-Baselines3 trains: its own algorithms, with networks that know items."""

from functools import partial
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from recgym.agents.sb3.distributions import ActionDistribution, EpsilonGreedy, Slates, SquashedGaussian
from recgym.agents.sb3.networks import GaussianHead, ItemExtractor, LogitHead, PointerHead, mlp

__all__ = ["ItemActorCritic", "ItemDQNPolicy", "ItemQNetwork"]


class ItemActorCritic(ActorCriticPolicy):
    """Actor and critic for PPO and A2C, for flat and dictionary observations, items, slates and preference vectors.

    With a dictionary, the actor points at candidates (:class:`PointerHead`), and the critic sees the state and the mean
    of the candidates. Otherwise both are plain multi-layer perceptrons.

    Args:
        observation_space: of the task.
        action_space: of the task.
        lr_schedule: learning rate by remaining progress.
        hidden: widths of the hidden layers, the same for actor and critic.
        embedding: E, width of item embeddings, queries and keys.
        mask_consumed: whether items in the visible history are forbidden.
        **kwargs: of Stable-Baselines3's policy.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        hidden: tuple[int, ...] = (64, 64),
        embedding: int = 32,
        mask_consumed: bool = False,
        **kwargs: Any,
    ) -> None:
        self._sizes = (hidden, embedding, mask_consumed)
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        hidden, embedding, mask_consumed = self._sizes
        extractor = self.features_extractor
        knows_items = isinstance(extractor, ItemExtractor)
        self.sees_candidates = knows_items and "candidates" in getattr(self.observation_space, "spaces", {})
        offered = embedding if self.sees_candidates else 0
        self.actor, latent = mlp(self.features_dim, hidden)
        self.critic, last = mlp(self.features_dim + offered, hidden)
        self.value_net = nn.Linear(last, 1)
        self.head: nn.Module
        if isinstance(self.action_space, spaces.Box):
            self.head = GaussianHead(latent, int(self.action_space.shape[0]))
        else:
            m, k = _sizes_of(self.action_space)
            if isinstance(extractor, ItemExtractor):
                self.head = PointerHead(latent, k, extractor.items, embedding, mask_consumed)
            else:
                self.head = LogitHead(latent, k, m)
        # Nearly uniform at first: the query starts small.
        for module, gain in ((self.actor, np.sqrt(2)), (self.critic, np.sqrt(2)), (self.value_net, 1.0)):
            module.apply(partial(self.init_weights, gain=gain))
        self.init_weights(cast(nn.Module, self.head.query), 0.01)
        make: Any = self.optimizer_class
        self.optimizer = make(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _state(self, observation: Any) -> Tensor:
        if isinstance(observation, dict):
            return self.features_extractor(observation)  # type: ignore[no-any-return]
        return observation.float().flatten(1)  # type: ignore[no-any-return]

    def _value(self, state: Tensor, observation: Any) -> Tensor:
        if self.sees_candidates:
            extractor: Any = self.features_extractor
            offered = extractor.embed(extractor.items.mean(observation["candidates"].long()))
            state = torch.cat([state, offered], 1)
        return self.value_net(self.critic(state))  # type: ignore[no-any-return]

    def distribution(self, observation: Any) -> Slates | SquashedGaussian:
        """The distribution of each user's action."""
        return self.head(self.actor(self._state(observation)), observation)  # type: ignore[no-any-return]

    def forward(self, obs: Any, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, values ``[B, 1]`` and log-probabilities ``[B]``."""
        state = self._state(obs)
        distribution = self.head(self.actor(state), obs)
        action = distribution.mode() if deterministic else distribution.sample(None)
        return action, self._value(state, obs), distribution.log_prob(action)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values ``[B, 1]``, and the actions' log-probabilities ``[B]`` and entropies ``[B]``."""
        state = self._state(obs)
        distribution = self.head(self.actor(state), obs)
        return self._value(state, obs), distribution.log_prob(actions), distribution.entropy(actions)

    def predict_values(self, obs: Any) -> Tensor:
        """Values ``[B, 1]``."""
        return self._value(self._state(obs), obs)

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        distribution = self.distribution(observation)
        return distribution.mode() if deterministic else distribution.sample(None)


def _sizes_of(action_space: spaces.Space[Any]) -> tuple[int, int]:
    """M and K."""
    if isinstance(action_space, spaces.MultiDiscrete):
        return int(action_space.nvec[0]), int(action_space.nvec.size)
    assert isinstance(action_space, spaces.Discrete)
    return int(action_space.n), 1


class ItemQNetwork(QNetwork):
    """Values of candidates: ``V(state) + A``, ``A = query(state) . key(candidate)``, for dictionary observations.

    Consumed items that the task masks have a value like any other: the mask is applied where one is chosen.

    Args:
        embedding: E.
        mask_consumed: whether items in the visible history may not be chosen.
        hidden: widths of the hidden layers.
        dueling: take the mean over candidates off A.
        **kwargs: of Stable-Baselines3's network.
    """

    def __init__(
        self, *, embedding: int, mask_consumed: bool, hidden: tuple[int, ...], dueling: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(net_arch=[], **kwargs)
        self.dueling = dueling
        extractor = self.features_extractor
        assert isinstance(extractor, ItemExtractor)
        self.q_net, latent = mlp(self.features_dim, hidden, nn.ReLU)
        self.value = nn.Linear(latent, 1)
        self.head = PointerHead(latent, 1, extractor.items, embedding, mask_consumed)

    def forward(self, obs: Any) -> Tensor:
        """Values ``[B, M]``."""
        latent = self.q_net(self.features_extractor(obs))
        advantage = self.head.scores(latent, obs)[:, 0]
        if self.dueling:
            advantage = advantage - advantage.mean(1, keepdim=True)
        return self.value(latent) + advantage  # type: ignore[no-any-return]

    def distribution(self, observation: Any, epsilon: float) -> EpsilonGreedy:
        """The epsilon-greedy distribution of each user's action."""
        return EpsilonGreedy(self(observation), self.head.allowed(observation), epsilon)

    def _predict(self, observation: Any, deterministic: bool = True) -> Tensor:
        return self.distribution(observation, 0.0).mode()


class ItemDQNPolicy(DQNPolicy):
    """DQN's online and target network, with :class:`ItemQNetwork`.

    Args:
        observation_space: of the task.
        action_space: of the task.
        lr_schedule: learning rate by remaining progress.
        hidden: widths of the hidden layers.
        embedding: E, width of item embeddings, queries and keys.
        mask_consumed: whether items in the visible history may not be chosen.
        dueling: see :class:`ItemQNetwork`.
        **kwargs: of Stable-Baselines3's policy.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        hidden: tuple[int, ...] = (64, 64),
        embedding: int = 32,
        mask_consumed: bool = False,
        dueling: bool = False,
        **kwargs: Any,
    ) -> None:
        self._item_arguments = {
            "hidden": hidden, "embedding": embedding, "mask_consumed": mask_consumed, "dueling": dueling,
        }  # fmt: skip
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def make_q_net(self) -> QNetwork:
        """A network of its own for each of the two."""
        extractor = self.make_features_extractor()
        return ItemQNetwork(
            **self._item_arguments,  # type: ignore[arg-type]
            observation_space=self.observation_space, action_space=self.action_space,
            features_extractor=extractor, features_dim=extractor.features_dim,
        ).to(self.device)  # fmt: skip


def q_distribution(network: QNetwork, observation: Any, epsilon: float) -> ActionDistribution:
    """The epsilon-greedy distribution of a Q-network, of ours or of Stable-Baselines3."""
    if isinstance(network, ItemQNetwork):
        return network.distribution(observation, epsilon)
    values = network(observation)
    return EpsilonGreedy(values, torch.ones_like(values, dtype=torch.bool), epsilon)
