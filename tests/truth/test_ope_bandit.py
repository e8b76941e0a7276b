"""Estimators of bandit rounds and slates against a known value, over a thousand logs.

All logs are drawn at once and laid end to end; as an estimate is a sum of fractions of independent rows, one call on
all rows and sums by log give a thousand estimates.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float64
from scipy import stats

from recgym.ope import (
    DM,
    DR,
    IPW,
    SNDR,
    SNIPW,
    Bootstrap,
    CascadeDR,
    EmpiricalBernstein,
    Estimator,
    Fraction,
    Hoeffding,
    IntervalMethod,
    KernelDR,
    KernelIPW,
    LoggedRounds,
    LoggedSlates,
    PseudoInverse,
    Replay,
    StudentT,
    WeightedLoggers,
    average_importance,
    balanced_ipw,
    dros,
    embedding_shares,
    iips,
    independent_slot_weights,
    mips,
    rips,
    sips,
    sn_mips,
    sub_gaussian_ipw,
    switch_dr,
    take,
    value_of,
)
from recgym.ope.continuous import ContinuousRounds
from tests.ope.cases import World, draw, world

LOGS, ROUNDS = 1000, 800
WORLD = world(contexts=6, actions=5, seed=3, spread=0.6)
SIGNIFICANCE = 1e-3


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def by_log(fractions: tuple[Fraction, ...], logs: int = LOGS) -> Float64[np.ndarray, "logs"]:
    """The estimate of each log, of rows laid end to end."""
    total = np.zeros(logs)
    for numerator, denominator in fractions:
        above = numerator.reshape(logs, -1)
        below = np.ones_like(above) if denominator is None else denominator.reshape(logs, -1)
        total += above.sum(1) / below.sum(1)
    return total


def rounds() -> LoggedRounds:
    """A thousand logs with a rough model, categories, and two loggers' mixture."""
    rng = generator(0)
    n = LOGS * ROUNDS
    context = rng.integers(0, 6, n)
    stratum = np.tile(np.arange(ROUNDS) % 2, LOGS)
    second = WORLD.logging[:, ::-1]
    law = np.where(stratum[:, None] == 0, WORLD.logging[context], second[context])
    action = draw(law, rng)
    # The reward depends on the action through its category alone, so that MIPS is unbiased.
    reward = (rng.random(n) < CATEGORY_Q[context, action % 3]).astype(np.float64)
    average = (WORLD.logging[context, action] + second[context, action]) / 2
    taken = np.arange(n)
    return LoggedRounds(
        action, reward, law[taken, action], WORLD.target[context], ROUGH_Q[context], law, action % 3,
        stratum=stratum, average_propensity=average,
    )  # fmt: skip


CATEGORY_Q = np.random.default_rng(5).uniform(0.2, 0.8, (6, 3))
TRUE_Q = CATEGORY_Q[:, np.arange(5) % 3]
ROUGH_Q = TRUE_Q + 0.25 * np.cos(np.arange(30).reshape(6, 5))
VALUE = float((WORLD.target * TRUE_Q).sum(1).mean())
SHARES = np.eye(3)[np.arange(5) % 3]
UNBIASED: tuple[Estimator[LoggedRounds], ...] = (
    IPW(), DR(), mips(SHARES), IPW(average_importance, "balanced IPW"), DR(average_importance, "balanced DR"),
)  # fmt: skip
NEARLY: tuple[Estimator[LoggedRounds], ...] = (SNIPW(), SNDR(), sn_mips(SHARES))
"""Biased to order 1 / n, which a thousand logs of 800 rounds do not show."""


@pytest.fixture(scope="module")
def data() -> LoggedRounds:
    return rounds()


def z_of(values: np.ndarray, truth: float) -> float:
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert error <= 0.01 * truth, "too few logs to tell a bias of a few percent"
    return float((values.mean() - truth) / error)


def limit(tests: int) -> float:
    """|z| that one of so many unbiased estimators exceeds once in a thousand times (Bonferroni)."""
    return float(stats.norm.isf(SIGNIFICANCE / 2 / tests))


def test_unbiased(data: LoggedRounds) -> None:
    every = (*UNBIASED, *NEARLY)
    z = {one.name: z_of(by_log(one.fractions(data)), VALUE) for one in every}
    assert max(map(abs, z.values())) < limit(len(every)), z


def test_a_bias_of_5_percent_in_the_weights_is_found(data: LoggedRounds) -> None:
    planted = replace(
        data, propensity=np.minimum(data.propensity / 1.05, 1.0),
        average_propensity=np.minimum(data.average_propensity / 1.05, 1.0),  # type: ignore[operator]
    )  # fmt: skip
    for one in (IPW(), IPW(average_importance, "balanced IPW")):
        assert z_of(by_log(one.fractions(planted)), VALUE) > limit(len(UNBIASED)), one.name
    # Of DR only what its model misses is weighed, so that 5 % of that moves it; a model of nothing gives IPW's bias.
    nothing = replace(planted, q=np.zeros_like(planted.target))
    assert z_of(by_log(DR().fractions(nothing)), VALUE) > limit(len(UNBIASED))
    # Self-normalised weights are proof against a common factor, not against one of some actions.
    assert abs(z_of(by_log(SNIPW().fractions(planted)), VALUE)) < limit(len(UNBIASED))


