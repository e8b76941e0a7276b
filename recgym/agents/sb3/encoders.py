"""Sequence encoders as the first part of an agent's networks: trained with it, or left as they are.

An encoder brings two things: the state of the user, and what it knows of items. Its item vectors, as they were when the
agent was made, stand beside the items' features in the table that scores candidates.
"""

import copy

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

from recgym.agents.sb3.networks import ItemExtractor, context_of, context_width
from recgym.encoders import Batch, SequenceEncoder

__all__ = ["EncoderExtractor", "StateExtractor", "known_items"]


def known_items(features: Float32[np.ndarray, "N D"], encoder: SequenceEncoder) -> Float32[np.ndarray, "N W"]:
    """The items' features, and beside them the vectors that an encoder has for them.

    Raises:
        ValueError: the encoder knows another number of items.
    """
    count = encoder.items.num_items
    if count != len(features):
        raise ValueError(f"the encoder knows {count} items, the task has {len(features)}")
    with torch.no_grad():
        vectors = encoder.items.table()[:count].cpu().numpy()
    return np.concatenate([features, vectors], 1).astype(np.float32)


def _scaled(states: Float32[Tensor, "B D"]) -> Float32[Tensor, "B D"]:
    """Each state with mean 0 and deviation 1: encoders differ in how long their states are."""
    return functional.layer_norm(states, states.shape[-1:])


class EncoderExtractor(ItemExtractor):
    """A state vector from the observation of :class:`recgym.envs.HistoryObserver`, through a sequence encoder.

    It holds the encoder's state of the visible history, scaled, the logarithm of the time since the newest event, the
    user's profile, and for tasks of several sessions how far the episode is. Dropout of the encoder stays off: the
    policy that is improved must be the one that acted.

    Args:
        observation_space: that of the observer.
        item_features: one row an item.
        encoder: fitted or fresh; a copy of it is used.
        trainable: whether it learns with the agent.
        width: E, width of item embeddings.

    Raises:
        ValueError: the encoder does not know this catalogue, or takes other feedback.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        item_features: Float32[np.ndarray, "N D"],
        encoder: SequenceEncoder,
        trainable: bool = True,
        width: int = 32,
    ) -> None:
        channels = int(observation_space["history_feedback"].shape[-1])  # type: ignore[index]
        if encoder.events.channels not in (0, channels):
            raise ValueError(f"the encoder takes {encoder.events.channels} feedback channels, the task has {channels}")
        items = known_items(item_features, encoder)
        super().__init__(observation_space, encoder.width + 1 + context_width(observation_space), items, width)
        self.encoder = copy.deepcopy(encoder).requires_grad_(trainable).eval()
        self.trainable = trainable

    def train(self, mode: bool = True) -> "EncoderExtractor":
        """As of any module, but the encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, observations: dict[str, Tensor]) -> Float32[Tensor, "B S"]:
        """The state vectors."""
        items, gap = observations["history_items"].long(), observations["history_gap_s"].float()
        # Only differences of times count, so the present may be 0.
        batch = Batch(
            items, items < self.encoder.items.num_items, -gap.double(), observations["history_feedback"].float()
        )
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            states = self.encoder.final(batch)
        return torch.cat([_scaled(states), 0.1 * gap[:, -1:].log1p(), *context_of(observations)], 1)


class StateExtractor(ItemExtractor):
    """The same state vector from the observation of :class:`recgym.envs.EncodedObserver`, which holds the state.

    Args:
        observation_space: that of the observer.
        item_features: one row an item, see :func:`known_items`.
        width: E, width of item embeddings.
    """

    def __init__(
        self, observation_space: spaces.Dict, item_features: Float32[np.ndarray, "N D"], width: int = 32
    ) -> None:
        state = int(observation_space["state"].shape[0])  # type: ignore[index]
        super().__init__(observation_space, state + 1 + context_width(observation_space), item_features, width)

    def forward(self, observations: dict[str, Tensor]) -> Float32[Tensor, "B S"]:
        """The state vectors."""
        since = 0.1 * observations["since_s"].float().log1p()
        return torch.cat([_scaled(observations["state"].float()), since, *context_of(observations)], 1)
