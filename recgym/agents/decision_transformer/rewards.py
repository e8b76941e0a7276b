"""What a step was worth, as a log knows it and as a policy can see it from one observation to the next.

Both give the same quantities, one column each: every feedback channel summed over the slate, the days away if the step
ended a session (at most 30), and then the return frequency ``1 / (1 + days)``, 0 for a user who never comes back. All
rewards that decision transformers are asked for are weighted sums of these.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.agents.base import as_tensors
from recgym.data.transitions import Problem, TransitionStore

__all__ = ["Glimpse", "columns_of", "glimpse", "logged_quantities", "seen_quantities"]

LONGEST_DAYS = 30.0
_DAY_S = 86_400.0


def columns_of(problem: Problem) -> tuple[str, ...]:
    """Names of the quantities."""
    return (*problem.schema.names, "days away", "return frequency")


class Glimpse(NamedTuple):
    """What must be kept of an observation to see, at the next one, what the step between them was worth.

    Attributes:
        items: the visible history; of flat observations there is one column, which says nothing.
        feedback: its feedback; of flat observations, that of the last item.
        session: which session of the episode it was; 0 where there is one only.
        away_days: days between that session and the one before.
    """

    items: Int64[Tensor, "B T"]
    feedback: Float32[Tensor, "B T F"]
    session: Float32[Tensor, "B"]
    away_days: Float32[Tensor, "B"]


def glimpse(observation: Any, problem: Problem) -> Glimpse:
    """The part of batched observations that tells of rewards."""
    seen = as_tensors(observation, "cpu")
    if problem.flat:
        # Profile, features of the last item, its feedback, fraction of the horizon left.
        feedback = seen.float()[:, problem.profile + problem.features : -1][:, None]
        nothing = torch.zeros(len(seen))
        return Glimpse(torch.zeros(feedback.shape[:2], dtype=torch.int64), feedback, nothing, nothing)
    items, feedback = seen["history_items"].long(), seen["history_feedback"].float()
    progress = seen["progress"].float() if problem.progress else torch.zeros((len(items), 3))
    return Glimpse(items, feedback, progress[:, 0], progress[:, 2])


def seen_quantities(before: Glimpse, after: Glimpse, problem: Problem) -> Float32[Tensor, "B C"]:
    """What the step between two observations was worth, in the columns of :func:`columns_of`.

    What is new in a history is what it takes for the rest to be the end of the history before: the fewest such events,
    at most K. Flat observations show the last item that was consumed, and it is taken to be that of the step; so a
    step at which nothing was consumed is misread in them.
    """
    if problem.flat:
        channels = after.feedback[:, -1]
    else:
        channels = _new_feedback(before, after, problem.slate_size)
    back = (after.session != before.session).float()
    days = (after.away_days * back).clamp(max=LONGEST_DAYS)
    return torch.cat([channels, days[:, None], (back / (1 + days))[:, None]], 1)


def _new_feedback(before: Glimpse, after: Glimpse, slate_size: int) -> Float32[Tensor, "B F"]:
    """Feedback of the events that a step added, summed; the loop is over the K positions of a slate."""
    wide = after.items.shape[1]
    new = torch.full_like(after.items[:, 0], slate_size)
    for count in range(slate_size - 1, -1, -1):
        items = after.items[:, : wide - count] == before.items[:, count:]
        feedback = after.feedback[:, : wide - count] == before.feedback[:, count:]
        new = torch.where(items.all(1) & feedback.flatten(1).all(1), count, new)
    fresh = torch.arange(wide) >= wide - new[:, None]
    return (after.feedback * fresh[:, :, None]).sum(1)


def logged_quantities(store: TransitionStore, points: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "n C"]:
    """The same of the steps of a log that begin at the points."""
    gap = store.columns["return_gap_s"][points]
    ended = ~np.isnan(gap)
    days = np.where(ended, np.minimum(gap / _DAY_S, LONGEST_DAYS), 0.0)
    frequency = np.where(ended & np.isfinite(gap), 1 / (1 + days), 0.0)
    return np.concatenate([store.responses(points), np.stack([days, frequency], 1)], 1).astype(np.float32)
