"""The three measures of the RecSys Challenge 2018 (playlist continuation), which are not those of the same name.

With the withheld tracks G of a playlist and the list R of at most 500 recommended tracks:

- R-precision: ``|G and R[1..|G|]| / |G|``; with artists ``(|S_T and G_T| + 0.25 |S_A and G_A|) / |G_T|``, where S are
  the tracks (and their artists) of the first |G_T| places and G_A the artists of G. Credit is also given to the artists
  of tracks that are hits themselves, so a perfect list is worth more than 1.
- NDCG: ``DCG = rel_1 + sum_{i >= 2} rel_i / log2(i)`` and ``IDCG = 1 + sum_{i = 2}^{|G and R|} 1 / log2(i)``: places 1
  and 2 are worth the same, and the ideal holds only as many tracks as were found, so that a single hit in front is
  worth 1 whatever was missed. (The organisers' scoring script has the usual NDCG instead, which is ``ndcg@500``.)
- recommended-songs clicks: how often a page of 10 has to be refreshed until a withheld track is on it,
  ``floor((min rank - 1) / 10)``; 51 if there is none. Lower is better.

Source: https://recsys-challenge.spotify.com/rules; Chen, Lamere, Schedl, Zamani, RecSys Challenge 2018, RecSys 2018
(the part with artists).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int64

from recgym.evaluation.ranking.intervals import UserBootstrap
from recgym.evaluation.ranking.metrics import best_rank
from recgym.evaluation.ranking.report import RankingReport
from recgym.stats import Interval

__all__ = [
    "CHALLENGE_LENGTH", "challenge_metrics", "challenge_ndcg", "r_precision", "r_precision_with_artists",
    "recommended_songs_clicks",
]  # fmt: skip

CHALLENGE_LENGTH = 500
"""Length of a list in the challenge."""

_PAGE = 10
_ARTIST_CREDIT = 0.25


def r_precision(ranks: Int64[np.ndarray, "P"], query: Int64[np.ndarray, "P"], queries: int) -> Float64[np.ndarray, "Q"]:
    """Share of a query's targets among as many first places as it has targets.

    Args:
        ranks: place of each target, from 1.
        query: of which query; every query has a target.
        queries: Q.
    """
    count = np.bincount(query, minlength=queries)
    return np.bincount(query[ranks <= np.minimum(count, CHALLENGE_LENGTH)[query]], minlength=queries) / count


def r_precision_with_artists(
    lists: Int64[np.ndarray, "Q K"],
    targets: Int64[np.ndarray, "P"],
    query: Int64[np.ndarray, "P"],
    artists: Int64[np.ndarray, "N"],
) -> Float64[np.ndarray, "Q"]:
    """R-precision with a quarter credit for each artist that is right.

    Args:
        lists: recommended items, the best first; N where there are no more.
        targets: distinct withheld items.
        query: of which query; every query has a target.
        artists: artist of each item, not negative.

    Raises:
        ValueError: a query has more targets than the lists have places.
    """
    queries, places = lists.shape
    count = np.bincount(query, minlength=queries)
    wanted = np.minimum(count, CHALLENGE_LENGTH)
    if wanted.max() > places:
        raise ValueError(f"a query has {wanted.max()} targets, but the lists hold only {places} items; ask for more")
    given = (np.arange(places) < wanted[:, None]) & (lists < len(artists))
    rows = np.nonzero(given)[0]
    shown = lists[given]

    def common(mine: np.ndarray, theirs: np.ndarray, size: int) -> np.ndarray:
        """How many distinct (query, thing) pairs both have, a query."""
        both = np.intersect1d(rows * size + mine, query * size + theirs)
        return np.bincount(both // size, minlength=queries)

    tracks = common(shown, targets, len(artists))
    right = common(artists[shown], artists[targets], int(artists.max()) + 1)
    return (tracks + _ARTIST_CREDIT * right) / count


def challenge_ndcg(
    ranks: Int64[np.ndarray, "P"], query: Int64[np.ndarray, "P"], queries: int
) -> Float64[np.ndarray, "Q"]:
    """The NDCG of the challenge's rules; 0 where nothing was found. Arguments as for :func:`r_precision`."""
    found = ranks <= CHALLENGE_LENGTH
    gain = 1 / np.log2(np.maximum(ranks[found], 2))
    ideal = np.cumsum(1 / np.log2(np.maximum(np.arange(1, CHALLENGE_LENGTH + 1), 2)))
    hits = np.bincount(query[found], minlength=queries)
    total = np.bincount(query[found], weights=gain, minlength=queries)
    return np.where(hits > 0, total / ideal[np.maximum(hits, 1) - 1], 0.0)


def recommended_songs_clicks(
    ranks: Int64[np.ndarray, "P"], query: Int64[np.ndarray, "P"], queries: int
) -> Float64[np.ndarray, "Q"]:
    """Refreshes until the first target shows, 51 for never. Arguments as for :func:`r_precision`."""
    best = best_rank(ranks, query, queries)
    return np.where(best <= CHALLENGE_LENGTH, (best - 1) // _PAGE, CHALLENGE_LENGTH // _PAGE + 1.0)


def challenge_metrics(
    report: RankingReport, artists: Int64[np.ndarray, "N"] | None = None, bootstrap: UserBootstrap | None = None
) -> Mapping[str, Interval]:
    """The challenge's measures of a report, with intervals over users.

    Args:
        report: of a recommender that ranks the catalogue, or serves lists of 500.
        artists: artist of each item, for the R-precision with artists; None to leave that out.
        bootstrap: of the queries' users; None for the default one.

    Raises:
        ValueError: the served lists are shorter than 500 (and than the catalogue), or for the part with artists the
            lists are shorter than the number of targets of a query.
    """
    needed = min(CHALLENGE_LENGTH, report.queries.num_items)
    if report.served is not None and report.served < needed:
        raise ValueError(f"the challenge judges lists of {needed} items, found {report.served}; give a cut of {needed}")
    query, queries = report.queries.target_query, len(report.queries)
    found = {
        "recsys2018_r_precision": r_precision(report.ranks, query, queries),
        "recsys2018_ndcg": challenge_ndcg(report.ranks, query, queries),
        "recsys2018_clicks": recommended_songs_clicks(report.ranks, query, queries),
    }
    if artists is not None:
        found["recsys2018_r_precision_with_artists"] = r_precision_with_artists(
            report.lists, report.queries.targets, query, artists
        )
    return (bootstrap or UserBootstrap(report.queries.users)).means(found)
