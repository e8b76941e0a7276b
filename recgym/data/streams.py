"""A stream of histories whose items are not all there from the beginning."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from recgym.seeding import make_generator

__all__ = ["StreamConfig", "new_item_stream"]


@dataclass(frozen=True)
class StreamConfig:
    """Settings of :func:`new_item_stream`.

    Attributes:
        items: N at the end of the stream.
        categories: each item is in one, drawn at random.
        records: histories, one after the other.
        length: events of a history.
        open_at_start: share of the items that are there for the first history; the others come at equal distances.
        interests: categories of a history at most.
        concentration: lowest and highest; that of each history lies between, uniformly.
    """

    items: int = 20_000
    categories: int = 100
    records: int = 1_000_000
    length: int = 128
    open_at_start: float = 0.4
    interests: int = 5
    concentration: tuple[float, float] = (1.0, 500.0)

    def __post_init__(self) -> None:
        for name in ("items", "categories", "records", "length", "interests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if not 0.0 < self.open_at_start <= 1.0:
            raise ValueError(f"open_at_start must be above 0 and at most 1, found {self.open_at_start}")
        if not 0.0 < self.concentration[0] <= self.concentration[1]:
            raise ValueError(f"the concentration must be above 0 and its ends in order, found {self.concentration}")
        if self.interests > self.categories:
            raise ValueError(f"a history has up to {self.interests} of only {self.categories} categories")


def new_item_stream(config: StreamConfig, seed: int) -> Int64[np.ndarray, "R T"]:
    """Histories of items out of a few categories, by a Dirichlet process, while new items keep coming.

    History r has between 1 and ``interests`` categories with probabilities H, a flat Dirichlet draw, and a
    concentration a. Its event n (from 1) has a category drawn from H with chance ``a / (a + n - 1)``, and otherwise
    that of one of the events before, each as likely; and an item drawn evenly from those of the category with an id
    below ``N (o + (1 - o) r / R)``, where o is ``open_at_start``. So how often something came up in a history tells
    what comes next, and what is known of items wears off.

    Source: after the synthetic data of arXiv 2402.17152 (Dirichlet process over categories, vocabulary that grows along
    the stream). It is not that data: its sizes and the laws of H, of the categories and of items within one are ours.

    Args:
        config: sizes.
        seed: decides the draws.

    Returns:
        Item ids, one row a history, in the order in which they come.

    Raises:
        ValueError: a category has no item at the start.
    """
    generator = make_generator(seed, "stream", device="numpy")
    assert isinstance(generator, np.random.Generator)
    category = generator.permutation(config.items) % config.categories
    there = np.floor(
        config.items * (config.open_at_start + (1 - config.open_at_start) * np.arange(config.records) / config.records)
    ).astype(np.int64)
    empty = config.categories - len(np.unique(category[: there[0]]))
    if empty:
        raise ValueError(
            f"{empty} of {config.categories} categories have none of the {there[0]} items that are there at the start; "
            "expected more items or fewer categories"
        )
    categories = _categories(config, generator)
    by_category = np.lexsort((np.arange(config.items), category))
    key = category[by_category] * config.items + by_category  # rises, so that what is there is found by bisection
    first = np.searchsorted(key, categories * config.items)
    count = np.searchsorted(key, categories * config.items + there[:, None]) - first
    items: Int64[np.ndarray, "R T"] = by_category[first + generator.integers(0, count)]
    return items


def _categories(config: StreamConfig, generator: np.random.Generator) -> Int64[np.ndarray, "R T"]:
    """The category of each event."""
    records, size = config.records, config.interests
    # The categories of the smallest keys are a draw without replacement.
    chosen = np.argpartition(generator.random((records, config.categories)), size - 1, axis=1)[:, :size]
    several = generator.integers(1, size + 1, records)
    weights = generator.standard_exponential((records, size)) * (np.arange(size) < several[:, None])
    prior: Float64[np.ndarray, "R I"] = np.cumsum(weights, 1) / weights.sum(1, keepdims=True)
    concentration = generator.uniform(*config.concentration, records)
    rows = np.arange(records)
    drawn = np.empty((records, config.length), dtype=np.int64)
    for number in range(config.length):
        fresh = (generator.random(records)[:, None] >= prior).sum(1).clip(max=size - 1)
        drawn[:, number] = chosen[rows, fresh]
        if number:
            anew = generator.random(records) < concentration / (concentration + number)
            earlier = drawn[rows, generator.integers(0, number, records)]
            drawn[:, number] = np.where(anew, drawn[:, number], earlier)
    return drawn
