"""The bootstrap: an estimator run again on resamples of rounds, episodes or clusters of them.

A resample is a vector of how often each row was drawn, so that sums over all resamples are matrix products. Few rows
are drawn as a multinomial (the bootstrap of Efron, 1979). For many rows the counts are independent and the estimate
divides by what was drawn; any law of mean 1 and variance 1 serves then (Praestgaard and Wellner, 1993), the usual one
is Poisson's (Hanley and MacGibbon, 2006). Ours is that one rounded to multiples of 1/256, with both moments exact, so
that a count costs one random byte. Independent counts are made block by block, without holding or sorting anything.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from recgym.ope.base import Estimator, Fraction, Rerun

__all__ = ["COUNT_THRESHOLDS", "resample", "resample_fractions"]

MULTINOMIAL_ROWS = 10_000
"""Up to so many rows the counts are multinomial."""
COUNT_THRESHOLDS = np.array([94, 189, 235, 251, 255], dtype=np.uint8)
"""A byte counts as often as it reaches one of these: 0 to 5 times with chances (94, 95, 46, 16, 4, 1) / 256."""
_ROWS, _RESAMPLES = 16_384, 32
"""A block of counts takes 2 MB in float32, which stays in a processor's cache."""
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
    block = np.empty((_RESAMPLES, _ROWS), np.float32)
    for begin in range(0, n, _ROWS):
        part = small[begin : begin + _ROWS]
        for first in range(0, resamples, _RESAMPLES):
            rows = min(_RESAMPLES, resamples - first)
            counts = _independent(rows, len(part), generator, block)
            sums[first : first + rows] += counts @ part
    total: np.ndarray = sums * scale
    return total


def _counts(units: int, resamples: int, generator: np.random.Generator, at_once: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn, ``[at_once, units]`` at a time."""
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        if units <= MULTINOMIAL_ROWS:
            drawn = generator.integers(0, units, size=(rows, units), dtype=np.int32)
            drawn += np.arange(rows, dtype=np.int32)[:, None] * units
            yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        else:
            block = np.empty((rows, units), np.float32)
            yield _independent(rows, units, generator, block).astype(np.float64)


def _independent(
    rows: int, columns: int, generator: np.random.Generator, block: np.ndarray
) -> Float32[np.ndarray, "rows columns"]:
    """Counts from 8 bits each of a stream of 64-bit draws, by comparison with thresholds; written over ``block``.

    Comparing bytes and adding the answers takes half the time of looking the counts up in a table.
    """
    cells = rows * columns
    words = generator.integers(0, 2**64 - 1, size=-(-cells // 8), dtype=np.uint64, endpoint=True)
    byte = words.view(np.uint8)[:cells]
    count = (byte >= COUNT_THRESHOLDS[0]).view(np.uint8)
    above = np.empty(cells, bool)
    for threshold in COUNT_THRESHOLDS[1:]:
        np.greater_equal(byte, threshold, out=above)
        np.add(count, above.view(np.uint8), out=count)
    drawn = block.reshape(-1)[:cells]
    np.copyto(drawn, count)
    return drawn.reshape(rows, columns)
