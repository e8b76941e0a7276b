"""What a query's ranks are worth, by the usual measures; each is a number a query, to be averaged later.

With targets G of a query, their ranks r (1 is best) and a cut k:

- ``hr@k``: 1 if any target is among the first k, else 0.
- ``recall@k``: share of the targets among the first k: ``|{r <= k}| / |G|``. For a single target it equals ``hr@k``.
- ``ndcg@k``: ``sum_{r <= k} 1 / log2(r + 1)``, divided by the same sum for the ideal ranks 1 to ``min(k, |G|)``.
- ``mrr@k``: ``1 / r`` of the best target if it is among the first k, else 0; ``mrr``: the same without a cut.
"""

from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np
from jaxtyping import Bool, Float64, Int64

__all__ = ["Targets", "best_rank", "hits", "query_metrics"]


class Targets(Enum):
    """Which targets count.

    The ranking stays what it is; a query counts if it has such a target, and its other targets are then as irrelevant
    as any item. ``REPEATED`` ones are in the history of their query, ``EXPLORED`` ones are new to the user.
    """

    ALL = "all"
    REPEATED = "repeated"
    EXPLORED = "explored"

    def chosen(self, repeated: Bool[np.ndarray, "P"]) -> Bool[np.ndarray, "P"]:
        """Which of the targets count, given whether each is a repeat."""
        if self is Targets.ALL:
            return np.ones_like(repeated)
        return repeated if self is Targets.REPEATED else ~repeated


def query_metrics(
    ranks: Int64[np.ndarray, "P"],
    query: Int64[np.ndarray, "P"],
    queries: int,
    ks: Sequence[int],
    ranked_to: int | None = None,
) -> Mapping[str, Float64[np.ndarray, "Q"]]:
    """The measures of the module's head, by name; NaN for a query without targets.

    Args:
        ranks: place of each target, from 1.
        query: of which query, ``0..queries-1``.
        queries: Q.
        ks: cuts.
        ranked_to: how far the ranking goes; None to its end. ``mrr`` needs the end and is left out otherwise.

    Raises:
        ValueError: a cut is below 1 or beyond the ranking.
    """
    for k in ks:
        if k < 1 or (ranked_to is not None and k > ranked_to):
            bound = "" if ranked_to is None else f" and at most {ranked_to}, the length of the list"
            raise ValueError(f"a metric's cut must be at least 1{bound}, found {k}")
    count = np.bincount(query, minlength=queries)
    gain = 1 / np.log2(ranks + 1.0)
    ideal = np.append(0.0, np.cumsum(1 / np.log2(np.arange(2, max(count.max(initial=0), *ks, 1) + 2))))
    best = best_rank(ranks, query, queries)
    found: dict[str, np.ndarray] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for k in ks:
            hit = hits(ranks, query, queries, k)
            found[f"hr@{k}"] = (hit > 0).astype(np.float64)
            found[f"ndcg@{k}"] = (
                np.bincount(query, weights=gain * (ranks <= k), minlength=queries) / ideal[np.minimum(count, k)]
            )
            found[f"mrr@{k}"] = np.where(best <= k, 1 / best, 0.0)
            found[f"recall@{k}"] = hit / count
        if ranked_to is None:
            found["mrr"] = 1 / best
    return {name: np.where(count > 0, value, np.nan) for name, value in found.items()}


def hits(ranks: Int64[np.ndarray, "P"], query: Int64[np.ndarray, "P"], queries: int, k: int) -> Int64[np.ndarray, "Q"]:
    """How many targets of each query are among the first k."""
    return np.bincount(query[ranks <= k], minlength=queries)


def best_rank(ranks: Int64[np.ndarray, "P"], query: Int64[np.ndarray, "P"], queries: int) -> Float64[np.ndarray, "Q"]:
    """The rank of each query's best target; infinity for a query without targets."""
    best = np.full(queries, np.inf)
    np.minimum.at(best, query, ranks.astype(np.float64))
    return best
