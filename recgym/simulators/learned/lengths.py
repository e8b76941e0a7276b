"""How long items are, and whether an amount of time is better told as a share of that."""

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64

from recgym.data.schema import Channel, ChannelKind

__all__ = ["LENGTH_COLUMNS", "UNIT_S", "item_lengths", "tells_more_as_share"]

LENGTH_COLUMNS = {"duration_s": 1.0, "duration_ms": 1e-3, "length_s": 1.0, "length_ms": 1e-3}
"""Item features that hold how long an item is, and how many seconds their unit is."""

UNIT_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
"""Seconds in the units that a duration may have."""

_FEWEST = 200
_BINS = 60


def item_lengths(features: pl.DataFrame | None, n_items: int) -> Float32[np.ndarray, "N_plus_1"]:
    """Length of each item in seconds, from the first of :data:`LENGTH_COLUMNS` that is there.

    Where it is not known, and for the unknown item at index N, it is the median of the others; 1 if none is known.
    """
    lengths = np.full(n_items + 1, np.nan)
    name = next((name for name in LENGTH_COLUMNS if features is not None and name in features.columns), None)
    if features is not None and name is not None:
        seconds = features[name].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy() * LENGTH_COLUMNS[name]
        lengths[:-1] = np.where(np.isfinite(seconds) & (seconds > 0), seconds, np.nan)
    known = lengths[np.isfinite(lengths)]
    return np.where(np.isfinite(lengths), lengths, np.median(known) if known.size else 1.0).astype(np.float32)


def tells_more_as_share(channel: Channel, values: Float64[np.ndarray, "n"], lengths: Float64[np.ndarray, "n"]) -> bool:
    """Whether the values of a channel lie closer together as shares of the item's length.

    On a logarithmic scale dividing by the length only shifts each value, so that the entropies before and after can
    be compared: watching follows the length of the video, reading its comments does not.

    Args:
        channel: the channel.
        values: its values above 0.
        lengths: length of the item of each value, in seconds.
    """
    if channel.kind is not ChannelKind.DURATION or channel.unit not in UNIT_S or values.size < _FEWEST:
        return False
    if np.ptp(lengths) == 0:
        return False
    return _entropy(np.log(values / lengths)) < _entropy(np.log(values))


def _entropy(numbers: np.ndarray) -> float:
    """Differential entropy from a histogram, its outermost thousandths folded in."""
    low, high = np.quantile(numbers, [0.001, 0.999])
    if low == high:
        return -np.inf
    counts, edges = np.histogram(np.clip(numbers, low, high), _BINS, (low, high))
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share / (edges[1] - edges[0]))).sum())
