"""What users consume unasked between two steps."""

import numpy as np

from recgym.arrays import to_numpy
from recgym.simulators.organic import Visit
from recgym.testing.checks import expect_array

__all__ = ["check_visit"]


def check_visit(visit: Visit, users: int, longest: int, num_items: int, channels: int, where: str) -> None:
    """Sizes, types and order of the events of a visit.

    Args:
        visit: what is checked.
        users: B.
        longest: E, as the model says.
        num_items: N.
        channels: F.
        where: begins every sentence.

    Raises:
        AssertionError: a promise is broken.
    """
    shape = (users, longest)
    for name, array, expected, dtype in (
        ("items", visit.items, shape, "int64"),
        ("feedback", visit.feedback, (*shape, channels), "float32"),
        ("after_s", visit.after_s, shape, "float64"),
        ("mask", visit.mask, shape, "bool"),
        ("seconds", visit.seconds, (users,), "float64"),
    ):
        expect_array(array, expected, dtype, f"{where}: {name}")
    items, feedback, after, mask, seconds = (to_numpy(part) for part in visit)
    assert (np.diff(mask.astype(int), axis=1) <= 0).all(), f"{where}: events are not left-aligned"
    legal = np.where(mask, (items >= 0) & (items < num_items), items == num_items)
    assert legal.all(), f"{where}: an item outside 0..{num_items - 1}, or wrong padding"
    assert (feedback.any(axis=2) == mask).all(), f"{where}: an event without feedback, or feedback without an event"
    times = np.where(mask, after, seconds[:, None])  # so that padding comes last
    assert (np.diff(times, axis=1, prepend=0.0) >= 0)[mask].all(), f"{where}: events are not in the order of time"
    assert (times.max(axis=1) <= seconds).all(), f"{where}: an event comes after the end of the visit"
