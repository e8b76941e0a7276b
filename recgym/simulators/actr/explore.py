"""How people take new items: by associations, popularity and taste; estimated from a log."""

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.simulators.actr.choices import Choices
from recgym.simulators.actr.likelihood import Estimate, information, minimise
from recgym.simulators.actr.world import ACTRItems

__all__ = ["fit_exploring"]

_MOST = 1_500


def fit_exploring(
    choices: Choices, items: ACTRItems, taste: Float32[np.ndarray, "s D"], rng: np.random.Generator
) -> dict[str, Estimate]:
    """Estimate ``follow`` and ``appeal`` of :class:`ACTRMemory` by maximum likelihood.

    A new item i has the probability ``follow a_i + (1 - follow sum_new a) q_i``: a is the law of an associate of a
    random item of the session so far, ``q ~ popularity exp(appeal taste . e)`` over what is new to the user.

    Args:
        choices: all choices; of those that explored, at most 1,500 random ones are looked at.
        items: the catalogue.
        taste: of the user of each session.
        rng: draws which.

    Returns:
        Estimates by name; empty where nobody explored.
    """
    explored = np.flatnonzero((choices.chosen < 0) & (items.popularity[choices.item] > 0))
    if len(explored) == 0:
        return {}
    if len(explored) > _MOST:
        explored = np.sort(rng.choice(explored, _MOST, replace=False))
    old = _old(choices, explored, items.num_items)
    along, reach = _along(choices, explored, items, old)
    likes = torch.from_numpy(taste[choices.session[explored]] @ items.embeddings.T).double()
    with np.errstate(divide="ignore"):
        log_popularity = torch.from_numpy(np.log(items.popularity.astype(np.float64)))
    open_ = torch.where(torch.from_numpy(old), -torch.inf, log_popularity)
    item = torch.from_numpy(choices.item[explored])[:, None]
    along_, reach_ = torch.from_numpy(along), torch.from_numpy(reach)

    def loss(point: torch.Tensor) -> torch.Tensor:
        follow, appeal = point
        share = torch.log_softmax(open_ + appeal * likes, 1).gather(1, item)[:, 0].exp()
        mean: torch.Tensor = (follow * along_ + (1 - follow * reach_) * share).clamp(min=1e-300).log().mean()
        return -mean

    point = minimise(loss, (0.3, 0.5), ((1e-4, 1 - 1e-4), (-20.0, 20.0)))
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(np.linalg.pinv(information(loss, point) * len(explored))))
    return {
        name: Estimate(float(value), float(error))
        for name, value, error in zip(("follow", "appeal"), point, errors, strict=True)
    }


def _old(choices: Choices, which: Int64[np.ndarray, "c"], num_items: int) -> Bool[np.ndarray, "c N"]:
    """What was not new at some choices: remembered before the session, or in it already."""
    old = np.zeros((len(which), num_items), dtype=bool)
    first = np.searchsorted(choices.pair_session, choices.session[which])
    last = np.searchsorted(choices.pair_session, choices.session[which], side="right")
    row = np.repeat(np.arange(len(which)), last - first)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(last - first) - last, last - first)
    old[row, choices.pair_item[offset]] = True
    row, item = _earlier(choices, which)
    old[row, item] = True
    return old


def _earlier(choices: Choices, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The items of the session before some choices, with the row of ``which`` they belong to."""
    row = np.searchsorted(which, choices.earlier_choice)
    here = which[np.minimum(row, len(which) - 1)] == choices.earlier_choice
    return row[here], choices.earlier_item[here]


def _along(
    choices: Choices, which: np.ndarray, items: ACTRItems, old: Bool[np.ndarray, "c N"]
) -> tuple[Float64[np.ndarray, "c"], Float64[np.ndarray, "c"]]:
    """Probability that a step along an association leads to the item that was taken, and to any new one."""
    row, source = _earlier(choices, which)
    strengths = items.strengths[source].astype(np.float64)
    total = strengths.sum(1, keepdims=True)
    law = np.divide(strengths, total, out=np.zeros_like(strengths), where=total > 0)
    law /= np.maximum(np.bincount(row, minlength=len(which)), 1)[row][:, None]
    target = items.neighbours[source]
    padded = np.concatenate([old, np.ones((len(which), 1), dtype=bool)], 1)
    fresh = law * ~padded[row[:, None], target]
    hit = (law * (target == choices.item[which][row][:, None])).sum(1)
    return (
        np.bincount(row, weights=hit, minlength=len(which)),
        np.bincount(row, weights=fresh.sum(1), minlength=len(which)),
    )
