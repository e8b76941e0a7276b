"""What SlateQ knows of users and items: how likely each is picked, and what that is worth."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from recgym.agents.sb3.encoders import StateExtractor, known_items
from recgym.agents.sb3.networks import HistoryExtractor, ItemExtractor, PointerHead, mlp
from recgym.agents.slateq.config import NullItem, SlateQConfig
from recgym.agents.slateq.slates import Pickings, slate_value
from recgym.arrays import to_numpy
from recgym.envs.encoded import EncodedObserver
from recgym.envs.task import Task

__all__ = ["Outlook", "SlateQNetwork"]

_LEAST_WEIGHT = 1e-6
_HISTORY = ("history_items", "history_feedback", "history_gap_s")


class Outlook(NamedTuple):
    """What the network says of a step.

    Attributes:
        pickings: the choice model's weights, and what each candidate is worth more than nothing.
        null_value: Q(s, null item).
    """

    pickings: Pickings
    null_value: Float32[Tensor, "B"]

    def worth(self, slate: Int64[Tensor, "B K"]) -> Float32[Tensor, "B"]:
        """Q(s, A)."""
        return self.null_value + slate_value(self.pickings, slate)

    def values(self, slate: Int64[Tensor, "B K"]) -> Float32[Tensor, "B K_plus_1"]:
        """Q(s, i) of the items of a slate, and of the null item (last column)."""
        null = self.null_value[:, None]
        return torch.cat([null + self.pickings.gain.gather(1, slate), null], 1)

    def log_choice(self, slate: Int64[Tensor, "B K"]) -> Float32[Tensor, "B K_plus_1"]:
        """Logarithm of P(i | s, A) of the items of a slate, and of the null item (last column)."""
        weights = torch.cat([self.pickings.weight.gather(1, slate), self.pickings.null_weight[:, None]], 1)
        return weights.log() - weights.sum(1, keepdim=True).log()


class SlateQNetwork(nn.Module):
    """Choice model and values of items over one state vector, which both learn.

    ==================  ================================================================================================
    weight              ``v_i = softplus(query(x) . key(i) / sqrt(E) + a profile . features(i))``,
                        ``v_0 = softplus(w . x + b)``: positive, and general enough for the logit and the proportional
                        models of choice; the second term where profile and item features are of one width, as interests
                        in topics are
    value               ``Q(s, i) = u (base(h) + query(h) . key(i) / sqrt(E))``, ``Q(s, null) = u base(h)``, with h the
                        hidden layers over x; a null item without worth has 0 in place of it
    ==================  ================================================================================================

    Args:
        task: what is learned.
        config: settings.

    Raises:
        ValueError: observations are not dictionaries of histories or of an encoder's states.
    """

    unit: Tensor

    def __init__(self, task: Task, config: SlateQConfig) -> None:
        super().__init__()
        self.extractor = _extractor(task, config.embedding)
        width, items = self.extractor.features_dim, self.extractor.items
        self.body, latent = mlp(width, config.hidden, nn.ReLU)
        self.base = nn.Linear(latent, 1)
        self.gain = PointerHead(latent, 1, items, config.embedding, task.mask_consumed)
        self.weight = PointerHead(width, 1, items, config.embedding, task.mask_consumed)
        self.null_weight = nn.Linear(width, 1)
        self.match = _Match(task) if task.model.profile_size == task.model.item_features.shape[1] else None
        self.null_learned = config.null_item is NullItem.LEARNED
        self.register_buffer("unit", torch.ones(()))

    def groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The parameters of the values, what the state is made of included, and those of the choice model."""
        choice = [*self.weight.parameters(), *self.null_weight.parameters()]
        choice += [] if self.match is None else list(self.match.parameters())
        own = {id(parameter) for parameter in choice}
        return [parameter for parameter in self.parameters() if id(parameter) not in own], choice

    def forward(self, observation: Mapping[str, Tensor]) -> Outlook:
        """What the network says of each user."""
        seen = dict(observation)
        state = self.extractor(seen)
        latent = self.body(state)
        base = self.base(latent)
        gain = self.gain.scores(latent, seen)[:, 0]
        null_value = base[:, 0] if self.null_learned else torch.zeros_like(base[:, 0])
        liking = self.weight.scores(state, seen)[:, 0]
        if self.match is not None:
            liking = liking + self.match(seen)
        pickings = Pickings(
            functional.softplus(liking) + _LEAST_WEIGHT,
            functional.softplus(self.null_weight(state)[:, 0]) + _LEAST_WEIGHT,
            self.unit * (gain if self.null_learned else base + gain),
            self.gain.allowed(seen),
        )
        return Outlook(pickings, self.unit * null_value)


class _Match(nn.Module):
    """``a profile . features(i)``: how well items fit users, where both are described alike.

    Args:
        task: gives the features.
    """

    features: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        features = torch.as_tensor(to_numpy(task.model.on("cpu").item_features), dtype=torch.float32)
        # Row N is the padding id.
        self.register_buffer("features", torch.cat([features, torch.zeros_like(features[:1])]))
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, observation: Mapping[str, Tensor]) -> Float32[Tensor, "B M"]:
        """The score of each candidate."""
        profile = observation["profile"]
        if "candidates" not in observation:
            return self.scale * profile @ self.features[:-1].T
        offered = self.features[observation["candidates"].long()]
        return self.scale * (offered @ profile[:, :, None])[:, :, 0]


def _extractor(task: Task, width: int) -> ItemExtractor:
    space: Any = task.observer.space(task.sizes)
    features = to_numpy(task.model.on("cpu").item_features).astype(np.float32)
    if isinstance(task.observer, EncodedObserver):
        return StateExtractor(space, known_items(features, task.observer.encoder), width)
    if not isinstance(space, spaces.Dict) or any(key not in space.spaces for key in _HISTORY):
        raise ValueError(f"{task.name}: slateq needs a dictionary with {', '.join(_HISTORY)}, found {space}")
    return HistoryExtractor(space, features, width)
