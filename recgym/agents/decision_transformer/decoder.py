"""DT4IER's encoders and decoder of item lists: gated recurrent units over item vectors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from recgym.agents.sb3.distributions import FORBIDDEN
from recgym.agents.sb3.networks import ItemTable, allowed_candidates
from recgym.arrays import uniform
from recgym.types import Generator

__all__ = ["Decoded", "ItemVectors", "ListEncoder", "SlateDecoder"]

_TAKEN = 2 * FORBIDDEN


class ItemVectors(nn.Module):
    """A learned vector for each item, and a map of its features beside it; the padding id N has the vector 0.

    Args:
        features: one row an item.
        width: d.
    """

    def __init__(self, features: Float32[np.ndarray, "N D"], width: int) -> None:
        super().__init__()
        self.table = ItemTable(features)
        self.num_items = len(features)
        self.ids = nn.Embedding(self.num_items + 1, width, padding_idx=self.num_items)
        self.embed = nn.Linear(self.table.width, width, bias=False)

    def forward(self, items: Int64[Tensor, "n J"]) -> Float32[Tensor, "n J d"]:
        """The vectors of the items."""
        out: Tensor = self.ids(items) + self.embed(self.table(items))
        return out


class ListEncoder(nn.Module):
    """The last state of gated recurrent units over a list of items, padding passed over; 0 for an empty list.

    Args:
        items: gives items their vectors.
        width: d.
    """

    def __init__(self, items: ItemVectors, width: int) -> None:
        super().__init__()
        self.items = items
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, items: Int64[Tensor, "n J"], there: Bool[Tensor, "n J"]) -> Float32[Tensor, "n d"]:
        """One vector a list; what stands where nothing is does not matter."""
        ids = torch.where(there, items, self.items.num_items)
        order = there.long().argsort(stable=True, dim=1, descending=True)  # left-aligned, in the order that they came
        lists = ids.gather(1, order)
        if not self.training:  # all columns of all lists, so that no list has a part in the rounding of another
            return self._last(lists)
        # Neighbouring steps of a user often have the same history, which then is read once.
        longest = max(int(there.sum(1).max()), 1)
        lists, which = lists[:, :longest].unique_consecutive(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        return self._last(lists)[which]

    def _last(self, lists: Int64[Tensor, "m J"]) -> Float32[Tensor, "m d"]:
        """The state after the last item of each left-aligned list."""
        lengths = (lists != self.items.num_items).sum(1)
        states, _ = self.gru(self.items(lists))
        last = states[torch.arange(len(lists), device=lists.device), (lengths - 1).clamp(min=0)]
        return torch.where(lengths[:, None] > 0, last, 0.0)


class SlateDecoder(nn.Module):
    """Names the items of a slate one by one: what it says of position k knows the picks before k, and no others.

    ``h_0`` is the vector of the step and the first input a learned start; after that the vector of the last pick goes
    in. Candidates are scored by the product of the state with their vectors, so any candidates will do.

    Args:
        items: gives items their vectors.
        width: d.
        slate_size: K.
        mask_consumed: whether items in the visible history are forbidden.
    """

    def __init__(self, items: ItemVectors, width: int, slate_size: int, mask_consumed: bool) -> None:
        super().__init__()
        self.items, self.slate_size, self.mask_consumed = items, slate_size, mask_consumed
        self.cell = nn.GRUCell(width, width)
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.query = nn.Linear(width, width)

    def first(self, hidden: Float32[Tensor, "n d"]) -> Float32[Tensor, "n d"]:
        """The state that names the first item: the predicted action."""
        out: Tensor = self.cell(self.start.expand(len(hidden), -1), hidden)
        return out

    def forward(self, hidden: Float32[Tensor, "n d"], observation: dict[str, Tensor]) -> "Decoded":
        """The distribution of slates."""
        users = len(hidden)
        if "candidates" in observation:
            offered = observation["candidates"].long()
        else:
            offered = torch.arange(self.items.num_items, device=hidden.device).expand(users, -1)
        vectors = self.items(offered)
        forbidden = offered >= self.items.num_items  # padding, where fewer than M were on offer
        if self.mask_consumed:
            forbidden = ~allowed_candidates(observation, self.items.num_items)

        def scores(state: Tensor) -> Tensor:
            found: Tensor = (vectors @ self.query(state)[:, :, None])[:, :, 0] / state.shape[1] ** 0.5
            return found.masked_fill(forbidden, FORBIDDEN)

        def onward(state: Tensor, pick: Tensor) -> Tensor:
            after: Tensor = self.cell(vectors[torch.arange(users, device=pick.device), pick], state)
            return after

        return Decoded(self.first(hidden), self.slate_size, scores, onward)


@dataclass(frozen=True)
class Decoded:
    """Slates whose items are named one by one; see :class:`recgym.agents.sb3.distributions.ActionDistribution`.

    Attributes:
        state: that names the first item.
        slate_size: K.
        scores: from a state to the logits of the candidates ``[n, M]``.
        onward: from a state and a pick to the next state.
    """

    state: Float32[Tensor, "n d"]
    slate_size: int
    scores: Callable[[Tensor], Tensor]
    onward: Callable[[Tensor, Tensor], Tensor]

    mode_log_prob = 0.0

    def _build(self, choose: Callable[[Tensor, int], Tensor]) -> tuple[Int64[Tensor, "n K"], Float32[Tensor, "n"]]:
        """Pick after pick: the slates, and the logarithm of their probabilities."""
        state, picks = self.state, []
        total = torch.zeros(len(state), device=state.device)
        taken: Tensor | None = None
        for position in range(self.slate_size):
            logits = self.scores(state)
            if taken is not None:
                logits = logits.masked_fill(taken, _TAKEN)
            chance = functional.log_softmax(logits, -1)
            pick = choose(chance, position)
            picks.append(pick)
            total = total + chance.gather(1, pick[:, None])[:, 0]
            if position + 1 < self.slate_size:
                state = self.onward(state, pick)
                now = functional.one_hot(pick, logits.shape[1]).bool()
                taken = now if taken is None else taken | now
        return torch.stack(picks, 1), total

    def _shaped(self, slates: Int64[Tensor, "n K"]) -> Tensor:
        return slates[:, 0] if self.slate_size == 1 else slates

    def sample(self, generator: Generator | None) -> Tensor:
        """Draw a slate for each user: the largest of log-probabilities with Gumbel noise is a draw."""

        def draw(chance: Tensor, position: int) -> Tensor:
            shape, device = tuple(chance.shape), chance.device
            noise = torch.rand(shape, device=device) if generator is None else uniform(generator, shape)
            flat = torch.as_tensor(noise, device=device).clamp(1e-12, 1 - 1e-7)
            return (chance - (-flat.log()).log()).argmax(1)

        return self._shaped(self._build(draw)[0])

    def mode(self) -> Tensor:
        """The likeliest item at each position, given those before it."""
        return self._shaped(self._build(lambda chance, position: chance.argmax(1))[0])

    def log_prob(self, action: Tensor) -> Float32[Tensor, "n"]:
        """Logarithm of the joint probability of each slate; a slate with a repeated item has a probability of 0."""
        picks = action.long().reshape(-1, self.slate_size)
        return self._build(lambda chance, position: picks[:, position])[1]
