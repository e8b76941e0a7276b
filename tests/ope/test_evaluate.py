"""Results with their diagnostics: sound logs pass without a warning, unsound ones are named for what they lack."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recgym.ope import (
    DM,
    DR,
    IPW,
    SNIPW,
    Bootstrap,
    Clipped,
    LoggedRounds,
    StudentT,
    Tuned,
    diagnose,
    dros,
    evaluate,
    mips,
    sub_gaussian_ipw,
    switch_dr,
    weight_diagnostics,
)
from recgym.ope.diagnostics import propensity_gap, unsupported_share
from tests.ope.cases import World, synthetic_slates, world

SOUND = world(spread=0.5)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def warnings(data: Any) -> str:
    return "; ".join(diagnose(IPW(), data).warnings)


def test_a_sound_log_gives_no_warning() -> None:
    data = SOUND.draw(5000, generator(1))
    results = evaluate(data, (IPW(), SNIPW(), DR(), DM()), Bootstrap(resamples=200))
    for result in results:
        assert result.supported, result.diagnostics.warnings
        assert result.interval.low < result.value < result.interval.high
    for result in results[:3]:
        assert result.interval.low - 0.02 < SOUND.value < result.interval.high + 0.02
    weight = data.weight
    found = results[0].diagnostics
    assert found.effective_n == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert (found.max_weight, found.max_share) == pytest.approx((weight.max(), weight.max() / weight.sum()))
    assert (found.n, found.unsupported) == (5000, 0.0)


def test_a_log_with_few_rounds_of_weight() -> None:
    far = world(spread=6.0)
    found = diagnose(IPW(), far.draw(1000, generator(2)))
    assert found.effective_n < 200
    assert "are worth" in found.warnings[0]


def test_a_single_round_with_the_weight() -> None:
    assert any("single row" in text for text in weight_diagnostics(np.array([1.0, 1.0, 50.0])).warnings)


@pytest.mark.parametrize("known", [False, True])
def test_a_log_that_never_takes_what_the_target_does(known: bool) -> None:
    logging = SOUND.logging.copy()
    logging[:, 2] = 0
    logging /= logging.sum(1, keepdims=True)
    cut = World(logging, SOUND.target, SOUND.q)
    data = cut.draw(5000, generator(3))
    data = data if known else replace(data, logging=None)
    share = data.target[:, 2].mean()
    assert unsupported_share(data) == pytest.approx(share)
    assert f"never takes {share:.0%}" in warnings(data)
    assert not evaluate(data, (IPW(),), StudentT())[0].supported


@pytest.mark.parametrize("known", [False, True])
def test_wrong_propensities(known: bool) -> None:
    data = SOUND.draw(20_000, generator(4))
    # Action 1 is in truth taken a fifth more often than the log says.
    wrong = np.where(data.action == 1, data.propensity / 1.2, data.propensity)
    told = replace(data, propensity=wrong) if known else replace(data, propensity=wrong, logging=None)
    found = propensity_gap(told)
    assert found is not None
    assert found[0] == pytest.approx(1.2, rel=0.05)
    assert found[1] < 1e-3
    assert "propensities are wrong" in warnings(told)


def test_true_propensities_are_rarely_suspected() -> None:
    p = [propensity_gap(SOUND.draw(2000, generator(seed))) for seed in range(300)]
    assert sum(found[1] < 0.05 for found in p if found) <= 28  # 15 expected, 99.9 % quantile
    assert propensity_gap(SOUND.draw(9, generator(0))) is None


def test_wrong_weights_are_suspected() -> None:
    data = SOUND.draw(20_000, generator(5))
    assert "mean" in "; ".join(weight_diagnostics(1.1 * data.weight).warnings)
    assert weight_diagnostics(data.weight).supported


def test_an_estimator_is_judged_by_its_own_weights() -> None:
    many = world(contexts=3, actions=200, spread=3.0)
    data = many.draw(2000, generator(6))
    shares = np.eye(4)[np.arange(200) % 4]
    data = replace(data, embedding=data.action % 4)
    assert diagnose(mips(shares), data).effective_n > 5 * diagnose(IPW(), data).effective_n


def test_shrinking_weights_does_not_hide_what_the_log_lacks() -> None:
    data = world(spread=6.0).draw(1000, generator(10))
    plain = diagnose(IPW(), data)
    assert plain.warnings
    for one in (dros(1.0), sub_gaussian_ipw(0.5), switch_dr(2.0), IPW(Clipped(1.0)), Tuned((dros(1.0), dros(10.0)))):
        assert diagnose(one, data) == plain
    # Nor does it make a sound log suspect, though the mean of shrunk weights is not 1.
    assert diagnose(dros(1.0), SOUND.draw(5000, generator(1))).supported


def test_results_as_json() -> None:
    (result,) = evaluate(SOUND.draw(1, generator(7)), (IPW(),), StudentT())
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert set(found) == {"estimator", "value", "low", "high", "level", "method", "diagnostics"}
    assert found["low"] is None
    assert found["diagnostics"]["warnings"]


def test_slates_have_diagnostics_of_their_weights() -> None:
    from recgym.ope import iips

    (result,) = evaluate(synthetic_slates(), (iips(),), StudentT())
    assert result.diagnostics.unsupported is None
    assert result.diagnostics.n == 600


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reward": np.array([0.0, np.inf])}, "reward of round 1 is inf"),
        ({"propensity": np.array([0.0, 1.0])}, r"propensity of round 0 is 0, expected a number in \(0, 1\]"),
        ({"action": np.array([0, 3])}, r"action of round 1 is 3, expected an action in 0\.\.2"),
        ({"target": np.full((2, 3), 0.5)}, "target of round 0 is 1.5"),
        ({"stratum": np.array([0, -1])}, "stratum of round 1 is -1"),
    ],
)
def test_bad_rounds(change: dict[str, Any], sentence: str) -> None:
    good: dict[str, Any] = {
        "action": np.array([0, 1]), "reward": np.zeros(2), "propensity": np.ones(2), "target": np.full((2, 3), 1 / 3)
    }  # fmt: skip
    LoggedRounds(**good)
    with pytest.raises(ValueError, match=sentence):
        LoggedRounds(**(good | change))
    with pytest.raises(ValueError, match="cluster has 1 rows, the data have 2"):
        evaluate(LoggedRounds(**good), (IPW(),), cluster=np.zeros(1, dtype=np.int64))


def test_shapes_that_do_not_match() -> None:
    # Set from behind, because the shape checks of the tests come before the package's own.
    data = SOUND.draw(3, generator(8))
    object.__setattr__(data, "q", np.zeros((3, 5)))
    with pytest.raises(ValueError, match="q has 5 actions, target has 4"):
        data.__post_init__()
    object.__setattr__(data, "reward", np.zeros(2))
    with pytest.raises(ValueError, match="reward has 2 rows, action has 3"):
        data.__post_init__()


def test_what_is_missing_is_named() -> None:
    data = replace(SOUND.draw(10, generator(9)), q=None)
    with pytest.raises(ValueError, match="needs 'q'"):
        evaluate(data, (DR(),))
