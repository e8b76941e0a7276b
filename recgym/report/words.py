"""Figures and names as a reader wants them."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bound", "bounds", "duration", "listed", "share", "with_bounds"]

Result = Mapping[str, Any]


def bound(entry: Result, side: str, value: str) -> float:
    """One bound of an entry's interval, ``low`` or ``high``; the value itself where none is known."""
    known = entry.get(side)
    return float(entry[value] if known is None else known)


def bounds(entry: Result, prefix: str = "") -> str | None:
    """The interval of an entry, ``low`` to ``high`` (or ``PREFIX_low`` to ``PREFIX_high``); None if it has none."""
    low, high = (entry.get(f"{prefix}_{side}" if prefix else side) for side in ("low", "high"))
    return None if low is None or high is None else f"{low:.4g} to {high:.4g}"


def with_bounds(entry: Result, value: str) -> str:
    """A value of an entry, with its interval in brackets if it has one."""
    interval = bounds(entry)
    return f"{entry[value]:.4g}" + (f" ({interval})" if interval else "")


def share(value: float | None) -> str | None:
    """A share as a percentage."""
    return None if value is None else f"{100 * value:.3g} %"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def duration(seconds: float) -> str:
    """A time span in minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"
