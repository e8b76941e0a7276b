"""The contract check of estimators passes on all of ours, and finds each broken promise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from recgym.ope import (
    DM,
    DR,
    IPW,
    SNDR,
    SNIPW,
    CascadeDR,
    Clipped,
    Estimator,
    Fraction,
    KernelDR,
    KernelIPW,
    KernelSNIPW,
    LoggedRounds,
    MseBound,
    PseudoInverse,
    Replay,
    Slope,
    SwitchIPW,
    Tuned,
    WeightedLoggers,
    average_importance,
    balanced_ipw,
    dros,
    iips,
    mips,
    rips,
    sips,
    sn_mips,
    sub_gaussian_dr,
    sub_gaussian_ipw,
    switch_dr,
)
from recgym.testing import check_estimator
from tests.ope.cases import synthetic_cascade, synthetic_continuous, synthetic_rounds, synthetic_slates
from tests.truth.make_obp_reference import synthetic

ROUNDS = synthetic_rounds()
SHARES = synthetic()["shares"]
ON_POLICY = replace(ROUNDS, target=ROUNDS.logging, average_propensity=ROUNDS.propensity)  # type: ignore[arg-type]
BEST = replace(ROUNDS, target=np.eye(6)[ROUNDS.target.argmax(1)])
SLATES = synthetic_slates()
SAME_SLATES = replace(
    SLATES, joint_target=SLATES.joint, marginal_target=SLATES.marginal, prefix_target=SLATES.prefix,
    linear=np.ones(SLATES.n),
)  # fmt: skip
LIMITS = (1000.0, 5.0, 2.0)


@pytest.mark.parametrize(
    "estimator",
    [
        IPW(), SNIPW(), IPW(Clipped(5.0)), IPW(average_importance), mips(SHARES), sn_mips(SHARES),
        sub_gaussian_ipw(0.3), WeightedLoggers(),
    ],
    ids=lambda one: one.name,
)  # fmt: skip
def test_weighted_rewards(estimator: Estimator[Any]) -> None:
    # Strata are weighed by their own variances, so that even on-policy data are no plain mean.
    check_estimator(estimator, ROUNDS, None if isinstance(estimator, WeightedLoggers) else ON_POLICY)


@pytest.mark.parametrize(
    "estimator",
    [
        DM(), DR(), SNDR(), switch_dr(2.0), dros(5.0), sub_gaussian_dr(0.3), SwitchIPW(2.0), balanced_ipw(2.0),
        WeightedLoggers(model=True), Tuned(tuple(map(dros, LIMITS))), Tuned(tuple(map(switch_dr, LIMITS)), MseBound()),
        Tuned(tuple(IPW(Clipped(limit)) for limit in LIMITS), Slope()),
    ],
    ids=lambda one: one.name,
)  # fmt: skip
def test_models_and_choices(estimator: Estimator[Any]) -> None:
    check_estimator(estimator, ROUNDS)


def test_other_data() -> None:
    check_estimator(Replay(), BEST)
    for make in (sips, iips, rips):
        for normalised in (False, True):
            check_estimator(make(normalised), SLATES, SAME_SLATES)
    check_estimator(PseudoInverse(), SLATES, SAME_SLATES)
    check_estimator(PseudoInverse(normalised=True), SLATES, SAME_SLATES)
    check_estimator(CascadeDR(), synthetic_cascade())
    for kind in (KernelIPW, KernelSNIPW, KernelDR):
        check_estimator(kind(0.3), synthetic_continuous())


@dataclass(frozen=True)
class Broken:
    """IPW with a fault."""

    fault: Callable[[LoggedRounds], tuple[Fraction, ...]]
    name: str = "broken"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        return self.fault(data)


def plain(data: LoggedRounds) -> np.ndarray:
    rewards: np.ndarray = data.weight * data.reward
    return rewards


def greedy_with_memory() -> Callable[[LoggedRounds], tuple[Fraction, ...]]:
    calls: list[int] = []

    def fault(data: LoggedRounds) -> tuple[Fraction, ...]:
        calls.append(1)
        return (Fraction(plain(data) + len(calls)),)

    return fault


def changes_rewards(data: LoggedRounds) -> tuple[Fraction, ...]:
    data.reward[0] += 1
    return (Fraction(plain(data)),)


def draws_globally(data: LoggedRounds) -> tuple[Fraction, ...]:
    np.random.random()  # noqa: NPY002 - the fault
    return (Fraction(plain(data)),)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda data: (Fraction(plain(data) * np.linspace(0, 1, data.n)),), "in another order"),
        (lambda data: (Fraction(plain(data) / data.n),), "every row twice"),
        (lambda data: (Fraction(plain(data) / data.weight.std()),), "than the rows that were drawn"),
        (lambda data: (Fraction(plain(data)[:-1]),), "shape"),
        (lambda data: (Fraction(np.full(data.n, np.nan)),), "not finite"),
        (lambda data: (), "at least one fraction"),
        (greedy_with_memory(), "differs when called again"),
        (changes_rewards, "changes the data"),
        (draws_globally, "global generator"),
    ],
)
def test_a_broken_promise_is_found(fault: Callable[[LoggedRounds], tuple[Fraction, ...]], sentence: str) -> None:
    data = replace(ROUNDS, reward=ROUNDS.reward.copy())
    with pytest.raises(AssertionError, match=sentence):
        check_estimator(Broken(fault), data)


def test_a_bias_on_policy_is_found() -> None:
    with pytest.raises(AssertionError, match="mean reward"):
        check_estimator(Broken(lambda data: (Fraction(1.05 * plain(data)),)), ROUNDS, ON_POLICY)


def test_a_wrong_rerun_is_found() -> None:
    @dataclass(frozen=True)
    class Forgetful(Broken):
        def rerun(self, data: LoggedRounds, counts: np.ndarray) -> np.ndarray:
            return np.full(len(counts), plain(data).mean())

    with pytest.raises(AssertionError, match="than the rows that were drawn"):
        check_estimator(Forgetful(lambda data: (Fraction(plain(data)),)), ROUNDS)


def test_weights_of_a_wrong_shape_are_found() -> None:
    @dataclass(frozen=True)
    class Odd(Broken):
        def weights(self, data: LoggedRounds) -> np.ndarray:
            return data.weight[:-1]

    with pytest.raises(AssertionError, match="weights have shape"):
        check_estimator(Odd(lambda data: (Fraction(plain(data)),)), ROUNDS)