def test_estimators_known_to_be_biased_are(data: LoggedRounds) -> None:
    for one in (DM(), sub_gaussian_ipw(0.5), switch_dr(0.5), dros(0.5)):
        assert abs(z_of(by_log(one.fractions(data)), VALUE)) > limit(4), one.name


def test_a_good_model_takes_variance_away(data: LoggedRounds) -> None:
    spread = {
        "IPW": by_log(IPW().fractions(data)).var(),
        "rough": by_log(DR().fractions(data)).var(),
        "true": by_log(DR().fractions(replace(data, q=TRUE_Q[_context(data)]))).var(),
    }
    assert spread["true"] < 0.95 * spread["rough"]
    assert spread["rough"] < 0.8 * spread["IPW"]


def _context(data: LoggedRounds) -> np.ndarray:
    found: np.ndarray = np.abs(data.target[:, :1] - WORLD.target[None, :, 0]).argmin(1)
    return found


def test_the_mixture_of_loggers_varies_less_than_each(data: LoggedRounds) -> None:
    balanced = by_log(IPW(average_importance).fractions(data)).var()
    assert balanced < 0.9 * by_log(IPW().fractions(data)).var()
    weighted = [
        WeightedLoggers().fractions(take(data, np.arange(log * ROUNDS, (log + 1) * ROUNDS))) for log in range(200)
    ]
    values = np.array([part[0].numerator.mean() for part in weighted])
    assert abs(values.mean() - VALUE) < 0.02


def test_self_normalised_values_stay_within_the_rewards() -> None:
    # Ten rounds and weights of up to hundreds: IPW leaves [0, 1], the self-normalised ones cannot.
    wild = world(contexts=4, actions=6, seed=9, spread=3.0)
    found = wild.draw(LOGS * 10, generator(1))
    assert by_log(IPW().fractions(found)).max() > 1
    bounded = replace(found, embedding=found.action % 3)
    for one in (SNIPW(), sn_mips(np.eye(3)[np.arange(6) % 3])):
        values = by_log(one.fractions(bounded))
        assert values.min() >= 0, one.name
        assert values.max() <= 1 + 1e-12, one.name


def test_shares_that_were_counted_serve_as_well_as_known_ones() -> None:
    # Categories follow from the action by chance, and the reward from the category alone.
    rng = generator(7)
    shares = rng.dirichlet(np.ones(3), 5)
    found = WORLD.draw(200_000, rng)
    embedding = draw(shares[found.action], rng)
    reward = np.array([0.2, 0.5, 0.8])[embedding]
    found = replace(found, embedding=embedding, reward=reward)
    value = float((WORLD.target @ shares @ np.array([0.2, 0.5, 0.8])).mean())
    for one in (mips(shares), mips(embedding_shares(found))):
        assert float(value_of(one.fractions(found))[0]) == pytest.approx(value, abs=0.005)


def test_replay_is_unbiased_on_uniform_logs() -> None:
    uniform = World(np.full((6, 5), 0.2), np.eye(5)[np.arange(6) % 5], WORLD.q)
    values = by_log(Replay().fractions(uniform.draw(LOGS * ROUNDS, generator(2))))
    assert abs(z_of(values, uniform.value)) < limit(1)


def test_weights_of_a_classifier_are_as_good_as_the_odds_that_it_gives(data: LoggedRounds) -> None:
    # The best classifier's odds are the importance weights themselves.
    values = by_log(balanced_ipw().fractions(replace(data, ratio=data.weight)))
    assert values == pytest.approx(by_log(SNIPW().fractions(data)))


def mips_error_ratio(actions: int, logs: int = 200, n: int = 500) -> float:
    """Mean squared error of MIPS over that of IPW; ten categories that carry all of the reward."""
    rng = generator(actions)
    category = np.arange(actions) % 10
    q = np.linspace(0.1, 0.9, 10)
    logging = 0.5 * rng.dirichlet(np.ones(actions)) + 0.5 / actions
    # The target leans to the good categories, and in each to one action.
    target = np.where(np.arange(actions) < 10, 0.8, 0.0) + 0.2 / np.bincount(category)[category]
    target *= np.exp(3 * q)[category]
    target /= target.sum()
    action = rng.choice(actions, size=logs * n, p=logging)
    reward = (rng.random(logs * n) < q[category[action]]).astype(np.float64)
    shape = (logs * n, actions)
    found = LoggedRounds(
        action, reward, logging[action], np.broadcast_to(target, shape), logging=np.broadcast_to(logging, shape),
        embedding=category[action],
    )  # fmt: skip
    value = float((target * q[category]).sum())
    error = [((by_log(one.fractions(found), logs) - value) ** 2).mean() for one in (mips(np.eye(10)[category]), IPW())]
    return float(error[0] / error[1])


