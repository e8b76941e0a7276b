"""What d3rlpy takes for an observation: one vector of numbers, made from the observation of an environment."""

import copy
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.d3rlpy.encoders import flat_histories
from recgym.agents.offline.problem import observation_space
from recgym.agents.sb3.encoders import EncoderExtractor
from recgym.agents.sb3.networks import HistoryExtractor
from recgym.arrays import to_numpy
from recgym.data.transitions import Problem, TransitionStore
from recgym.encoders import SequenceEncoder

__all__ = ["FlatHistories", "HistorySummary"]

_LOOKED_AT = 10_000  # points from which the scale of states is taken


class HistorySummary(nn.Module):
    """State vectors without anything to learn: what networks of ours are fed before their first layer, standardised.

    Flat observations stay as they are. Histories become the state of a frozen encoder, or without one what
    :class:`recgym.agents.sb3.networks.HistoryExtractor` holds, with items' features in place of learned embeddings; the
    profile and the time since the newest event stand beside. What is on offer is no part of it.

    Args:
        problem: sizes.
        item_features: one row an item.
        encoder: a fitted sequence encoder, which stays as it is.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self, problem: Problem, item_features: Float32[np.ndarray, "N D"], encoder: SequenceEncoder | None = None
    ) -> None:
        super().__init__()
        self.extractor: HistoryExtractor | EncoderExtractor | None = None
        self.width = problem.flat
        space = observation_space(problem)
        if isinstance(space, spaces.Dict):
            if encoder is not None:
                self.extractor = EncoderExtractor(space, item_features, copy.deepcopy(encoder), False)
            else:
                self.extractor = HistoryExtractor(space, item_features, item_features.shape[1])
                nn.init.eye_(self.extractor.embed.weight)
            self.width = self.extractor.features_dim
        elif encoder is not None:
            raise ValueError(f"{problem.name}: an encoder needs histories, found flat observations")
        self.register_buffer("centre", torch.zeros(self.width))
        self.register_buffer("spread", torch.ones(self.width))
        self.requires_grad_(False).eval()

    def look(self, store: TransitionStore) -> None:
        """Take the scale of states from a store."""
        states = self._raw(store.observations(store.steps[:: max(1, len(store) // _LOOKED_AT)]))
        spread = states.std(0, correction=0)
        self.centre.copy_(states.mean(0))
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0))

    @torch.no_grad()
    def _raw(self, observation: Any) -> Float32[Tensor, "B S"]:
        states: Tensor = observation.float() if self.extractor is None else self.extractor(observation)
        return states

    def forward(self, observation: Any) -> Float32[Tensor, "B S"]:
        """The states; none further than 10 deviations from the mean."""
        return ((self._raw(observation) - self.centre) / self.spread).clamp(-10, 10)


class FlatHistories(nn.Module):
    """Histories as rows of numbers, see :func:`flat_histories`, for networks that begin with a sequence encoder.

    Args:
        problem: sizes.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        if problem.flat:
            raise ValueError(f"{problem.name}: an encoder needs histories, found flat observations")
        self.width = problem.window * (len(problem.schema) + 2)

    def look(self, store: TransitionStore) -> None:
        """Nothing is scaled: ids must stay what they are."""

    def forward(self, observation: Any) -> Float32[Tensor, "B W"]:
        """The rows."""
        parts = (to_numpy(observation[f"history_{name}"]) for name in ("items", "feedback", "gap_s"))
        return torch.from_numpy(flat_histories(*parts))
