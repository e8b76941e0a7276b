"""The place of each target among its candidates, for a batch of queries; memory is a few times batch x N."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["UNSERVED", "Pairs", "Ranked", "rank_scores", "rank_served"]

UNSERVED = 2**62
"""The rank of a target that is not in the list of a :class:`Retriever`: worse than any."""


class Pairs(NamedTuple):
    """Items of queries.

    Attributes:
        rows: the query within the batch, ascending.
        items: an item of it.
    """

    rows: Int64[Tensor, "E"]
    items: Int64[Tensor, "E"]


class Ranked(NamedTuple):
    """The answer to a batch of queries.

    Attributes:
        ranks: place of each target, from 1.
        lists: the K items that would be served, the best first; N where there are no more. Here a seen item is masked
            even if it is a target, as a system could not know better.
    """

    ranks: Int64[Tensor, "P"]
    lists: Int64[Tensor, "B K"]


def rank_scores(
    scores: Float[Tensor, "B N"],
    masked: Pairs,
    targets: Pairs,
    length: int,
    negatives: Int64[Tensor, "B S"] | None = None,
) -> Ranked:
    """Places by score. Ties count against the model: a target stands behind every non-target of the same score.

    The targets of one query are ranked in the same list: of equal ones each takes a place of its own.

    Args:
        scores: of all items, without NaN.
        masked: items that are no candidates; a target always is one.
        targets: what is looked for, each once in a query.
        length: K.
        negatives: rank among these instead of among all; entries that are masked or targets do not count.
    """
    wanted = scores[targets.rows, targets.items]
    field = scores.clone()
    field[masked.rows, masked.items] = -torch.inf
    best = field.topk(length, dim=1)
    lists = torch.where(best.values == -torch.inf, scores.shape[1], best.indices)
    # What is not compared becomes NaN, to which no number is at most equal; a wanted score may be minus infinity.
    field[masked.rows, masked.items] = torch.nan
    field[targets.rows, targets.items] = torch.nan
    rivals = field if negatives is None else field.gather(1, negatives)
    beaten_by = torch.cat(
        [
            torch.count_nonzero(rivals[rows] >= score[:, None], dim=1)
            for rows, score in zip(
                torch.split(targets.rows, len(scores)), torch.split(wanted, len(scores)), strict=True
            )
        ]
    )
    return Ranked(beaten_by + _place_among_targets(wanted, targets.rows, len(scores)), lists)


def _place_among_targets(wanted: Float[Tensor, "P"], rows: Int64[Tensor, "P"], batch: int) -> Int64[Tensor, "P"]:
    """From 1, by score within each query."""
    order = torch.argsort(wanted, descending=True, stable=True)
    order = order[torch.argsort(rows[order], stable=True)]
    first = torch.searchsorted(rows, torch.arange(batch, device=rows.device))
    place = torch.empty_like(rows)
    place[order] = torch.arange(len(rows), device=rows.device) - first[rows[order]] + 1
    return place


def rank_served(served: Int64[Tensor, "B L"], masked: Pairs, targets: Pairs, length: int, num_items: int) -> Ranked:
    """Places in a served list, once masked items are taken out of it; :data:`UNSERVED` for what is not in it.

    Args:
        served: item ids, the best first; N for nothing.
        masked: items to take out; a target stays.
        targets: what is looked for.
        length: K.
        num_items: N.

    Raises:
        ValueError: an id is outside 0..N, or an item stands in a list twice.
    """
    if served.numel() and not (0 <= int(served.min()) and int(served.max()) <= num_items):
        raise ValueError(
            f"served ids must be items 0..{num_items - 1} or the padding id {num_items}, "
            f"found {int(served.min())}..{int(served.max())}"
        )
    ordered = served.sort(dim=1).values
    if bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < num_items)).any()):
        raise ValueError("a served list holds an item twice, each was expected once")
    out = torch.zeros(len(served), num_items + 1, dtype=torch.bool, device=served.device)
    out[:, num_items] = True
    out[masked.rows, masked.items] = True
    kept = ~out.gather(1, served)
    front = torch.argsort((~kept).to(torch.uint8), dim=1, stable=True)[:, :length]
    lists = torch.where(kept.gather(1, front), served.gather(1, front), num_items)
    out[targets.rows, targets.items] = False
    place = torch.cumsum(~out.gather(1, served), dim=1)
    places = torch.full((len(served), num_items + 1), UNSERVED, device=served.device)
    places.scatter_(1, served, place)
    return Ranked(places[targets.rows, targets.items], lists)
