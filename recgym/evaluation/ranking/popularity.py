"""Whether a recommender shows more popular items than users take: popularity bias, and coverage of the catalogue."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from recgym.stats import Interval

__all__ = ["catalogue_coverage", "popularity_metrics"]


def popularity_metrics(
    lists: Int64[np.ndarray, "Q K"],
    targets: Int64[np.ndarray, "P"],
    query: Int64[np.ndarray, "P"],
    popularity: Int64[np.ndarray, "N"],
    ks: Sequence[int],
) -> Mapping[str, Float64[np.ndarray, "Q"]]:
    """How popular the first k recommended items of each query are, beside what was consumed.

    Popularity is how often an item was consumed in training, as the percentile among all items (the share of items
    that are less popular, ties counting one half; ``popularity_percentile``) or as ``ln(1 + count)``
    (``log_popularity``). ``..._bias@k`` is recommended less consumed: above 0 for a recommender that prefers the
    popular more than users do.

    Args:
        lists: recommended items, the best first; N where there are no more.
        targets: what was consumed.
        query: of which query each target is.
        popularity: count of each item.
        ks: cuts, each at most K.

    Returns:
        One number a query; NaN where nothing was recommended.
    """
    scales = {
        "popularity_percentile": (stats.rankdata(popularity) - 0.5) / len(popularity),
        "log_popularity": np.log1p(popularity),
    }
    found: dict[str, np.ndarray] = {}
    given = lists < len(popularity)
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, scale in scales.items():
            consumed = np.bincount(query, weights=scale[targets], minlength=len(lists)) / np.bincount(
                query, minlength=len(lists)
            )
            total = np.cumsum(np.append(scale, 0.0)[lists], axis=1)
            found[f"consumed_{name}"] = consumed
            for k in ks:
                found[f"{name}@{k}"] = total[:, k - 1] / given[:, :k].sum(1)
                found[f"{name}_bias@{k}"] = found[f"{name}@{k}"] - consumed
    return found


def catalogue_coverage(
    lists: Int64[np.ndarray, "Q K"],
    users: Int64[np.ndarray, "Q"],
    num_items: int,
    k: int,
    level: float = 0.95,
) -> Interval:
    """Share of the catalogue that stands among the first k of any query's list.

    The interval is that of the delete-one-user jackknife: a bootstrap sample holds only some 63 % of the users, so it
    sees fewer items and its interval would lie below the estimate.

    Args:
        lists: recommended items, the best first; N where there are no more.
        users: whose list each is.
        num_items: N.
        k: cut, at most K.
        level: confidence level.
    """
    names, user = np.unique(users, return_inverse=True)
    items = lists[:, :k]
    pairs = np.unique((items * len(names) + user[:, None])[items < num_items])
    item, owner = np.divmod(pairs, len(names))
    shown, first, count = np.unique(item, return_index=True, return_counts=True)
    estimate = len(shown) / num_items
    if len(names) < 2:
        return Interval(estimate, float("nan"), float("nan"))
    lost = np.bincount(owner[first[count == 1]], minlength=len(names)) / num_items  # shown to that user alone
    error = np.sqrt((len(names) - 1) / len(names) * ((lost - lost.mean()) ** 2).sum())
    half = float(stats.norm.ppf((1 + level) / 2) * error)
    return Interval(estimate, max(estimate - half, 0.0), min(estimate + half, 1.0))
