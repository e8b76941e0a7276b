"""The networks of the Stable-Baselines3 agents: what they make of an observation, and of the items that they rank.

Item ids never enter a network as numbers: they look up the items' features, which a learned map turns into embeddings.
"""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float32, Int64
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn
from torch.nn import functional

from recgym.agents.sb3.distributions import FORBIDDEN, Slates, SquashedGaussian

__all__ = [
    "GaussianHead", "HistoryExtractor", "ItemExtractor", "ItemTable", "LogitHead", "PointerHead", "allowed_candidates",
    "context_of", "context_width", "mlp",
]  # fmt: skip

_MOST_ITEMS = 2**24  # Stable-Baselines3 hands ids to some networks as float32, exact up to here


def mlp(inputs: int, hidden: tuple[int, ...], activation: type[nn.Module] = nn.Tanh) -> tuple[nn.Sequential, int]:
    """Hidden layers, each with its activation, and their output width."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers), inputs


class ItemTable(nn.Module):
    """The items' features, standardised over the catalogue and frozen; row N, the padding id, is zero.

    The table is part of a checkpoint, so a policy takes what it knows of the items with it.

    Args:
        features: one row an item.
    """

    features: Tensor

    def __init__(self, features: Float32[np.ndarray, "N D"]) -> None:
        super().__init__()
        if features.shape[0] >= _MOST_ITEMS:
            raise ValueError(f"at most {_MOST_ITEMS - 1:,} items are possible here, found {features.shape[0]:,}")
        spread = features.std(0)
        scaled = (features - features.mean(0)) / np.where(spread > 1e-6, spread, 1.0)
        padded = np.concatenate([scaled, np.zeros_like(scaled[:1])]).astype(np.float32)
        self.register_buffer("features", torch.as_tensor(padded))

    @property
    def width(self) -> int:
        """D."""
        return int(self.features.shape[1])

    def forward(self, ids: Int64[Tensor, "B J"]) -> Float32[Tensor, "B J D"]:
        """The features of the items."""
        return functional.embedding(ids, self.features)

    def mean(self, ids: Int64[Tensor, "B J"]) -> Float32[Tensor, "B D"]:
        """The mean features of each row's items."""
        return functional.embedding_bag(ids, self.features, mode="mean")


class ItemExtractor(BaseFeaturesExtractor):
    """What makes state vectors of observations that name items; heads that rank items share its table.

    Args:
        observation_space: a dictionary.
        features_dim: S, width of a state vector.
        item_features: one row an item.
        width: E, width of item embeddings.
    """

    def __init__(
        self, observation_space: spaces.Dict, features_dim: int, item_features: Float32[np.ndarray, "N D"], width: int
    ) -> None:
        super().__init__(observation_space, features_dim)
        self.items = ItemTable(item_features)
        self.embed = nn.Linear(self.items.width, width, bias=False)


def context_width(observation_space: spaces.Dict) -> int:
    """Numbers in :func:`context_of`."""
    profile = int(observation_space["profile"].shape[0]) if "profile" in observation_space.spaces else 0  # type: ignore[index]
    return profile + (3 if "progress" in observation_space.spaces else 0)


def context_of(observations: dict[str, Tensor]) -> list[Tensor]:
    """What an observation says of users beside their histories: the profile, and how far the episode is."""
    parts = []
    if "profile" in observations:
        parts.append(observations["profile"].float())
    if "progress" in observations:
        parts.append(observations["progress"].float().log1p())
    return parts


class HistoryExtractor(ItemExtractor):
    """A state vector from the observation of :class:`recgym.envs.HistoryObserver`.

    It holds the user's profile, and of the history: the mean embedding of its items, for each feedback channel the mean
    of embedding times feedback, the embedding and the feedback of the newest event, the logarithm of the time since
    then, and how much of the window is filled; for tasks of several sessions also how far the episode is. Feedback
    enters as ``sign(x) log(1 + |x|)``.

    Args:
        observation_space: that of the observer.
        item_features: one row an item.
        width: E, width of item embeddings.
    """

    def __init__(
        self, observation_space: spaces.Dict, item_features: Float32[np.ndarray, "N D"], width: int = 32
    ) -> None:
        channels = int(observation_space["history_feedback"].shape[-1])  # type: ignore[index]
        wide = context_width(observation_space) + (channels + 2) * width + channels + 2
        super().__init__(observation_space, wide, item_features, width)

    def forward(self, observations: dict[str, Tensor]) -> Float32[Tensor, "B S"]:
        """The state vectors."""
        ids = observations["history_items"].long()
        feedback = observations["history_feedback"].float()
        present = (ids < self.items.features.shape[0] - 1).float()
        damped = feedback.sign() * feedback.abs().log1p()
        count = present.sum(1, keepdim=True)
        share = (present / count.clamp(min=1))[:, None]
        newest = torch.zeros_like(share)
        newest[:, :, -1] = present[:, None, -1]
        weights = torch.cat([share, share * damped.transpose(1, 2), newest], 1)
        # The map to embeddings is linear, so it may follow the pooling, which is far less work.
        pooled = self.embed(weights @ self.items(ids)).flatten(1)
        gap = observations["history_gap_s"].float()[:, -1:].log1p()
        return torch.cat([pooled, damped[:, -1], 0.1 * gap, count / ids.shape[1], *context_of(observations)], 1)


