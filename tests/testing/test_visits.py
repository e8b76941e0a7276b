"""The check of visits finds each broken promise."""

from typing import Any

import pytest

from recgym.arrays import namespace
from recgym.simulators import OrganicBandit, OrganicBanditConfig, Visit
from recgym.simulators.organic_bandit import OrganicState
from recgym.testing import user_model_checks

CHECK = "users: visits between steps"


class Talkative(OrganicBandit):
    """Visits often, so that a few steps show visits."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(OrganicBanditConfig(bandit_to_organic=0.9), device)

    def on(self, device: str) -> "Talkative":
        return type(self)(device)


class RightAligned(Talkative):
    def visit(self, state: OrganicState) -> Visit:
        visit = super().visit(state)
        flip: Any = namespace(visit.mask).flip
        return visit._replace(mask=flip(visit.mask, (1,)) + False, items=flip(visit.items, (1,)) + 0)


class NoFeedback(Talkative):
    def visit(self, state: OrganicState) -> Visit:
        visit = super().visit(state)
        return visit._replace(feedback=visit.feedback * 0)


class TooShort(Talkative):
    def visit(self, state: OrganicState) -> Visit:
        visit = super().visit(state)
        return visit._replace(seconds=visit.seconds / 2)


class Backwards(Talkative):
    def visit(self, state: OrganicState) -> Visit:
        visit = super().visit(state)
        return visit._replace(after_s=(visit.seconds[:, None] - visit.after_s) * visit.mask)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (RightAligned, "events are not left-aligned"),
        (NoFeedback, "an event without feedback"),
        (TooShort, "an event comes after the end of the visit"),
        (Backwards, "events are not in the order of time"),
    ],
)
def test_each_broken_promise_is_found(model: type[Talkative], sentence: str) -> None:
    {check.name: check for check in user_model_checks(Talkative())}[CHECK].run()
    with pytest.raises(AssertionError, match=sentence):
        {check.name: check for check in user_model_checks(model())}[CHECK].run()
