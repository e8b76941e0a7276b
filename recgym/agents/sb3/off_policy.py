"""The algorithms that learn from a replay buffer: DQN for items, SAC and TD3 for preference vectors."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from gymnasium import spaces
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from recgym.agents.sb3.config import NetworkConfig, continuous_arguments, item_arguments
from recgym.agents.sb3.distributions import ActionDistribution, Certain, SquashedGaussian
from recgym.agents.sb3.double_dqn import DoubleDQN
from recgym.agents.sb3.policies import ItemDQNPolicy, q_distribution
from recgym.encoders import SequenceEncoder
from recgym.envs.task import Task

__all__ = ["DQNConfig", "SACConfig", "TD3Config"]


@dataclass(frozen=True)
class DQNConfig:
    """Deep Q-learning, for one item a step; https://www.nature.com/articles/nature14236.

    Loss over batches of a replay buffer, with the target network Q' (Huber's loss, after SB3)::

        mean(huber(Q(s, a) - (r + gamma (1 - terminated) Q'(s', argmax_a' Q(s', a')))))

    With a dictionary as observation, candidates are scored by what they are, so that a large catalogue needs no output
    an item: ``Q(s, a) = V(s) + A(s, a) - mean_a' A(s, a')`` with ``A = query(s) . key(a) / sqrt(E)``. Candidates that
    the task masks are never chosen, in targets either. Double: arXiv 1509.06461; dueling: arXiv 1511.06581.

    Attributes:
        learning_rate: step size of Adam.
        buffer_size: user-steps that the replay buffer keeps.
        learning_starts: user-steps before the first update.
        batch_size: user-steps in an update.
        gamma: discount factor.
        train_freq: steps of each user between rounds of updates.
        gradient_steps: updates in a round.
        target_update_interval: user-steps between copies of Q into Q'.
        exploration_fraction: share of the training over which epsilon falls.
        exploration_initial_eps: epsilon at first.
        exploration_final_eps: epsilon at last, and of a policy that samples.
        max_grad_norm: gradients are clipped to this norm.
        double: let Q choose the next action that Q' values; Q' chooses itself otherwise.
        dueling: take the mean over candidates off the advantages.
        normalize_reward: whether rewards are divided by the running deviation of the discounted return.
        network: the networks.
    """

    name: ClassVar[str] = "dqn"

    learning_rate: float = 5e-4
    buffer_size: int = 200_000
    learning_starts: int = 5_000
    batch_size: int = 256
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 2
    target_update_interval: int = 10_000
    exploration_fraction: float = 0.3
    exploration_initial_eps: float = 1.0
    exploration_final_eps: float = 0.05
    max_grad_norm: float = 10.0
    double: bool = True
    dueling: bool = True
    normalize_reward: bool = True
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def build(
        self, task: Task, env: VecEnv, seed: int, device: str, encoder: SequenceEncoder | None = None
    ) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        if not isinstance(env.action_space, spaces.Discrete):
            raise ValueError(
                f"{task.name}: dqn chooses one item a step, found the actions {env.action_space}; "
                "set slate_size=1 and action='items', or choose another agent"
            )
        policy: type[DQNPolicy] = DQNPolicy
        arguments: dict[str, Any] = {"net_arch": list(self.network.hidden)}
        if isinstance(env.observation_space, spaces.Dict):
            policy = ItemDQNPolicy
            arguments = item_arguments(task, env, self.network, encoder) | {"dueling": self.dueling}
        return DoubleDQN(
            policy, env, learning_rate=self.learning_rate, buffer_size=self.buffer_size,
            learning_starts=self.learning_starts, batch_size=self.batch_size, gamma=self.gamma,
            train_freq=self.train_freq, gradient_steps=self.gradient_steps,
            # Fewer than one step of all users cannot lie between two copies.
            target_update_interval=max(self.target_update_interval, env.num_envs),
            exploration_fraction=self.exploration_fraction, exploration_initial_eps=self.exploration_initial_eps,
            exploration_final_eps=self.exploration_final_eps, max_grad_norm=self.max_grad_norm,
            policy_kwargs=arguments, seed=seed, device=device, double=self.double,
        )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return cast(nn.Module, model.policy.q_net)

    def distribution(self, network: Any, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`."""
        return q_distribution(network, observation, self.exploration_final_eps)


@dataclass(frozen=True)
class SACConfig:
    """Soft actor-critic, for preference vectors; https://arxiv.org/abs/1812.05905.

    Losses over batches of a replay buffer, with ``a' ~ pi(s')``, target critics Q' and temperature alpha::

        critics: mean((Q_i(s, a) - (r + gamma (1 - terminated) (min_j Q'_j(s', a') - alpha log pi(a'|s'))))^2) / 2
        actor:   mean(alpha log pi(a|s) - min_j Q_j(s, a)), a ~ pi(s)
        alpha:   -mean(log alpha (log pi(a|s) - D)), where it is learned

    Attributes:
        learning_rate: step size of Adam, for actor, critics and temperature.
        buffer_size: user-steps that the replay buffer keeps.
        learning_starts: user-steps before the first update.
        batch_size: user-steps in an update.
        tau: share of the critics that moves into the target critics at each update.
        gamma: discount factor.
        train_freq: steps of each user between rounds of updates.
        gradient_steps: updates in a round.
        ent_coef: the temperature; learned if None.
        normalize_reward: whether rewards are divided by the running deviation of the discounted return.
        network: the networks.
    """

    name: ClassVar[str] = "sac"

    learning_rate: float = 3e-4
    buffer_size: int = 200_000
    learning_starts: int = 5_000
    batch_size: int = 256
    tau: float = 0.005
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 2
    ent_coef: float | None = None
    normalize_reward: bool = True
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def build(
        self, task: Task, env: VecEnv, seed: int, device: str, encoder: SequenceEncoder | None = None
    ) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        _need_preferences(self.name, task, env)
        return SAC(
            SACPolicy, env, learning_rate=self.learning_rate, buffer_size=self.buffer_size,
            learning_starts=self.learning_starts, batch_size=self.batch_size, tau=self.tau, gamma=self.gamma,
            train_freq=self.train_freq, gradient_steps=self.gradient_steps,
            ent_coef="auto" if self.ent_coef is None else self.ent_coef,
            policy_kwargs=continuous_arguments(task, env, self.network, encoder), seed=seed, device=device,
        )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return cast(nn.Module, model.policy.actor)

    def distribution(self, network: Any, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`."""
        mean, log_std, _ = network.get_action_dist_params(observation)
        return SquashedGaussian(mean, log_std)


@dataclass(frozen=True)
class TD3Config:
    """Twin delayed deterministic policy gradient, for preference vectors; https://arxiv.org/abs/1802.09477.

    Losses over batches of a replay buffer, with target networks pi', Q' and clipped noise e::

        critics: mean((Q_i(s, a) - (r + gamma (1 - terminated) min_j Q'_j(s', pi'(s') + e)))^2)
        actor:   -mean(Q_1(s, pi(s))), at every ``policy_delay``-th update

    Attributes:
        learning_rate: step size of Adam, for actor and critics.
        buffer_size: user-steps that the replay buffer keeps.
        learning_starts: user-steps before the first update.
        batch_size: user-steps in an update.
        tau: share of the networks that moves into the target networks at each update of the actor.
        gamma: discount factor.
        train_freq: steps of each user between rounds of updates.
        gradient_steps: updates in a round.
        exploration_noise: standard deviation of the normal noise on actions in training.
        policy_delay: updates of the critics for one of the actor.
        target_policy_noise: standard deviation of e.
        target_noise_clip: bound of e.
        normalize_reward: whether rewards are divided by the running deviation of the discounted return.
        network: the networks.
    """

    name: ClassVar[str] = "td3"

    learning_rate: float = 1e-3
    buffer_size: int = 200_000
    learning_starts: int = 5_000
    batch_size: int = 256
    tau: float = 0.005
    gamma: float = 0.99
    train_freq: int = 1
    gradient_steps: int = 2
    exploration_noise: float = 0.1
    policy_delay: int = 2
    target_policy_noise: float = 0.2
    target_noise_clip: float = 0.5
    normalize_reward: bool = True
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def build(
        self, task: Task, env: VecEnv, seed: int, device: str, encoder: SequenceEncoder | None = None
    ) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        _need_preferences(self.name, task, env)
        assert env.action_space.shape is not None
        width = env.action_space.shape
        return TD3(
            TD3Policy, env, learning_rate=self.learning_rate, buffer_size=self.buffer_size,
            learning_starts=self.learning_starts, batch_size=self.batch_size, tau=self.tau, gamma=self.gamma,
            train_freq=self.train_freq, gradient_steps=self.gradient_steps,
            action_noise=NormalActionNoise(np.zeros(width), np.full(width, self.exploration_noise)),
            policy_delay=self.policy_delay, target_policy_noise=self.target_policy_noise,
            target_noise_clip=self.target_noise_clip,
            policy_kwargs=continuous_arguments(task, env, self.network, encoder), seed=seed, device=device,
        )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return cast(nn.Module, model.policy.actor)

    def distribution(self, network: Any, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`. TD3's policy is deterministic also where it is asked to sample."""
        return Certain(network(observation))


def _need_preferences(name: str, task: Task, env: VecEnv) -> None:
    if not isinstance(env.action_space, spaces.Box):
        raise ValueError(
            f"{task.name}: {name} needs preference vectors as actions, found {env.action_space}; "
            "make the environment with action='preference', or choose another agent"
        )
