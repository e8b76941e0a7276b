"""What the configurations of all algorithms share: their face, and how they build networks."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from recgym.agents.sb3.distributions import ActionDistribution
from recgym.agents.sb3.networks import HistoryExtractor
from recgym.arrays import to_numpy
from recgym.envs.task import Task

__all__ = ["AgentConfig", "NetworkConfig", "continuous_arguments", "extractor_arguments", "item_arguments"]

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
        """Whether rewards are divided by the running deviation of the discounted return, and clipped to [-10, 10]."""
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


def extractor_arguments(task: Task, env: VecEnv, network: NetworkConfig) -> dict[str, Any]:
    """How to build the state extractor: nothing for a flat observation.

    Raises:
        ValueError: the observation is neither flat nor that of a history.
    """
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


def item_arguments(task: Task, env: VecEnv, network: NetworkConfig) -> dict[str, Any]:
    """How to build the networks that choose items, and the actor and critic of preference vectors."""
    return extractor_arguments(task, env, network) | {
        "hidden": network.hidden, "embedding": network.embedding, "mask_consumed": task.mask_consumed,
    }  # fmt: skip


def continuous_arguments(task: Task, env: VecEnv, network: NetworkConfig) -> dict[str, Any]:
    """How to build Stable-Baselines3's own networks for preference vectors."""
    return extractor_arguments(task, env, network) | {"net_arch": list(network.hidden)}
