from dataclasses import replace

import numpy as np
import pytest

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.evaluation.fidelity.slices import rates_by_history, rates_by_position
from recgym.stats import cluster_weights
from tests.evaluation.fidelity.sessions import many

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
WEIGHTS = cluster_weights(100, 200, np.random.default_rng(0))


def test_rates_by_position_are_the_means_there() -> None:
    real, simulated = many(400, seed=0), many(400, seed=1, rate=0.6)
    slices = rates_by_position(real, simulated, SCHEMA, WEIGHTS, 0.95)
    assert [part.label for part in slices] == ["0", "1"]
    for part, position in zip(slices, (0, 1), strict=True):
        assert part.observed.mean == pytest.approx(real.feedback[real.position == position].mean())
        assert part.observed.low < part.observed.mean < part.observed.high
        assert part.ratio.mean == pytest.approx(part.simulated.mean / part.observed.mean)
        assert part.ratio.low > 1.5, "twice the rate is beyond doubt"


def test_fatigue_that_the_simulator_lacks_shows_by_history() -> None:
    real, simulated = many(3000, seed=0, rate=0.5), many(3000, seed=1, rate=0.5)
    tired = real.feedback * (real.step_index[real.row_step] < 2)[:, None]
    real = replace(real, feedback=tired.astype(np.float32))
    slices = rates_by_history(real, simulated, SCHEMA, 0, WEIGHTS, 0.95)
    first = next(part for part in slices if (part.by, part.label) == ("taken so far", "0"))
    later = next(part for part in slices if (part.by, part.label) == ("taken so far", "2"))
    assert later.ratio.mean > 1.5 > 1.2 > first.ratio.mean
    assert {part.by for part in slices} == {"taken so far", "recent rate"}


def test_parts_with_too_little_in_them_are_left_out() -> None:
    assert rates_by_position(many(10, seed=0), many(10, seed=1), SCHEMA, np.ones((5, 10)), 0.95) == ()
