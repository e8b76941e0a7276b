"""Parameters that differ by row, and the groups that they make."""

import numpy as np
import pytest

from recgym.arrays import from_numpy, to_numpy
from recgym.seeding import make_generator
from recgym.simulators.worlds import Worlds


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_rows_with_equal_parameters_share_a_group(device: str) -> None:
    worlds = Worlds({"patience": (9.0, 5.0, 9.0, 9.0), "pull": (1.0, 1.0, 1.0, 2.0)}, device)
    generator = make_generator(0, "users", device=device)
    group = worlds.groups(4, generator, None)
    assert worlds.differ
    assert to_numpy(group).tolist() == [0, 1, 0, 2], "numbered as they appear"
    assert to_numpy(worlds.value("patience", group)).tolist() == [9, 5, 9, 9]
    assert to_numpy(worlds.value("pull", group)).tolist() == [1, 1, 1, 2]
    rows = worlds.groups(2, generator, from_numpy(np.array([3, 1]), device))
    assert to_numpy(rows).tolist() == [2, 1]


def test_one_world_for_all() -> None:
    worlds = Worlds({"patience": 9.0, "pull": (1.0,)}, "numpy")
    assert not worlds.differ
    assert worlds.groups(7, make_generator(0, "users", device="numpy"), None).tolist() == [0] * 7


def test_equal_values_of_all_rows_are_one_world() -> None:
    worlds = Worlds({"patience": (9.0, 9.0, 9.0)}, "numpy")
    assert not worlds.differ
    assert worlds.groups(3, make_generator(0, "users", device="numpy"), None).tolist() == [0] * 3


def test_parameters_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="pull has 3 values, expected 1 or, as another parameter, 4"):
        Worlds({"patience": (1.0,) * 4, "pull": (1.0,) * 3}, "numpy")
    with pytest.raises(ValueError, match="patience has 2 values, found a batch of 3 users or more"):
        Worlds({"patience": (1.0, 2.0)}, "numpy").groups(3, make_generator(0, "users", device="numpy"), None)
