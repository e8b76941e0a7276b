"""The bootstrap: an estimator run again on resamples of rounds, episodes or clusters of them.

A resample is a vector of how often each row was drawn, so that sums over all resamples are matrix products. Few rows
are drawn as a multinomial (the bootstrap of Efron, 1979). For many rows the counts are drawn independently, each from
a Poisson law of mean 1 (Hanley and MacGibbon, 2006), and the estimate divides by what was drawn: the two agree to
order ``1 / n``, and independent counts are made block by block, without holding or sorting anything.
"""

from collections.abc import Iterator, Sequence
from math import exp, factorial
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from recgym.ope.base import Estimator, Fraction, Rerun

__all__ = ["poisson_table", "resample", "resample_fractions"]

MULTINOMIAL_ROWS = 10_000
"""Up to so many rows the counts are multinomial."""
_ROWS, _RESAMPLES = 16_384, 64
"""A block of counts in float32 takes 4 MB, what a processor's cache holds."""
_CELLS = 16_777_216
"""Counts that an estimator which chooses anew is given at once."""


def resample(
    estimator: Estimator[Any],
    data: Any,
    resamples: int,
    generator: np.random.Generator,
    cluster: Int64[np.ndarray, "n"] | None = None,
) -> Float64[np.ndarray, "R"]:
    """The estimate on each resample.

    Args:
        estimator: of form :class:`~recgym.ope.base.Rerun` if it chooses by the data; it then does so in each resample.
        data: what it estimates from.
        resamples: how many.
        generator: of the draws.
        cluster: rows of one number are drawn together, because they are not independent (rounds of one user); rows
            are drawn alone if None.

    Returns:
        NaN where a resample says nothing, because all rows of weight were left out.
    """
    if not isinstance(estimator, Rerun):
        plain: np.ndarray = resample_fractions([estimator.fractions(data)], resamples, generator, cluster)[0]
        return plain
    names, member = np.unique(cluster, return_inverse=True) if cluster is not None else (np.empty(0), None)
    units = data.n if member is None else names.size
    values = [
        estimator.rerun(data, counts if member is None else counts[:, member])
        for counts in _counts(units, resamples, generator, max(1, _CELLS // data.n))
    ]
    return np.concatenate(values)


def resample_fractions(
    groups: Sequence[tuple[Fraction, ...]],
    resamples: int,
    generator: np.random.Generator,
    cluster: Int64[np.ndarray, "n"] | None = None,
) -> Float64[np.ndarray, "G R"]:
    """Several estimates, each a sum of fractions over the same rows, on the same resamples.

    Each part is taken less its share of the estimate, ``numerator - estimate * denominator``, before it is summed:
    what is left is of the size of the error, so that single precision does no harm.

    Args:
        groups: the fractions of each estimate.
        resamples: how many.
        generator: of the draws.
        cluster: as for :func:`resample`.

    Returns:
        NaN where a resample says nothing.
    """
    columns: list[np.ndarray] = [np.ones(len(groups[0][0].numerator))]
    plans = []
    for fractions in groups:
        estimate, pairs = 0.0, []
        for numerator, denominator in fractions:
            below = columns[0] if denominator is None else denominator
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = float(np.divide(numerator.sum(), below.sum()))
            ratio = ratio if np.isfinite(ratio) else 0.0
            estimate += ratio
            pairs.append((_place(columns, numerator - ratio * below), _place(columns, below)))
        plans.append((estimate, pairs))
    sums = _resampled_sums(_by_cluster(np.stack(columns, 1), cluster), resamples, generator)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [
            estimate + sum(sums[:, above] / sums[:, below] for above, below in pairs) for estimate, pairs in plans
        ]
    return np.stack(values)


def _place(columns: list[np.ndarray], column: np.ndarray) -> int:
    """Where the column stands, put at the end unless it is there already."""
    for index, known in enumerate(columns):
        if known is column:
            return index
    columns.append(column)
    return len(columns) - 1


def _by_cluster(columns: np.ndarray, cluster: np.ndarray | None) -> np.ndarray:
    if cluster is None:
        return columns
    names, member = np.unique(cluster, return_inverse=True)
    return np.stack([np.bincount(member, weights=column, minlength=names.size) for column in columns.T], 1)


def _resampled_sums(
    columns: Float64[np.ndarray, "n C"], resamples: int, generator: np.random.Generator
) -> Float64[np.ndarray, "R C"]:
    n = len(columns)
    sums = np.zeros((resamples, columns.shape[1]))
    if n <= MULTINOMIAL_ROWS:
        done = 0
        for counts in _counts(n, resamples, generator, max(1, _CELLS // 4 // n)):
            sums[done : done + len(counts)] = counts @ columns
            done += len(counts)
        return sums
    scale = np.abs(columns).max(0)
    small = (columns / np.where(scale > 0, scale, 1.0)).astype(np.float32)
    table = poisson_table()
    block = np.empty((_RESAMPLES, _ROWS), np.float32)
    for begin in range(0, n, _ROWS):
        part = small[begin : begin + _ROWS]
        for first in range(0, resamples, _RESAMPLES):
            rows = min(_RESAMPLES, resamples - first)
            counts = _poisson(table, rows, len(part), generator, block)
            sums[first : first + rows] += counts @ part
    total: np.ndarray = sums * scale
    return total


def _counts(units: int, resamples: int, generator: np.random.Generator, at_once: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn, ``[at_once, units]`` at a time."""
    table = poisson_table()
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        if units <= MULTINOMIAL_ROWS:
            drawn = generator.integers(0, units, size=(rows, units), dtype=np.int32)
            drawn += np.arange(rows, dtype=np.int32)[:, None] * units
            yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        else:
            block = np.empty((rows, units), np.float32)
            yield _poisson(table, rows, units, generator, block).astype(np.float64)


def poisson_table() -> Float32[np.ndarray, "65536"]:
    """Counts to look up by 16 random bits: each as often as a Poisson law of mean 1 gives it, and of mean 1 exactly.

    A count of k stands in the table ``65536 exp(-1) / k!`` times, rounded; the rounding is made up for among zeros,
    ones and twos.
    """
    often = [round(65536 * exp(-1) / factorial(k)) for k in range(9)]
    short = 65536 - sum(k * times for k, times in enumerate(often))
    often[1] += short
    often[0] += 65536 - sum(often)
    return np.repeat(np.arange(9, dtype=np.float32), often)


def _poisson(
    table: np.ndarray, rows: int, columns: int, generator: np.random.Generator, block: np.ndarray
) -> Float32[np.ndarray, "rows columns"]:
    """Counts from the table, 16 bits each of a stream of 64-bit draws; written over ``block``."""
    cells = rows * columns
    words = generator.integers(0, 2**64 - 1, size=-(-cells // 4), dtype=np.uint64, endpoint=True)
    index = words.view(np.uint16)[:cells]
    flat: np.ndarray = block.reshape(-1)[:cells]
    np.take(table, index, out=flat, mode="clip")
    return flat.reshape(rows, columns)
