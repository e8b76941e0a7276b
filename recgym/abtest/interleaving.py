"""Rankers compared on the same users: their lists are woven into one, and clicks go to whoever put the item there.

Sources: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?" (CIKM 2008) for
team-draft; Schuth, Sietsma, Whiteson, Lefortier and de Rijke, "Multileaved comparisons for fast online evaluation"
(CIKM 2014) for more than two rankers.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

__all__ = ["Interleaved", "credit", "interleave", "preference"]


class Interleaved(NamedTuple):
    """Lists to show, of many users.

    Attributes:
        items: shown, in order.
        team: the ranker that put each of them there.
    """

    items: Int64[np.ndarray, "B K"]
    team: Int64[np.ndarray, "B K"]


def interleave(rankings: Int64[np.ndarray, "B A N"], length: int, generator: np.random.Generator) -> Interleaved:
    """Team-draft: in each round the rankers, in an order drawn anew, each add their best item that is not yet there.

    With two rankers this is team-draft interleaving, with more team-draft multileaving. The loop is over the positions
    shown.

    Args:
        rankings: items of each ranker, best first; every ranker lists the same N items or more than ``length``.
        length: K, items to show.
        generator: the source of randomness.

    Raises:
        ValueError: fewer than two rankers, or lists shorter than what is shown.
    """
    users, rankers, longest = rankings.shape
    if rankers < 2 or not 1 <= length <= longest:
        raise ValueError(
            f"found {rankers} rankers with lists of {longest} items, expected 2 or more with {length} items"
        )
    rows = np.arange(users)
    taken = np.zeros((users, int(rankings.max()) + 1), dtype=bool)
    items, team = np.empty((users, length), dtype=np.int64), np.empty((users, length), dtype=np.int64)
    turn = np.empty((users, rankers), dtype=np.int64)
    for position in range(length):
        place = position % rankers
        if place == 0:  # a new round
            turn = generator.random((users, rankers)).argsort(1)
        mine = rankings[rows, turn[:, place]]
        free = ~np.take_along_axis(taken, mine, 1)
        item = mine[rows, free.argmax(1)]
        items[:, position], team[:, position] = item, turn[:, place]
        taken[rows, item] = True
    return Interleaved(items, team)


def credit(
    shown: Interleaved, clicks: Bool[np.ndarray, "B K"] | Float64[np.ndarray, "B K"], rankers: int
) -> Float64[np.ndarray, "B A"]:
    """Clicks, or any feedback, of each user that go to each ranker.

    Args:
        shown: what was shown.
        clicks: feedback at each position.
        rankers: A.
    """
    belongs = shown.team[:, :, None] == np.arange(rankers)
    earned: np.ndarray = (belongs * np.asarray(clicks, dtype=np.float64)[:, :, None]).sum(1)
    return earned


def preference(earned: Float64[np.ndarray, "B A"], first: int = 1, second: int = 0) -> tuple[float, float]:
    """By how much users prefer one ranker to another, and the p-value of no preference.

    Each user who gave one of the two more credit has a vote, ties are dropped, and votes are put to a sign test. The
    preference is the share of votes for ``first`` minus 1/2: 0 for equal rankers.

    Args:
        earned: credit of each user; users must be independent, so several lists of one user are summed before.
        first: a ranker.
        second: another.
    """
    difference = earned[:, first] - earned[:, second]
    wins, votes = int((difference > 0).sum()), int((difference != 0).sum())
    if votes == 0:
        return 0.0, 1.0
    return wins / votes - 0.5, float(stats.binomtest(wins, votes).pvalue)
