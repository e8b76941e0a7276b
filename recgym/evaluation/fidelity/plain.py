"""Numbers as JSON can hold them."""

import math
from collections.abc import Mapping
from typing import Any

from recgym.stats import Interval

__all__ = ["bounds", "plain"]


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with null for NaN and infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def bounds(**intervals: Interval) -> dict[str, Any]:
    """Each interval as ``NAME``, ``NAME_low`` and ``NAME_high``; null for what is not defined."""
    flat: dict[str, Any] = {}
    for name, interval in intervals.items():
        flat |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return plain(flat)
