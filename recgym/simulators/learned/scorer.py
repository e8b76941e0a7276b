"""The learned model as a recommender sees it: from what is on record, never from the users' hidden state."""

import copy
import math

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.network import gap_feature
from recgym.simulators.learned.tables import ItemTables
from recgym.types import Array, History

__all__ = ["ObservableScorer"]


class ObservableScorer:
    """Expected feedback of candidates, given a history window and a profile.

    The window is encoded anew by the network that drives :class:`recgym.simulators.learned.LearnedUsers`; events of the
    window that have the same time count as one step. Where the window holds all that a user ever consumed, the score is
    the true expectation; else it lacks what lies further back.

    Args:
        fitted: what was learned from a log.
        slate_size: size of the slates that will be shown.
        device: torch device.
    """

    def __init__(self, fitted: FittedSimulator, slate_size: int = 1, device: str = "cpu") -> None:
        self.fitted = fitted
        self.network = copy.deepcopy(fitted.network).to(device).requires_grad_(False).eval()
        self.tables = ItemTables.of(fitted, self.network, device)
        self.slate_size = slate_size
        low, high = fitted.facts.sizes
        self._log_size = math.log(max(min(max(slate_size, low), high), 1))

    @torch.no_grad()
    def __call__(
        self, history: History, profile: Float32[Array, "B P"], candidates: Int64[Array, "B M"]
    ) -> Float32[Array, "B M F"]:
        """Expected feedback of each candidate, as if shown first in a slate that is typical of the candidates.

        Args:
            history: what is on record, right-aligned; of the same device.
            profile: user features.
            candidates: item ids.
        """
        state = self._encode(history)
        log_size = torch.full((state.shape[0],), self._log_size, device=state.device)
        step, interest = self.network.step_part(state, profile, log_size)
        items = self.tables.hidden[candidates]
        rivals = items if self.slate_size == 1 else items.mean(1, keepdim=True)
        step = self.network.compete(step[:, None].expand_as(items), rivals.expand_as(items))
        window = torch.where(history.mask, history.items, -1)[:, -self.fitted.config.history :]
        repeats = (window[:, None, :] == candidates[:, :, None]).sum(-1).float()
        position = torch.full_like(candidates, min(0, self.fitted.facts.last_position))
        parameters = self.network.respond(
            step, interest[:, None], items, self.tables.vectors[candidates], repeats, position
        )  # fmt: skip
        alone = self.fitted.plan.slates.alone_among(parameters, self.slate_size)
        return self.fitted.plan.mean(alone, self.tables.lengths[candidates])

    def _encode(self, history: History) -> Float32[Tensor, "B H"]:
        """The user state that the window leads to."""
        items, feedback, time, mask = history
        batch, length = items.shape
        before = torch.cat([torch.zeros_like(mask[:, :1]), mask[:, :-1]], 1)
        previous = torch.cat([time[:, :1], time[:, :-1]], 1)
        fresh = mask & (~before | (time != previous))
        event = torch.where(mask, fresh.cumsum(1) - 1, length)
        gap = torch.where(fresh & before, time - previous, torch.nan)
        vectors = self.network.item_vectors(torch.where(mask, items, self.fitted.n_items))
        brought = self.network.consumption(vectors, feedback)

        def gathered(values: Tensor) -> Tensor:
            """Sums over the items of each event, events left-aligned."""
            blank = torch.zeros(batch, length + 1, values.shape[2], device=values.device)
            return blank.scatter_add(1, event[:, :, None].expand_as(values), values)[:, :-1]

        count = gathered(mask[:, :, None].float()).clamp(min=1.0)
        inputs = torch.cat([gathered(brought) / count, gathered(gap_feature(gap)[:, :, None])], 2)
        states = self.network.encode(inputs)
        return states[torch.arange(batch, device=states.device), fresh.sum(1)]
