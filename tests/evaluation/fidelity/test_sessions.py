import numpy as np
import pytest

from recgym.evaluation.fidelity import SessionLength


def test_session_lengths_in_closed_form() -> None:
    # Three sessions of 1, 2 and 2 steps, and a model that leaves with one half after every step.
    length = SessionLength.of(np.array([0, 0, 1, 0, 1]), np.full(5, 0.5), np.array([True, False, True, False, True]))
    assert length.observed == (0.0, 1.0, 2.0, 0.0)
    assert length.simulated == pytest.approx((0.0, 1.5, 0.75, 0.75))
    assert length.observed_mean == pytest.approx(5 / 3)
    assert length.simulated_mean == pytest.approx(1.75)
    assert length.ks == pytest.approx(0.25)
