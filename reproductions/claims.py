"""What every reproduction shares: claims with intervals, and the record of where a figure comes from."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from recgym.files import write_json
from recgym.stats import t_interval

__all__ = ["RESULTS", "Claim", "at_least", "at_most", "difference", "write_result"]

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Claim:
    """One thing that the run could have shown to be false.

    Attributes:
        claim: a sentence.
        value: what was found.
        low: lower end of its 95 % interval; equal to ``value`` where there is none.
        high: upper end.
        reference: what it is held against.
        holds: whether it was met.
    """

    claim: str
    value: float
    low: float
    high: float
    reference: float
    holds: bool

    def __str__(self) -> str:
        mark = "holds" if self.holds else "FAILS"
        return f"{mark}: {self.claim}: {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] against {self.reference:g}"


def at_least(claim: str, values: Sequence[float], reference: float) -> Claim:
    """That a mean over seeds is at least a reference (Student's t over seeds; the mean itself is compared)."""
    mean, low, high = _interval(values)
    return Claim(claim, mean, low, high, reference, mean >= reference)


def at_most(claim: str, values: Sequence[float], reference: float) -> Claim:
    """That a mean over seeds is at most a reference."""
    mean, low, high = _interval(values)
    return Claim(claim, mean, low, high, reference, mean <= reference)


def difference(claim: str, ours: Sequence[float], theirs: Sequence[float], reference: float = 0.0) -> Claim:
    """That a paired difference over seeds lies above a reference with its whole 95 % interval."""
    mean, low, high = _interval(np.asarray(ours) - np.asarray(theirs))
    return Claim(claim, mean, low, high, reference, low > reference)


def _interval(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return float(array.mean()), float(array.mean()), float(array.mean())
    interval = t_interval(array)
    return float(interval.mean), float(interval.low), float(interval.high)


def write_result(
    path: Path,
    name: str,
    command: str,
    seeds: Sequence[int],
    seconds: float,
    rows: Sequence[dict[str, Any]],
    claims: Sequence[Claim],
    notes: Sequence[str] = (),
) -> bool:
    """Write the result of a reproduction; returns whether every claim holds."""
    packages = ("recgym", "torch", "numpy", "gymnasium")
    write_json(
        path,
        {
            "name": name,
            "command": command,
            "seeds": list(seeds),
            "seconds": round(seconds, 1),
            "versions": {"python": platform.python_version(), **{package: version(package) for package in packages}},
            "rows": list(rows),
            "claims": [asdict(claim) for claim in claims],
            "notes": list(notes),
        },
    )
    for claim in claims:
        print(claim, file=sys.stderr)
    return all(claim.holds for claim in claims)
