"""How long it takes from one step of a session to the next: drawn as the log has it, given what the step brought.

Where a user moved on before the durations among the feedback had passed (the article was open in another tab), the
pause is taken as it is; else it is the durations and a rest. Both come from quantiles of the log's steps that took
about as long, told apart by whether anything was taken. Some users are quicker than others, so that the places of a
user's pauses among these quantiles go together.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor

from recgym.arrays import normal
from recgym.simulators.learned.steps import Behaviour
from recgym.types import Generator

__all__ = ["Pace"]

QUANTILES = 128
_MOST_CELLS, _FEWEST = 8, 100
_MOST_ALIKE = 0.9


@dataclass(frozen=True)
class Pace:
    """Q quantiles of the pauses after steps in each of C cells of the time spent.

    Steps in which nothing was taken come first, then those in which some item was.

    Attributes:
        edges: bounds between cells in seconds; infinity where there are fewer cells.
        low: seconds at each quantile, beside the durations where ``added``.
        high: seconds a little before the next quantile.
        added: whether the durations count.
        alike: correlation between two pauses of a user, as normal scores.
    """

    edges: Float32[Tensor, "two C_less_1"]
    low: Float32[Tensor, "two C Q"]
    high: Float32[Tensor, "two C Q"]
    added: Float32[Tensor, "two C Q"]
    alike: float

    @classmethod
    def fit(cls, behaviour: Behaviour, primary: int, spent_s: Float64[np.ndarray, "S"]) -> "Pace | None":
        """Read the pauses off a log.

        Args:
            behaviour: the log.
            primary: the channel that says whether a user took an item.
            spent_s: the durations among each exposure's feedback.

        Returns:
            None if the log has fewer than 100 pauses within sessions.
        """
        session = behaviour.step_session
        same = (session[1:] >= 0) & (session[1:] == session[:-1])
        at = np.flatnonzero(same)
        if at.size < _FEWEST:
            return None
        pause, spent = np.diff(behaviour.step_time)[at], spent_s[at]
        some = np.bincount(behaviour.row_step, behaviour.row_labels[:, primary] > 0, session.size)[at] > 0
        edges, tables = np.full((2, _MOST_CELLS - 1), np.inf), np.zeros((3, 2, _MOST_CELLS, QUANTILES))
        scores = np.zeros(at.size)
        for taken in (0, 1):
            which = some == bool(taken) if (some == bool(taken)).sum() >= _FEWEST else np.ones(at.size, dtype=bool)
            cells = min(_MOST_CELLS, int(which.sum()) // _FEWEST)
            cuts = np.unique(np.quantile(spent[which], np.arange(1, cells) / cells))
            edges[taken, : cuts.size] = cuts
            cell = np.searchsorted(cuts, spent, side="right")
            for index in range(cuts.size + 1):
                chosen = np.flatnonzero(which & (cell == index))
                if chosen.size:
                    tables[:, taken, index] = _quantiles(pause[chosen], spent[chosen])
                    rank = rankdata(pause[chosen]) - 0.5
                    scores[chosen] = ndtri(rank / chosen.size)
        following = np.flatnonzero(np.diff(at) == 1)
        alike = float(np.mean(scores[following] * scores[following + 1])) if following.size >= _FEWEST else 0.0
        low, high, added = torch.from_numpy(tables).float()
        return cls(torch.from_numpy(edges).float(), low, high, added, min(max(alike, 0.0), _MOST_ALIKE))

    def to(self, device: str) -> "Pace":
        """The same on a torch device."""
        return Pace(self.edges.to(device), self.low.to(device), self.high.to(device), self.added.to(device), self.alike)

    def draw(self, own: Float32[Tensor, "B"], generator: Generator) -> Float32[Tensor, "B"]:
        """Where among the quantiles the next pause of users with these own normal scores lies, from 0 to 1."""
        fresh = normal(generator, (own.shape[0],))
        score = math.sqrt(self.alike) * own + math.sqrt(1 - self.alike) * fresh
        place: Tensor = torch.special.ndtr(score)
        return place

    def seconds(
        self, place: Float32[Tensor, "B"], spent_s: Float32[Tensor, "B"], taken: Bool[Tensor, "B"]
    ) -> Float32[Tensor, "B"]:
        """How long steps take: the pause at a place, given the durations and whether anything was taken."""
        kind: Int64[Tensor, B] = taken.long()
        cell = (spent_s[:, None] >= self.edges[kind]).sum(1)
        position = place * QUANTILES
        number = position.floor().clamp(0, QUANTILES - 1)
        index = (kind * self.low.shape[1] + cell) * QUANTILES + number.long()
        low, high, added = (table.flatten()[index] for table in (self.low, self.high, self.added))
        return torch.lerp(low, high, (position - number).clamp(0.0, 1.0)) + added * spent_s


def _quantiles(pause: np.ndarray, spent: np.ndarray) -> np.ndarray:
    """The rows ``low``, ``high`` and ``added`` of a cell, shorter pauses before longer ones."""
    added = pause >= spent
    value = np.where(added, pause - spent, pause)
    order = np.lexsort((value, added))
    value, added = value[order], added[order]
    position = np.arange(QUANTILES + 1) / QUANTILES * (value.size - 1)
    index = np.floor(position + 1e-9).astype(np.int64)
    upper = np.minimum(index + 1, value.size - 1)
    part = np.where(added[index] == added[upper], position - index, 0.0)
    at = value[index] + part * (value[upper] - value[index])
    together = added[index[:-1]] == added[index[1:]]
    rows: np.ndarray = np.stack([at[:-1], np.where(together, at[1:], at[:-1]), added[index[:-1]]])
    return rows
