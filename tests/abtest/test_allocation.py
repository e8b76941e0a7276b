"""Who gets which arm."""

import numpy as np
import pytest

from recgym.abtest import Clustered, Split, Switchback, unit_means


def test_a_split_has_its_shares() -> None:
    shares = (0.2, 0.5, 0.3)
    drawn = Split(shares).assign(np.random.default_rng(0), 20, 5000)
    assert drawn.unit is None
    found = np.bincount(drawn.arm.ravel()) / drawn.arm.size
    assert found == pytest.approx(shares, abs=4 * 0.5 / drawn.arm.size**0.5)


def test_a_block_of_time_has_one_arm() -> None:
    drawn = Switchback(30).assign(np.random.default_rng(0), 4, 100)
    assert drawn.unit is not None
    assert np.bincount(drawn.unit).tolist() == [30, 30, 30, 10]
    for row in drawn.arm:
        for block in range(4):
            assert len(set(row[drawn.unit == block].tolist())) == 1
    assert len({tuple(row) for row in drawn.arm.tolist()}) > 1


def test_clusters_are_numbered_in_the_order_in_which_they_are_complete() -> None:
    unit = Clustered(np.array([7, 5, 7, 5, 5, 9])).units(12)
    assert unit.tolist() == [0, 1, 0, 1, 1, 2, 3, 4, 3, 4, 4, 5]
    unit = Clustered(np.array([1, 2, 3, 2, 1])).units(5)  # 3 is complete first, then 2, then 1
    assert unit.tolist() == [2, 1, 0, 1, 2]
    assert Clustered(np.zeros(3, dtype=np.int64)).units(7).tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_units_count_once_and_lose_their_first_users() -> None:
    values = np.array([[9.0, 1.0, 9.0, 3.0, 2.0, 5.0]])
    unit = np.array([0, 0, 1, 1, 1, 2])
    arm = np.array([[0, 0, 1, 1, 1, 0]])
    means, arms = unit_means(values, arm, unit)
    assert means.tolist() == [[5.0, 14 / 3, 5.0]]
    assert arms.tolist() == [[0, 1, 0]]
    assert unit_means(values, arm, unit, 1)[0].tolist() == [[1.0, 2.5, 5.0]]


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 0.6), (1.0, 0.0)])
def test_shares_must_be_shares(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares of two or more arms must be positive and sum to 1"):
        Split(shares)


def test_a_block_keeps_some_users() -> None:
    with pytest.raises(ValueError, match="a block of 10 users cannot lose its first 10"):
        Switchback(10, burn=10)
