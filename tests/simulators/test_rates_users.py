import numpy as np
import pytest
import torch

from recgym.arrays import to_numpy
from recgym.seeding import make_generator
from recgym.simulators.rates_users import Rates, RatesUsers
from recgym.testing import check_user_model
from tests.simulators.learned.known import LEAVE, known, plain_log


def users() -> RatesUsers:
    return RatesUsers(Rates.of(known().log, "click", gated=True))


def test_the_contract_of_user_models_holds() -> None:
    check_user_model(users())


def test_rates_are_those_of_the_log() -> None:
    rates, frame = Rates.of(known().log, "click", gated=True), known().log.frame
    assert rates.gated
    assert rates.primary == 0
    clicks = frame["click"].to_numpy()[frame["item"].to_numpy() == 3]
    overall = frame["click"].mean()
    assert isinstance(overall, float)
    assert rates.popularity[3] == pytest.approx((clicks.sum() + 10 * overall) / (clicks.size + 10), rel=1e-5)
    watched = frame["watch"].to_numpy()[frame["click"].to_numpy() > 0]
    assert rates.values[1].mean() == pytest.approx(watched.mean(), rel=0.01)
    assert np.median(rates.values[1]) == pytest.approx(np.median(watched), rel=0.01)
    assert LEAVE[True] < rates.leave < LEAVE[False]


def test_answers_follow_popularity_and_open_the_other_channels() -> None:
    model, generator = users(), make_generator(0, "answers")
    state = model.sample_users(20_000, generator)
    slate = torch.arange(4).expand(20_000, 4)
    feedback = to_numpy(model.respond(state, slate, generator).feedback)
    np.testing.assert_allclose(feedback[:, :, 0].mean(0), model.rates.popularity[:4], atol=0.015)
    assert not feedback[feedback[:, :, 0] == 0].any()
    assert (feedback[feedback[:, :, 0] == 1][:, 1] > 0).all()


def test_nobody_can_be_told_apart_and_leaving_is_a_coin() -> None:
    model, generator = users(), make_generator(0, "leaving")
    state = model.sample_users(20_000, generator)
    slate = torch.zeros(20_000, 1, dtype=torch.int64)
    state = model.advance(state, slate, model.respond(state, slate, generator), generator)
    assert to_numpy(model.has_left(state)).mean() == pytest.approx(model.rates.leave, abs=0.015)


def test_a_log_without_slates_is_refused() -> None:
    with pytest.raises(ValueError, match="the log has no slates"):
        Rates.of(plain_log(), "rating", gated=False)
