"""Retrieval: the best items of a catalogue for each user's interests, and lists that trade likeness for variety."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor
from torch.nn import functional

from recgym.encoders.batch import Batch
from recgym.encoders.model import NextItemModel
from recgym.encoders.scorers import FactoredScorer
from recgym.types import Array, History

__all__ = ["Diversity", "ItemRetriever", "best_of_each", "diverse", "merge"]

_SCORES = 2**21  # of a block: 8 MiB, which stay in a processor's cache
_CHUNK = 32  # neighbouring items of which only the best is looked at, at first


@dataclass(frozen=True, eq=False)
class Diversity:
    """What variety is worth: ``Q(S) = sum_{i in S} f(i) + weight sum_{i, j in S} [category(i) != category(j)]``.

    ComiRec's controllable aggregation (arXiv 2005.09347, section 3.4): f is an item's score.

    Attributes:
        categories: of each item; items below 0 have none, and differ from all.
        weight: lambda, at least 0; 0 is plain retrieval.
    """

    categories: Int64[Tensor, "N"]
    weight: float

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"the weight of diversity must be finite and at least 0, found {self.weight}")


@dataclass(frozen=True, eq=False)
class ItemRetriever:
    """Serves lists from a model: each interest's best items, merged by score, or chosen one by one for variety too.

    A model of one query a user is served its best items. An item that several interests like counts once, by the score
    of the one that likes it best.

    Attributes:
        model: scores items; put in evaluation mode while it serves.
        repeats: whether items of the history may be served again.
        depth: candidates of each interest; as many as are asked for if None. Below that, interests share a list.
        diversity: None for none.
        block: items that are scored at once: no array is larger than queries times block. As many as make two million
            scores if None, which stay in a processor's cache.
    """

    model: NextItemModel
    repeats: bool = True
    depth: int | None = None
    diversity: Diversity | None = None
    block: int | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "block"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, found {value}")
        if self.diversity is not None and len(self.diversity.categories) != self.num_items:
            raise ValueError(
                f"expected a category for each of the {self.num_items} items, found {len(self.diversity.categories)}"
            )

    @property
    def num_items(self) -> int:
        """N."""
        return self.model.num_items

    @property
    def window(self) -> int:
        """T, newest events that count."""
        return self.model.window

    @torch.no_grad()
    def retrieve(
        self, users: Int64[Array, "B"], history: History, k: int, query_time_s: Float64[Array, "B"] | None = None
    ) -> Int64[Tensor, "B k"]:
        """The items to serve, the best first; padding id N where there is nothing left.

        Args:
            users: ignored.
            history: right-aligned, of tensors or arrays. What is left out as seen is what stands in it.
            k: length of the list.
            query_time_s: when the next item is asked for, for encoders that are to see that.

        Raises:
            ValueError: k is below 1.
        """
        if k < 1:
            raise ValueError(f"a list must have at least one item, found k = {k}")
        model, training = self.model, self.model.training
        model.eval()
        try:
            time_s = None if query_time_s is None else torch.as_tensor(query_time_s)
            batch = Batch.from_history(History(*map(torch.as_tensor, history)), time_s).to(model.device)
            seen = None if self.repeats else torch.where(batch.mask, batch.items, self.num_items)
            depth = min(self.depth or k, self.num_items)
            scores, items = best_of_each(model, model.final_queries(batch), depth, seen, self.block)
            scores, items = merge(scores, items, self.num_items)
            if self.diversity is not None:
                items = diverse(scores, items, k, self.diversity)
        finally:
            model.train(training)
        served = items[:, :k]
        return functional.pad(served, (0, k - served.shape[1]), value=self.num_items)


def best_of_each(
    model: NextItemModel,
    queries: Float32[Tensor, "B R D"],
    k: int,
    seen: Int64[Tensor, "B S"] | None = None,
    block: int | None = None,
) -> tuple[Float32[Tensor, "B R k"], Int64[Tensor, "B R k"]]:
    """The best items for each query, by blocks of the catalogue.

    Args:
        model: whose items and scorer.
        queries: of each user.
        k: items a query, at most N.
        seen: item ids that the user is not to get; N for none.
        block: items that are scored at once; as many as make two million scores if None.

    Returns:
        Scores, falling, and item ids; score minus infinity and N where there is nothing left. Equal scores come in any
        order.
    """
    users, interests = queries.shape[:2]
    flat, vectors = queries.flatten(0, 1), model.vectors()
    factored = isinstance(model.scorer, FactoredScorer)
    if isinstance(model.scorer, FactoredScorer):
        flat, vectors = model.scorer.factors(flat, vectors)
    best = flat.new_full((len(flat), min(k, len(vectors))), -torch.inf)
    items = torch.full_like(best, len(vectors), dtype=torch.int64)
    block = block or max(_SCORES // max(1, len(flat)), _CHUNK)
    for first in range(0, len(vectors), block):
        part = vectors[first : first + block]
        scores = flat @ part.T if factored else model.scorer.scores(flat, part)
        if seen is not None:
            _leave_out(scores.view(users, interests, -1), seen - first)
        best, items = _improve(best, items, scores, first)
    items = torch.where(best > -torch.inf, items, len(vectors))
    return best.view(users, interests, -1), items.view(users, interests, -1)


def _improve(
    best: Float32[Tensor, "Q k"], items: Int64[Tensor, "Q k"], scores: Float32[Tensor, "Q C"], first: int
) -> tuple[Float32[Tensor, "Q k"], Int64[Tensor, "Q k"]]:
    """The best of those known and of another block, whose columns are the items from ``first`` on.

    Most of a block is worse than the worst that is kept, so only chunks whose best item is better are sorted in:
    looking for them is a fraction of the work of sorting the block.
    """
    chunks = functional.pad(scores, (0, -scores.shape[1] % _CHUNK), value=-torch.inf)
    chunks = chunks.view(len(chunks), -1, _CHUNK)
    row, chunk = (chunks.amax(2) > best[:, -1:]).nonzero(as_tuple=True)
    if len(row) == 0:
        return best, items
    count = torch.bincount(row, minlength=len(best))
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    better = best.new_full((len(best), int(count.max()), _CHUNK), -torch.inf)
    better[row, place] = chunks[row, chunk]
    start = torch.zeros(better.shape[:2], dtype=torch.int64, device=row.device)
    start[row, place] = chunk * _CHUNK + first
    ids = (start[:, :, None] + torch.arange(_CHUNK, device=row.device)).flatten(1)
    merged, index = torch.cat([best, better.flatten(1)], 1).topk(best.shape[1], 1)
    return merged, torch.cat([items, ids], 1).gather(1, index)


def _leave_out(scores: Float32[Tensor, "B R C"], columns: Int64[Tensor, "B S"]) -> None:
    """Sets columns of each user to minus infinity, in place; those outside do not count."""
    rows, which = ((columns >= 0) & (columns < scores.shape[2])).nonzero(as_tuple=True)
    scores[rows, :, columns[rows, which]] = -torch.inf


def merge(
    scores: Float32[Tensor, "B R k"], items: Int64[Tensor, "B R k"], num_items: int
) -> tuple[Float32[Tensor, "B C"], Int64[Tensor, "B C"]]:
    """All interests' items in one list, the best first, each item once.

    Args:
        scores: minus infinity where there is no item.
        items: N where there is none.
        num_items: N.

    Returns:
        Scores, falling, and items; minus infinity and N at the end, where items stood twice.
    """
    flat, order = scores.flatten(1).sort(dim=1, descending=True, stable=True)
    flat_items = items.flatten(1).gather(1, order)
    # Sorted by id, and those of one id by score: all but the first of an id are the same item once more.
    by_id, order = flat_items.sort(dim=1, stable=True)
    same = functional.pad(by_id[:, 1:] == by_id[:, :-1], (1, 0))
    again = torch.empty_like(same).scatter(1, order, same)
    flat, order = flat.masked_fill(again, -torch.inf).sort(dim=1, descending=True, stable=True)
    flat_items = flat_items.gather(1, order)
    return flat, torch.where(flat > -torch.inf, flat_items, num_items)


def diverse(
    scores: Float32[Tensor, "B C"], items: Int64[Tensor, "B C"], k: int, diversity: Diversity
) -> Int64[Tensor, "B k_at_most"]:
    """The greedy maximiser of :class:`Diversity`'s value: one item after another, the one that adds most to it.

    Args:
        scores: of the candidates; minus infinity where there is none.
        items: the candidates, each once; N where there is none.
        k: how many are chosen, at most C.
        diversity: what variety is worth.
    """
    categories = diversity.categories.to(items.device)
    none = len(categories)
    category = torch.where(items < none, categories[items.clamp(max=none - 1)], -1)
    gain, chosen = scores.clone(), []
    for _ in range(min(k, items.shape[1])):
        best, pick = gain.max(1, keepdim=True)
        chosen.append(torch.where(best > -torch.inf, items.gather(1, pick), none))
        # Each chosen item of another category adds the weight. As all candidates see the same list, it comes to the
        # same to take the weight from those of the category that was chosen now.
        taken = category.gather(1, pick)
        gain -= diversity.weight * ((category == taken) & (taken >= 0)).to(gain.dtype)
        gain.scatter_(1, pick, -torch.inf)
    return torch.cat(chosen, 1)
