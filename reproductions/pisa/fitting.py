"""How a model of the table is fitted: what every one gets and gives."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from recgym.evaluation.ranking import RankingQueries, Recommender
from recgym.seeding import make_generator
from reproductions.pisa.data import Cut

__all__ = ["Fit", "Fitted", "quick_look"]


class Fitted(NamedTuple):
    """A model and how it came about.

    Attributes:
        model: to be judged.
        notes: settings and the like, for the row of the table.
    """

    model: Recommender
    notes: dict[str, Any]


Fit = Callable[[Cut, int], Fitted]
"""Fits a model to the training part of a log, given a seed; what it chooses, it chooses on the validation sessions."""


def quick_look(queries: RankingQueries, seed: int, count: int = 1000) -> RankingQueries:
    """Some of the queries, drawn, for choosing settings and epochs."""
    if len(queries) <= count:
        return queries
    draw = make_generator(seed, "pisa validation", device="numpy")
    assert isinstance(draw, np.random.Generator)
    return queries.take(np.sort(draw.choice(len(queries), count, replace=False)), f"{count} drawn")
