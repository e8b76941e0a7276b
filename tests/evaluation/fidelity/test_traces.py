from dataclasses import fields

import numpy as np

from tests.evaluation.fidelity.sessions import made_up


def test_picked_sessions_are_those_named_in_their_order() -> None:
    traces = made_up([1, 3, 2])
    picked = traces.pick(np.array([2, 0]))
    assert picked.lengths.tolist() == [2, 1]
    assert picked.user.tolist() == [0, 0]
    assert picked.item.tolist() == [8, 9, 0, 1, 0, 1]
    assert picked.row_session.tolist() == [0, 0, 0, 0, 1, 1]
    assert picked.step_rows().tolist() == [0, 2, 4, 6]


def test_everything_picked_is_everything() -> None:
    traces = made_up([1, 3, 2])
    whole = traces.pick(np.arange(3))
    for field in fields(traces):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(traces, field.name))


def test_a_cut_keeps_the_first_steps_of_each_session() -> None:
    cut = made_up([1, 3, 2]).cut(2)
    assert cut.lengths.tolist() == [1, 2, 2]
    assert cut.item.tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 0, 1]
    assert cut.row_step.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
