"""The contract check of user models passes on all of ours, and finds each broken promise."""

import pytest

from recgym.simulators import (
    ExponentialCascade,
    InterestEvolution,
    InterestEvolutionConfig,
    LongTermSatisfaction,
    LongTermSatisfactionConfig,
    MultinomialLogit,
    ProportionalCascade,
    UserModel,
)
from recgym.simulators.choice import ChoiceModel
from recgym.testing import check_user_model, run_checks, user_model_checks
from tests.testing import broken


@pytest.mark.parametrize(
    "config",
    [
        LongTermSatisfactionConfig(),
        LongTermSatisfactionConfig(choc=tuple(6.0 + i % 3 for i in range(32))),
        LongTermSatisfactionConfig.recsim(num_documents=100),
    ],
    ids=["Sim2Rec", "groups", "RecSim"],
)
def test_long_term_satisfaction(config: LongTermSatisfactionConfig) -> None:
    check_user_model(LongTermSatisfaction(config))


@pytest.mark.parametrize("choice", [None, MultinomialLogit(), ExponentialCascade(), ProportionalCascade(0.9, 0.4)])
def test_interest_evolution(choice: ChoiceModel | None) -> None:
    config = InterestEvolutionConfig(num_documents=200)
    check_user_model(InterestEvolution(InterestEvolutionConfig(200, choice=choice) if choice else config), seed=1)


def test_a_sound_model_is_sound() -> None:
    assert all(result.error is None for result in run_checks(user_model_checks(broken.Sound())))


@pytest.mark.parametrize(
    ("model", "check", "sentence"),
    [
        (broken.ShowsHidden, "users: observe() sees nothing hidden", r"depends on the hidden field 'budget': profile"),
        (broken.UsesNumpyGlobal, "users: pure and reproducible", r"respond\(\) draws from numpy's global generator"),
        (broken.UsesTorchGlobal, "users: pure and reproducible", r"advance\(\) draws from torch's global generator"),
        (broken.ChangesState, "users: pure and reproducible", r"advance\(\) changes its inputs: 0.budget"),
        (broken.ChangesSlate, "users: pure and reproducible", r"expected\(\) changes its inputs: 1 "),
        (broken.Remembers, "users: pure and reproducible", r"return_gap\(\) differs between two calls"),
        (broken.ExpectsTooMuch, "users: expected() is the mean", r"over all users"),
        (broken.ExpectsSwapped, "users: expected() is the mean", r"for user \d+ at position"),
        (broken.AnswersRepeats, "users: feedback is legal", r"expected\(\) answers an item at a later position"),
        (broken.ClicksTwice, "users: feedback is legal", r"channel 'click' gives \[2\.\], which is no legal binary"),
        (broken.HalfClicks, "users: feedback is legal", r"channel 'click' gives \[0\.5\], which is no legal binary"),
        (broken.NegativeTime, "users: sizes and types", r"step_seconds\(\) gives -"),
        (broken.NamesNothing, "users: sizes and types", r"hidden field 'mood' is not in the state"),
        (broken.LooksAround, "users: rows are independent", r"expected\(\) of a user depends on the rest"),
        (broken.RowsMatter, "users: rows are independent", r"between rows=None and rows=0..31"),
        (broken.DevicesDisagree, "users: numpy and torch agree", r"expected\(\) differs between numpy and torch"),
        (broken.TakesNumpy, "users: sizes and types", r"on\('numpy'\) was expected to raise"),
        (broken.DoublePrecision, "users: sizes and types", r"profile of observe\(\) has shape .* type float64"),
    ],
)
def test_each_broken_promise_is_found(model: type[UserModel[object]], check: str, sentence: str) -> None:
    parts = {part.name: part for part in user_model_checks(model())}
    with pytest.raises(AssertionError, match=sentence):
        parts[check].run()


def test_the_whole_check_fails_too() -> None:
    with pytest.raises(AssertionError, match="not the mean"):
        check_user_model(broken.ExpectsTooMuch())
