"""The algorithms of Stable-Baselines3, each as a frozen configuration that builds its learner."""

import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import nn

from recgym.agents.sb3.distributions import ActionDistribution, Certain, SquashedGaussian
from recgym.agents.sb3.networks import HistoryExtractor
from recgym.agents.sb3.policies import ItemActorCritic, ItemDQNPolicy, q_distribution
from recgym.arrays import to_numpy
from recgym.envs.task import Task

__all__ = ["CONFIGS", "A2CConfig", "AgentConfig", "DQNConfig", "NetworkConfig", "PPOConfig", "SACConfig", "TD3Config"]

_HISTORY = ("history_items", "history_feedback", "history_gap_s")


@dataclass(frozen=True)
class NetworkConfig:
    """The networks of an agent, and what they are fed.

    Attributes:
        hidden: widths of the hidden layers.
        embedding: width of item embeddings, queries and keys, where an observation names items.
        normalize: scale flat observations (of a dictionary: the profile) by their running mean and deviation.
    """

    hidden: tuple[int, ...] = (64, 64)
    embedding: int = 32
    normalize: bool = True


@runtime_checkable
class AgentConfig(Protocol):
    """What every configuration offers; ``name`` is what the command line and checkpoints call the algorithm."""

    name: ClassVar[str]

    @property
    def network(self) -> NetworkConfig:
        """The networks."""
        ...

    @property
    def gamma(self) -> float:
        """Discount factor."""
        ...

    @property
    def normalize_reward(self) -> bool:
        """Whether rewards are divided by the running deviation of the discounted return."""
        ...

    def build(self, task: Task, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
        """The learner.

        Raises:
            ValueError: the algorithm cannot learn this task.
        """
        ...

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """The part of the learner that acts."""
        ...

    def distribution(self, network: Any, observation: Any) -> ActionDistribution:
        """The distribution of actions, from what :meth:`acting` returns."""
        ...


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation, https://arxiv.org/abs/1707.06347.

    Loss over minibatches of a rollout, with ratio ``r = pi(a|s) / pi_old(a|s)``, advantage A (generalised advantage
    estimation, normalised in the minibatch) and return R::

        -mean(min(r A, clip(r, 1 - clip_range, 1 + clip_range) A)) - ent_coef mean(H(pi)) + vf_coef mean((V(s) - R)^2)

    Attributes:
        learning_rate: step size of Adam.
        anneal: let the learning rate fall linearly to 0 over the steps of the training.
        n_steps: steps of each user in a rollout.
        batch_size: user-steps in a minibatch; a rollout is cut into equal parts of at most this size.
        n_epochs: passes over a rollout.
        gamma: discount factor.
        gae_lambda: of the advantage estimate: 0 is one-step, 1 is Monte Carlo.
        clip_range: how far the ratio may move.
        ent_coef: weight of the entropy.
        vf_coef: weight of the value loss.
        max_grad_norm: gradients are clipped to this norm.
        target_kl: stop the passes over a rollout beyond 1.5 times this divergence; never if None.
        normalize_reward: divide rewards by the running deviation of the discounted return.
        network: the networks.
    """

    name: ClassVar[str] = "ppo"

    learning_rate: float = 1e-3
    anneal: bool = False
    n_steps: int = 64
    batch_size: int = 4096
    n_epochs: int = 4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None
    normalize_reward: bool = True
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def build(self, task: Task, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        rollout = self.n_steps * env.num_envs
        if rollout < 2:
            raise ValueError(f"ppo needs rollouts of at least 2 steps, found n_steps={self.n_steps} x 1 user")
        parts = -(-rollout // self.batch_size)
        with warnings.catch_warnings():
            # The last part may be a little smaller than the others, which does no harm.
            warnings.filterwarnings("ignore", message="You have specified a mini-batch size")
            return PPO(
                ItemActorCritic, env, learning_rate=_schedule(self.learning_rate, self.anneal), n_steps=self.n_steps,
                batch_size=max(2, -(-rollout // parts)), n_epochs=self.n_epochs, gamma=self.gamma,
                gae_lambda=self.gae_lambda, clip_range=self.clip_range, ent_coef=self.ent_coef, vf_coef=self.vf_coef,
                max_grad_norm=self.max_grad_norm, target_kl=self.target_kl,
                policy_kwargs=_item_arguments(task, env, self.network), seed=seed, device=device,
            )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return model.policy

    def distribution(self, network: ItemActorCritic, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`."""
        return network.distribution(observation)


@dataclass(frozen=True)
class A2CConfig:
    """Advantage actor-critic, synchronous; https://arxiv.org/abs/1602.01783.

    Loss, once over each rollout, with advantage A and return R::

        -mean(log pi(a|s) A) - ent_coef mean(H(pi)) + vf_coef mean((V(s) - R)^2)

    Attributes:
        learning_rate: step size of RMSprop.
        anneal: let the learning rate fall linearly to 0 over the steps of the training.
        n_steps: steps of each user in a rollout.
        gamma: discount factor.
        gae_lambda: of the advantage estimate: 0 is one-step, 1 is Monte Carlo.
        ent_coef: weight of the entropy.
        vf_coef: weight of the value loss.
        max_grad_norm: gradients are clipped to this norm.
        normalize_advantage: scale advantages to mean 0 and deviation 1 in each rollout.
        normalize_reward: divide rewards by the running deviation of the discounted return.
        network: the networks.
    """

    name: ClassVar[str] = "a2c"

    learning_rate: float = 7e-4
    anneal: bool = False
    n_steps: int = 8
    gamma: float = 0.99
    gae_lambda: float = 1.0
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    normalize_advantage: bool = False
    normalize_reward: bool = True
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def build(self, task: Task, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        return A2C(
            ItemActorCritic, env, learning_rate=_schedule(self.learning_rate, self.anneal), n_steps=self.n_steps,
            gamma=self.gamma, gae_lambda=self.gae_lambda, ent_coef=self.ent_coef, vf_coef=self.vf_coef,
            max_grad_norm=self.max_grad_norm, normalize_advantage=self.normalize_advantage,
            policy_kwargs=_item_arguments(task, env, self.network), seed=seed, device=device,
        )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return model.policy

    def distribution(self, network: ItemActorCritic, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`."""
        return network.distribution(observation)


@dataclass(frozen=True)
class DQNConfig:
    """Deep Q-learning, for one item a step; https://www.nature.com/articles/nature14236.

    Loss over batches of a replay buffer, with the target network Q' (Huber's loss, after SB3)::

        mean(huber(Q(s, a) - (r + gamma (1 - terminated) max_a' Q'(s', a'))))

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
        normalize_reward: divide rewards by the running deviation of the discounted return.
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
    normalize_reward: bool = True
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def build(self, task: Task, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        if not isinstance(env.action_space, spaces.Discrete):
            raise ValueError(
                f"{task.name}: dqn chooses one item a step, found the actions {env.action_space}; "
                "set slate_size=1 and action='items', or choose another agent"
            )
        policy: type[DQNPolicy] = DQNPolicy
        arguments: dict[str, Any] = {"net_arch": list(self.network.hidden)}
        if isinstance(env.observation_space, spaces.Dict):
            policy, arguments = ItemDQNPolicy, _item_arguments(task, env, self.network)
        return DQN(
            policy, env, learning_rate=self.learning_rate, buffer_size=self.buffer_size,
            learning_starts=self.learning_starts, batch_size=self.batch_size, gamma=self.gamma,
            train_freq=self.train_freq, gradient_steps=self.gradient_steps,
            # Fewer than one step of all users cannot lie between two copies.
            target_update_interval=max(self.target_update_interval, env.num_envs),
            exploration_fraction=self.exploration_fraction, exploration_initial_eps=self.exploration_initial_eps,
            exploration_final_eps=self.exploration_final_eps, max_grad_norm=self.max_grad_norm,
            policy_kwargs=arguments, seed=seed, device=device,
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
        normalize_reward: divide rewards by the running deviation of the discounted return.
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

    def build(self, task: Task, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        _need_preferences(self.name, task, env)
        return SAC(
            SACPolicy, env, learning_rate=self.learning_rate, buffer_size=self.buffer_size,
            learning_starts=self.learning_starts, batch_size=self.batch_size, tau=self.tau, gamma=self.gamma,
            train_freq=self.train_freq, gradient_steps=self.gradient_steps,
            ent_coef="auto" if self.ent_coef is None else self.ent_coef,
            policy_kwargs=_continuous_arguments(task, env, self.network), seed=seed, device=device,
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
        normalize_reward: divide rewards by the running deviation of the discounted return.
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

    def build(self, task: Task, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
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
            policy_kwargs=_continuous_arguments(task, env, self.network), seed=seed, device=device,
        )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return cast(nn.Module, model.policy.actor)

    def distribution(self, network: Any, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`. TD3's policy is deterministic also where it is asked to sample."""
        return Certain(network(observation))


AnyConfig: TypeAlias = PPOConfig | A2CConfig | DQNConfig | SACConfig | TD3Config
"""The agents there are; names on the command line and in checkpoints come from here."""

CONFIGS: dict[str, type[AnyConfig]] = {c.name: c for c in (PPOConfig, A2CConfig, DQNConfig, SACConfig, TD3Config)}


def _schedule(rate: float, anneal: bool) -> Any:
    return (lambda remaining: rate * remaining) if anneal else rate


def _need_preferences(name: str, task: Task, env: VecEnv) -> None:
    if not isinstance(env.action_space, spaces.Box):
        raise ValueError(
            f"{task.name}: {name} needs preference vectors as actions, found {env.action_space}; "
            "make the environment with action='preference', or choose another agent"
        )


def _extractor_arguments(task: Task, env: VecEnv, network: NetworkConfig) -> dict[str, Any]:
    """How to build the state extractor: nothing for a flat observation."""
    space = env.observation_space
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return {}
    if not isinstance(space, spaces.Dict) or any(key not in space.spaces for key in _HISTORY):
        raise ValueError(
            f"{task.name}: expected a flat observation or a dictionary with {', '.join(_HISTORY)}, found {space}"
        )
    features = to_numpy(task.model.item_features).astype(np.float32)
    return {
        "features_extractor_class": HistoryExtractor,
        "features_extractor_kwargs": {"item_features": features, "width": network.embedding},
    }


def _item_arguments(task: Task, env: VecEnv, network: NetworkConfig) -> dict[str, Any]:
    return _extractor_arguments(task, env, network) | {
        "hidden": network.hidden, "embedding": network.embedding, "mask_consumed": task.mask_consumed,
    }  # fmt: skip


def _continuous_arguments(task: Task, env: VecEnv, network: NetworkConfig) -> dict[str, Any]:
    return _extractor_arguments(task, env, network) | {"net_arch": list(network.hidden)}
