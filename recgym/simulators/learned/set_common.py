"""What simulators must have in common to be run as a set."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from recgym.simulators.learned.fitted import FittedSimulator

__all__ = ["check_common"]

_PARTS: dict[str, Callable[[FittedSimulator], Any]] = {
    "items": lambda f: f.item_ids.to_list(),
    "item lengths": lambda f: f.item_lengths,
    "response heads": lambda f: f.plan,
    "encoder of user features": lambda f: f.users.to_json(),
    "encoder of item features": lambda f: f.items.to_json(),
    "history window": lambda f: f.config.history,
    "slate sizes": lambda f: (f.facts.sizes, f.facts.last_position, f.facts.imputed),
    "clock": lambda f: np.array([f.sessions.base_step_s, f.sessions.leave_probability]),
    "logged users": lambda f: f.snapshots.user,
    "records of logged users": lambda f: f.snapshots.items,
}


def check_common(members: Sequence[FittedSimulator]) -> None:
    """Make sure that simulators differ in nothing but their networks.

    Raises:
        ValueError: there are none, or two differ; the sentence says in what.
    """
    if not members:
        raise ValueError("a set of simulators needs at least one member, found none")
    for number, part in _differences(members):
        raise ValueError(
            f"the members of a set must be fitted to one log with the same heads and encoders, as fit_set does: the "
            f"{part} of member {number} differ from those of member 0"
        )


def _differences(members: Sequence[FittedSimulator]) -> Iterator[tuple[int, str]]:
    """Members that differ from the first, and in what."""
    for part, of in _PARTS.items():
        first = of(members[0])
        for number, member in enumerate(members[1:], 1):
            if not _equal(first, of(member)):
                yield number, part


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)