def allowed_candidates(observation: dict[str, Tensor], num_items: int) -> Bool[Tensor, "B M"]:
    """Candidates that are not in the visible history; all of them where the history holds every one.

    Where fewer than M items were on offer, the padding id N stands in for the others: it is never allowed.

    Args:
        observation: of :class:`recgym.envs.HistoryObserver`.
        num_items: N.
    """
    history = observation["history_items"].long()
    if "candidates" in observation:
        candidates = observation["candidates"].long()
        real = candidates < num_items
        seen = (candidates[:, :, None] == history[:, None, :]).any(-1) | ~real
        return (~seen | seen.all(1, keepdim=True)) & real
    seen = torch.zeros((history.shape[0], num_items + 1), dtype=torch.bool, device=history.device)
    seen = seen.scatter(1, history, True)[:, :-1]
    return ~seen | seen.all(1, keepdim=True)


class PointerHead(nn.Module):
    """Scores candidates by what they are: ``query_k(state) . key(candidate) / sqrt(E)`` for each slate position k.

    So the scores do not depend on the order in which candidates are offered. A constant per position would change no
    softmax; the query's own bias gives each candidate a score that is the same for all states.

    Args:
        inputs: width of the state.
        slate_size: K.
        table: the items' features.
        width: E, width of queries and keys.
        mask_consumed: whether items in the visible history are forbidden.
    """

    def __init__(self, inputs: int, slate_size: int, table: ItemTable, width: int, mask_consumed: bool) -> None:
        super().__init__()
        self.table = table
        self.slate_size = slate_size
        self.width = width
        self.mask_consumed = mask_consumed
        self.query = nn.Linear(inputs, slate_size * width)
        self.key = nn.Sequential(nn.Linear(table.width, width), nn.ReLU(), nn.Linear(width, width))

    def scores(self, state: Float32[Tensor, "B S"], observation: dict[str, Tensor]) -> Float32[Tensor, "B K M"]:
        """The score of each candidate at each position."""
        query: Tensor = self.query(state).reshape(-1, self.slate_size, self.width) / self.width**0.5
        keys = self.keys(observation)
        return query @ (keys.T if keys.ndim == 2 else keys.transpose(1, 2))

    def keys(self, observation: dict[str, Tensor]) -> Tensor:
        """The key of each candidate, ``[B, M, E]``; ``[N, E]`` where the whole catalogue is on offer to all."""
        if "candidates" not in observation:
            catalogue: Tensor = self.key(self.table.features[:-1])
            return catalogue
        return self.keys_of(observation["candidates"].long())

    def keys_of(self, ids: Int64[Tensor, "B J"]) -> Float32[Tensor, "B J E"]:
        """The keys of some items."""
        keys: Tensor
        if ids.numel() < self.table.features.shape[0]:
            keys = self.key(self.table(ids))
        else:  # Fewer items than ids: each item's key once.
            keys = functional.embedding(ids, self.key(self.table.features))
        return keys

    def allowed(self, observation: dict[str, Tensor]) -> Bool[Tensor, "B M"]:
        """Which candidates may be chosen; never the padding id N, which stands where fewer than M were on offer."""
        num_items = self.table.features.shape[0] - 1
        if self.mask_consumed:
            return allowed_candidates(observation, num_items)
        if "candidates" in observation:
            return observation["candidates"] < num_items
        users = observation["history_items"].shape[0]
        return torch.ones((users, num_items), dtype=torch.bool, device=self.table.features.device)

    def forward(self, state: Float32[Tensor, "B S"], observation: dict[str, Tensor]) -> Slates:
        """The distribution of slates."""
        scores = self.scores(state, observation)
        if self.mask_consumed or "candidates" in observation:
            scores = scores.masked_fill(~self.allowed(observation)[:, None], FORBIDDEN)
        return Slates(scores)


class LogitHead(nn.Module):
    """One logit for each slate position and candidate, for observations that do not say what candidates are.

    Args:
        inputs: width of the state.
        slate_size: K.
        num_candidates: M.
    """

    def __init__(self, inputs: int, slate_size: int, num_candidates: int) -> None:
        super().__init__()
        self.slate_size = slate_size
        self.query = nn.Linear(inputs, slate_size * num_candidates)

    def forward(self, state: Float32[Tensor, "B S"], observation: Any) -> Slates:
        """The distribution of slates."""
        return Slates(self.query(state).reshape(state.shape[0], self.slate_size, -1))


class GaussianHead(nn.Module):
    """A squashed normal distribution of preference vectors, its spread the same for all states.

    Args:
        inputs: width of the state.
        size: D, width of a preference vector.
    """

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(inputs, size)
        self.log_std = nn.Parameter(torch.full((size,), -0.5))

    def forward(self, state: Float32[Tensor, "B S"], observation: Any) -> SquashedGaussian:
        """The distribution of preference vectors."""
        mean = self.query(state)
        return SquashedGaussian(mean, self.log_std.expand_as(mean))
