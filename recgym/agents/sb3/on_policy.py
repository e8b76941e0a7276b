"""The algorithms that learn from rollouts of their own policy: PPO and A2C."""

import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from recgym.agents.sb3.config import NetworkConfig, item_arguments
from recgym.agents.sb3.distributions import ActionDistribution
from recgym.agents.sb3.policies import ItemActorCritic
from recgym.encoders import SequenceEncoder
from recgym.envs.task import Task

__all__ = ["A2CConfig", "PPOConfig"]


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
        normalize_reward: whether rewards are divided by the running deviation of the discounted return.
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

    def build(
        self, task: Task, env: VecEnv, seed: int, device: str, encoder: SequenceEncoder | None = None
    ) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        rollout = self.n_steps * env.num_envs
        if rollout < 2:
            raise ValueError(f"ppo needs rollouts of at least 2 steps, found n_steps={self.n_steps} x 1 user")
        if self.batch_size < 2:
            raise ValueError(f"ppo needs minibatches of at least 2 steps, found batch_size={self.batch_size}")
        parts = -(-rollout // self.batch_size)
        with warnings.catch_warnings():
            # The last part may be a little smaller than the others, which does no harm.
            warnings.filterwarnings("ignore", message="You have specified a mini-batch size")
            return PPO(
                ItemActorCritic, env, learning_rate=_schedule(self.learning_rate, self.anneal), n_steps=self.n_steps,
                batch_size=max(2, -(-rollout // parts)), n_epochs=self.n_epochs, gamma=self.gamma,
                gae_lambda=self.gae_lambda, clip_range=self.clip_range, ent_coef=self.ent_coef, vf_coef=self.vf_coef,
                max_grad_norm=self.max_grad_norm, target_kl=self.target_kl,
                policy_kwargs=item_arguments(task, env, self.network, encoder), seed=seed, device=device,
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
        normalize_reward: whether rewards are divided by the running deviation of the discounted return.
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

    def build(
        self, task: Task, env: VecEnv, seed: int, device: str, encoder: SequenceEncoder | None = None
    ) -> BaseAlgorithm:
        """See :class:`AgentConfig`."""
        return A2C(
            ItemActorCritic, env, learning_rate=_schedule(self.learning_rate, self.anneal), n_steps=self.n_steps,
            gamma=self.gamma, gae_lambda=self.gae_lambda, ent_coef=self.ent_coef, vf_coef=self.vf_coef,
            max_grad_norm=self.max_grad_norm, normalize_advantage=self.normalize_advantage,
            policy_kwargs=item_arguments(task, env, self.network, encoder), seed=seed, device=device,
        )  # fmt: skip

    def acting(self, model: BaseAlgorithm) -> nn.Module:
        """See :class:`AgentConfig`."""
        return model.policy

    def distribution(self, network: ItemActorCritic, observation: Any) -> ActionDistribution:
        """See :class:`AgentConfig`."""
        return network.distribution(observation)


def _schedule(rate: float, anneal: bool) -> Any:
    return (lambda remaining: rate * remaining) if anneal else rate
