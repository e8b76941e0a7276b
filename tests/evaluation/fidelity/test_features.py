import numpy as np
import pytest

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.evaluation.fidelity.features import session_features
from tests.evaluation.fidelity.sessions import made_up

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
POPULARITY = np.linspace(0.1, 1.0, 10)


def test_features_of_a_session_worked_out_by_hand() -> None:
    # Slates (0, 1), (2, 3), (4, 5) ten seconds apart; items 0, 2 and 3 are taken. Then a session of one empty slate.
    traces = made_up([3, 1], taken=[1, 0, 1, 1, 0, 0, 0, 0])
    found = session_features(traces, SCHEMA, 0, POPULARITY)
    first, second = (dict(zip(found.names, row, strict=True)) for row in found.values)
    assert first["length"] == pytest.approx(np.log(4))
    assert first["duration"] == pytest.approx(np.log(21))
    assert first["pause"] == pytest.approx(np.log(11))
    assert first["pause_spread"] == pytest.approx(0.0)
    assert first["click_rate"] == pytest.approx(0.5)
    assert first["click_total"] == pytest.approx(np.log(4))
    assert first["empty_steps"] == pytest.approx(1 / 3)
    assert first["full_steps"] == pytest.approx(1 / 3)
    assert (first["first_step"], first["last_step"]) == (0.5, 0.0)
    assert first["switches"] == pytest.approx(1 / 2)
    assert first["place"] == pytest.approx(1 / 3 - 1 / 2)
    shown, taken = np.log(POPULARITY[:6]).mean(), np.log(POPULARITY[[0, 2, 3]]).mean()
    assert first["popularity"] == pytest.approx(taken - shown)
    assert first["repeats"] == 0.0
    assert second["empty_steps"] == 1.0
    assert np.isnan([second["pause"], second["switches"], second["place"], second["kinds"]]).all()


def test_an_item_taken_twice_is_a_repeat() -> None:
    traces = made_up([6], taken=[1, *[0] * 9, 1, 0])  # item 0 again in the sixth slate
    found = session_features(traces, SCHEMA, 0, POPULARITY)
    assert found.values[0, found.names.index("repeats")] == 0.5
