import pytest

from benchmarks.growth import MAKERS, SIZES, Cost, measure, slope


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_slope_is_the_power(power: float) -> None:
    costs = [Cost("x", size, 0.1 * size**power, 0.0) for size in (1, 4, 16, 64)]
    assert slope(costs) == pytest.approx(power, abs=1e-9)


def test_what_is_still_flat_does_not_count() -> None:
    costs = [Cost("x", size, max(100.0, float(size)), 0.0) for size in (1, 10, 100, 1000, 10_000)]
    assert slope(costs) == pytest.approx(1.0)


@pytest.mark.parametrize("axis", sorted(SIZES))
def test_every_axis_can_be_measured(axis: str) -> None:
    assert set(MAKERS) == set(SIZES)
    cost = measure(axis, SIZES[axis][0], 0.0)
    assert cost.milliseconds > 0
    assert cost.mebibytes >= 0
