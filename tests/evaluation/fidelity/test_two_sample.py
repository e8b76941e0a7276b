from dataclasses import replace

import numpy as np

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.evaluation.fidelity.features import SessionFeatures, session_features
from recgym.evaluation.fidelity.traces import Traces
from recgym.evaluation.fidelity.two_sample import real_against_real, two_sample_test
from tests.evaluation.fidelity.sessions import many

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY),))


def features(traces: Traces) -> SessionFeatures:
    return session_features(traces, SCHEMA, 0, np.linspace(0.1, 1.0, 10))


def test_sessions_of_the_same_users_cannot_be_told_apart() -> None:
    real, again = many(1000, seed=0), many(1000, seed=1)
    found = two_sample_test(features(real), features(again), real.user, seed=0)
    assert found.auc.low - 0.02 < 0.5 < found.auc.high + 0.02
    control = real_against_real(features(real), real.user, seed=0)
    assert abs(control.auc.mean - 0.5) < 0.06
    assert control.sessions == 1000


def test_a_wrong_rate_is_found_and_named() -> None:
    real, other = many(1000, seed=0), many(1000, seed=1, rate=0.6)
    found = two_sample_test(features(real), features(other), real.user, seed=0)
    assert found.auc.low > 0.65
    best = found.telltales[0]
    assert best.name in ("click_rate", "empty_steps", "click_total")
    assert abs(best.auc - 0.5) > 0.15


def test_a_wrong_dependence_is_found_although_all_rates_are_right() -> None:
    real = many(1000, seed=0, rate=0.5)
    taken = real.feedback.copy()
    taken[1::2] = 1 - taken[0::2]  # always one item of the two
    exclusive = replace(real, feedback=taken)
    found = two_sample_test(features(real), features(exclusive), real.user, seed=0)
    assert found.auc.low > 0.65
    assert found.telltales[0].name in ("empty_steps", "full_steps", "switches")


def test_the_test_says_the_same_twice() -> None:
    real, other = many(200, seed=0), many(200, seed=1, rate=0.5)
    first, second = (two_sample_test(features(real), features(other), real.user, seed=3).to_json() for _ in range(2))
    assert first == second