def test_mips_gains_on_ipw_as_actions_grow() -> None:
    ratios = [mips_error_ratio(actions) for actions in (10, 50, 250, 1000, 5000)]
    # With one action a category the two are one estimator.
    assert ratios[0] == pytest.approx(1.0)
    assert (np.diff(ratios) < 0).all(), ratios
    assert ratios[-1] < 0.05, ratios


COVERED: tuple[Estimator[LoggedRounds], ...] = (IPW(), SNIPW(), DR())


def coverage(method: IntervalMethod, data: LoggedRounds, logs: int) -> dict[str, float]:
    """Share of the logs whose interval holds the value."""
    hits = np.zeros(len(COVERED))
    for log in range(logs):
        one = take(data, np.arange(log * ROUNDS, (log + 1) * ROUNDS))
        found = method.intervals(COVERED, one, generator(log))
        hits += [interval.low <= VALUE <= interval.high for interval in found]
    return {one.name: float(hit / logs) for one, hit in zip(COVERED, hits, strict=True)}


def test_rounds_suffice_for_intervals(data: LoggedRounds) -> None:
    weight = data.weight.reshape(LOGS, ROUNDS)
    assert ((weight.sum(1) ** 2 / (weight**2).sum(1)) >= 200).mean() > 0.9
    assert weight.max() < 20


@pytest.mark.parametrize("method", [StudentT(), Bootstrap(resamples=1000)], ids=lambda one: one.name)
def test_coverage_of_t_and_bootstrap(method: IntervalMethod, data: LoggedRounds) -> None:
    for name, share in coverage(method, data, LOGS).items():
        assert 0.93 <= share <= 0.97, (name, share)


@pytest.mark.parametrize("make", [Hoeffding, EmpiricalBernstein])
def test_coverage_of_bounds_that_hold_for_any_law(make: Callable[..., IntervalMethod], data: LoggedRounds) -> None:
    # A contribution of IPW lies between 0 and the largest weight.
    width = float((WORLD.target / np.minimum(WORLD.logging, WORLD.logging[:, ::-1])).max())
    least = 0.95 - stats.norm.isf(SIGNIFICANCE) * np.sqrt(0.95 * 0.05 / LOGS)
    for method in (make(width=width), make()):
        for name, share in coverage(method, data, LOGS).items():
            assert share >= least, (name, share)


def slates() -> tuple[LoggedSlates, float]:
    """A thousand logs of slates of three places, filled independently, whose rewards depend on their place alone."""
    rng = generator(4)
    laws = rng.dirichlet(np.ones(4) * 8, (2, 3))
    n = LOGS * 100
    shown = np.stack([rng.choice(4, n, p=law) for law in laws[0]], 1)
    gain = rng.uniform(0.1, 0.9, (3, 4))
    places = np.arange(3)
    reward = (rng.random((n, 3)) < gain[places, shown]).astype(np.float64)
    marginal, target = (law[places, shown] for law in laws)
    prefix, prefix_target = np.cumprod(marginal, 1), np.cumprod(target, 1)
    expected = (gain * laws[1]).sum(1)
    return LoggedSlates(
        reward, prefix[:, -1], prefix_target[:, -1], marginal, target, prefix, prefix_target,
        0.8 * gain[places, shown], np.broadcast_to(0.8 * expected, (n, 3)), independent_slot_weights(marginal, target),
    ), float(expected.sum())  # fmt: skip


def test_slates_unbiased_and_the_more_is_assumed_the_less_they_vary() -> None:
    found, value = slates()
    every = (sips(), rips(), iips(), PseudoInverse(), CascadeDR())
    values = {one.name: by_log(one.fractions(found)) for one in every}
    z = {name: z_of(each, value) for name, each in values.items()}
    assert max(map(abs, z.values())) < limit(len(every)), z
    spread = {name: each.var() for name, each in values.items()}
    assert spread["IIPS"] < spread["RIPS"] < spread["SIPS"]
    assert spread["PI"] < spread["SIPS"]
    assert spread["Cascade-DR"] < spread["RIPS"]


def test_kernels_lose_their_bias_with_the_bandwidth() -> None:
    rng = generator(6)
    n = LOGS * ROUNDS
    context = rng.random(n)
    action = context + 0.5 * rng.normal(size=n)
    propensity = stats.norm.pdf(action, context, 0.5)
    target = context + 0.2
    reward = 2 - (action - 1) ** 2 + 0.1 * rng.normal(size=n)
    q = 1.8 - (target - 1) ** 2
    found = ContinuousRounds(action, reward, propensity, target, q, 1.8 - (action - 1) ** 2)
    value = 2 - ((context + 0.2 - 1) ** 2).mean()
    for width in (0.8, 0.2):
        values = by_log(KernelIPW(width).fractions(found))
        # Of a reward a - b x^2 the kernel, of variance 1 / 5, takes b h^2 / 5 away.
        assert abs(z_of(values, value - width**2 / 5)) < limit(2), width
    assert abs(z_of(by_log(KernelIPW(0.8).fractions(found)), value)) > limit(2)
    wide, corrected = (by_log(kind(0.1).fractions(found)).var() for kind in (KernelIPW, KernelDR))
    assert corrected < 0.5 * wide
