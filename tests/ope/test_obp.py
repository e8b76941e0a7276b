"""Every estimator that Open Bandit Pipeline has too gives its numbers, on its own data and on synthetic ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.data import read_log
from recgym.files import read_json
from recgym.ope import (
    DM,
    DR,
    IPW,
    SNDR,
    SNIPW,
    CascadeDR,
    Clipped,
    Estimator,
    KernelDR,
    KernelIPW,
    KernelSNIPW,
    LoggedRounds,
    MseBound,
    Replay,
    Slope,
    Tuned,
    WeightedLoggers,
    average_importance,
    balanced_ipw,
    bts_distribution,
    cosine,
    dros,
    epanechnikov,
    gaussian,
    iips,
    mips,
    open_bandit_rounds,
    rips,
    sips,
    sub_gaussian_dr,
    sub_gaussian_ipw,
    switch_dr,
    triangular,
    value_of,
)
from tests.ope.cases import synthetic_cascade, synthetic_continuous, synthetic_rounds, synthetic_slates
from tests.shared import shared_data
from tests.truth.make_obp_reference import ACTIONS, LIMITS, STRENGTHS, click_rates, synthetic

REFERENCE = Path(__file__).parent / "reference"
FIRST = read_json(REFERENCE / "obp-0.4.1.json")
EXPECTED = FIRST["synthetic"] | read_json(REFERENCE / "obp-0.5.7.json")["synthetic"]
ROUNDS = synthetic_rounds()
FAMILIES: dict[str, tuple[Callable[[float], Estimator[Any]], tuple[float, ...]]] = {
    "IPW": (lambda limit: IPW(Clipped(limit)), LIMITS),
    "DR": (lambda limit: DR(Clipped(limit)), LIMITS),
    "Switch-DR": (switch_dr, LIMITS),
    "DRos": (dros, LIMITS),
    "SG-IPW": (sub_gaussian_ipw, STRENGTHS),
    "SG-DR": (sub_gaussian_dr, STRENGTHS),
}
KERNELS = (gaussian, epanechnikov, triangular, cosine)


def value(estimator: Estimator[Any], data: Any) -> float:
    return float(value_of(estimator.fractions(data))[0])


def cases() -> dict[str, tuple[Estimator[Any], Any]]:
    """Name in the reference -> estimator and data."""
    named: list[Estimator[Any]] = [IPW(), SNIPW(), DM(), DR(), SNDR()]
    for limit in LIMITS:
        named += [switch_dr(limit), dros(limit)]
    for strength in STRENGTHS:
        named += [sub_gaussian_ipw(strength), sub_gaussian_dr(strength)]
    found: dict[str, tuple[Estimator[Any], Any]] = {one.name: (one, ROUNDS) for one in named}
    for limit in LIMITS:
        found[f"IPW clipped {limit:g}"] = IPW(Clipped(limit)), ROUNDS
        found[f"DR clipped {limit:g}"] = DR(Clipped(limit)), ROUNDS
    found |= {"B-IPW 1.2": (balanced_ipw(1.2), ROUNDS), "MIPS": (mips(synthetic()["shares"]), ROUNDS)}
    found |= {"balanced IPW": (IPW(average_importance), ROUNDS), "balanced DR": (DR(average_importance), ROUNDS)}
    found |= {"weighted IPW": (WeightedLoggers(), ROUNDS), "weighted DR": (WeightedLoggers(model=True), ROUNDS)}
    for make in (sips, iips, rips):
        found |= {make().name: (make(), synthetic_slates())}
        found |= {make(normalised=True).name.replace("-", ""): (make(normalised=True), synthetic_slates())}
    found["Cascade-DR"] = CascadeDR(), synthetic_cascade()
    for kernel in KERNELS:
        for short, kind in (("", KernelIPW), ("SelfNormalized", KernelSNIPW)):
            name = f"{kernel.__name__} {short}InverseProbabilityWeighting"
            found[name] = kind(0.3, kernel), synthetic_continuous()
        found[f"{kernel.__name__} DoublyRobust"] = KernelDR(0.3, kernel), synthetic_continuous()
    for family, (make_one, values) in FAMILIES.items():
        candidates = tuple(map(make_one, sorted(values, reverse=True)))
        for name, rule in (("slope", Slope()), ("mse", MseBound(upper=False)), ("mse upper", MseBound())):
            found[f"tuned {family} {name}"] = Tuned(candidates, rule), ROUNDS
    best = np.eye(ROUNDS.target.shape[1])[ROUNDS.target.argmax(1)]
    found["Replay"] = Replay(), LoggedRounds(ROUNDS.action, ROUNDS.reward, ROUNDS.propensity, best)
    return found


CASES = cases()


def test_every_reference_number_has_a_case() -> None:
    assert set(CASES) == {name for name in EXPECTED if not name.startswith("chosen ")}


@pytest.mark.parametrize("name", CASES)
def test_synthetic_rounds(name: str) -> None:
    assert value(*CASES[name]) == pytest.approx(EXPECTED[name], rel=0, abs=1e-9)


@pytest.mark.data
@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_open_bandit(campaign: Any) -> None:
    log = read_log(shared_data("open-bandit") / "random" / campaign, "open-bandit")
    share = bts_distribution(campaign)
    plain = open_bandit_rounds(log, share)
    position = log.frame["position"].to_numpy().astype(np.int64)
    rates = click_rates(plain.action, position, plain.reward, ACTIONS[campaign])
    rounds = LoggedRounds(plain.action, plain.reward, plain.propensity, plain.target, rates.T[position])
    expected = FIRST["open_bandit"][campaign]
    for estimator in (IPW(), SNIPW(), DM(), DR(), SNDR()):
        assert value(estimator, rounds) == pytest.approx(expected[estimator.name], rel=0, abs=1e-9), estimator.name


def test_the_published_figures() -> None:
    found = FIRST["open_bandit"]["all"]
    assert (f"{found['IPW']:.6f}", f"{found['SNIPW']:.6f}") == ("0.004553", "0.004776")


def test_the_distribution_is_one_of_items_at_each_place() -> None:
    for campaign, items in ACTIONS.items():
        share = bts_distribution(campaign)  # type: ignore[arg-type]
        assert share.shape == (items, 3)
        assert share.sum(0) == pytest.approx(1.0)
