"""What the configurations of all algorithms share: their face, and how they build networks."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from recgym.agents.sb3.distributions import ActionDistribution
from recgym.agents.sb3.encoders import EncoderExtractor, StateExtractor, known_items
from recgym.agents.sb3.networks import HistoryExtractor, ItemExtractor
from recgym.arrays import to_numpy
from recgym.encoders import SequenceEncoder
from recgym.envs.encoded import EncodedObserver
from recgym.envs.task import Task

__all__ = [
    "AgentConfig",
    "NetworkConfig",
    "continuous_arguments",
    "extractor_arguments",
    "item_arguments",
    "plain_settings",
]

_HISTORY = ("history_items", "history_feedback", "history_gap_s")


@dataclass(frozen=True)
class NetworkConfig:
    """The networks of an agent, and what they are fed.

    Attributes:
        hidden: widths of the hidden layers.
        embedding: width of item embeddings, queries and keys, where an observation names items.
        normalize: scale flat observations (of a dictionary: the profile) by their running mean and deviation.
        encoder: folder of a fitted encoder, through which histories enter; their items' mean does if None.
        freeze_encoder: leave the encoder as it was fitted; otherwise it learns with the agent.
    """

    hidden: tuple[int, ...] = (64, 64)
    embedding: int = 32
    normalize: bool = True
    encoder: Path | None = None
    freeze_encoder: bool = False


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

    def build(
        self, task: Task, env: VecEnv, seed: int, device: str, encoder: SequenceEncoder | None = None
    ) -> BaseAlgorithm:
        """The learner.

        Args:
            task: what to learn.
            env: the users.
            seed: of the learner.
            device: of the networks.
            encoder: through which histories enter.

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


def plain_settings(config: Any) -> dict[str, Any]:
    """The settings of an agent, a dataclass, as JSON can hold them: paths as text, tuples as lists."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    return settings


def extractor_arguments(
    task: Task, env: VecEnv, network: NetworkConfig, encoder: SequenceEncoder | None
) -> dict[str, Any]:
    """How to build the state extractor: nothing for a flat observation.

    Raises:
        ValueError: the observation is neither flat nor that of a history, or an encoder has no history to encode.
    """
    space, observer = env.observation_space, task.observer
    if encoder is not None and (isinstance(space, spaces.Box) or isinstance(observer, EncodedObserver)):
        raise ValueError(f"{task.name}: an encoder needs a history, found the observer {type(observer).__name__}")
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return {}
    features = to_numpy(task.model.item_features).astype(np.float32)
    if isinstance(observer, EncodedObserver):
        return _extractor(
            StateExtractor, item_features=known_items(features, observer.encoder), width=network.embedding
        )
    if not isinstance(space, spaces.Dict) or any(key not in space.spaces for key in _HISTORY):
        raise ValueError(
            f"{task.name}: expected a flat observation or a dictionary with {', '.join(_HISTORY)}, found {space}"
        )
    if encoder is None:
        return _extractor(HistoryExtractor, item_features=features, width=network.embedding)
    return _extractor(
        EncoderExtractor, item_features=features, width=network.embedding, encoder=encoder,
        trainable=not network.freeze_encoder,
    )  # fmt: skip


def _extractor(kind: type[ItemExtractor], **settings: Any) -> dict[str, Any]:
    return {"features_extractor_class": kind, "features_extractor_kwargs": settings}


def item_arguments(task: Task, env: VecEnv, network: NetworkConfig, encoder: SequenceEncoder | None) -> dict[str, Any]:
    """How to build the networks that choose items, and the actor and critic of preference vectors."""
    return extractor_arguments(task, env, network, encoder) | {
        "hidden": network.hidden, "embedding": network.embedding, "mask_consumed": task.mask_consumed,
    }  # fmt: skip


def continuous_arguments(
    task: Task, env: VecEnv, network: NetworkConfig, encoder: SequenceEncoder | None
) -> dict[str, Any]:
    """How to build Stable-Baselines3's own networks for preference vectors."""
    return extractor_arguments(task, env, network, encoder) | {"net_arch": list(network.hidden)}
