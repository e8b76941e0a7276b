"""Fractions, rows of data, and tables that are one row repeated."""

from dataclasses import replace

import numpy as np
import pytest

from recgym.ope import (
    DR,
    IPW,
    SNIPW,
    Fraction,
    LoggedRounds,
    Rerun,
    SwitchIPW,
    Trajectories,
    Tuned,
    Weighted,
    take,
    value_of,
)
from recgym.ope.base import of_taken, shared_row
from recgym.ope.diagnostics import propensity_gap, unsupported_share
from tests.ope.cases import synthetic_rounds

ROUNDS = synthetic_rounds()


def test_the_sum_of_fractions() -> None:
    mean, quotient = Fraction(np.array([1.0, 2.0, 6.0])), Fraction(np.array([1.0, 0.0, 2.0]), np.array([2.0, 1.0, 1.0]))
    assert value_of((mean, quotient)) == pytest.approx([3 + 3 / 4])
    counts = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    assert value_of((mean, quotient), counts) == pytest.approx([3.75, 10 / 3 + 2 / 3])


def test_nothing_drawn_is_no_number_and_no_warning() -> None:
    none = Fraction(np.zeros(2), np.array([0.0, 1.0]))
    assert np.isnan(value_of((none,), np.array([[2.0, 0.0]]))).all()


def test_rows_are_taken_in_order_and_as_often_as_named() -> None:
    rows = np.array([5, 5, 2])
    few = take(ROUNDS, rows)
    assert few.n == 3
    assert (few.reward == ROUNDS.reward[rows]).all()
    assert few.stratum is not None
    assert few.ratio is not None
    steps = Trajectories(np.ones((4, 2)), np.ones((4, 2)), np.ones((4, 2), dtype=bool), 0.9)
    assert (take(steps, rows[2:]).n, take(steps, rows[2:]).gamma) == (1, 0.9)


def test_a_policy_that_ignores_the_context_may_be_one_row() -> None:
    rng = np.random.default_rng(0)
    target, logging = rng.dirichlet(np.ones(6), 2)
    tables = [np.broadcast_to(row, (ROUNDS.n, 6)) for row in (target, logging)]
    short = replace(ROUNDS, target=tables[0], logging=tables[1])
    long = replace(ROUNDS, target=tables[0].copy(), logging=tables[1].copy())
    assert shared_row(short.target) is not None
    assert shared_row(long.target) is None
    for one in (IPW(), SNIPW(), DR(), SwitchIPW(1.0)):
        assert value_of(one.fractions(short)) == pytest.approx(value_of(one.fractions(long)))
    assert unsupported_share(short) == pytest.approx(unsupported_share(long))
    assert propensity_gap(short) == pytest.approx(propensity_gap(long))
    with pytest.raises(ValueError, match="target of round 0 is 2"):
        replace(ROUNDS, target=np.broadcast_to(np.full(6, 1 / 3), (ROUNDS.n, 6)))


def test_entries_of_actions_taken() -> None:
    table = np.arange(12.0).reshape(4, 3)
    action = np.array([2, 0, 1, 2])
    expected = [2.0, 3.0, 7.0, 11.0]
    assert of_taken(table, action).tolist() == expected
    assert of_taken(np.asfortranarray(table), action).tolist() == expected
    assert of_taken(np.broadcast_to(table[:1], (4, 3)), action).tolist() == [2.0, 0.0, 1.0, 2.0]


def test_what_an_estimator_is_can_be_told() -> None:
    assert isinstance(IPW(), Weighted)
    assert not isinstance(IPW(), Rerun)
    assert isinstance(Tuned((IPW(),)), Rerun)
    with pytest.raises(ValueError, match="nothing to tune"):
        Tuned(())
    with pytest.raises(ValueError, match="SNIPW is not a mean"):
        Tuned((SNIPW(),)).fractions(ROUNDS)


def test_no_rounds() -> None:
    none = np.zeros(0)
    with pytest.raises(ValueError, match="logged rounds: there are none"):
        LoggedRounds(none.astype(np.int64), none, none, np.zeros((0, 2)))
