import math
from typing import Any

import numpy as np
import pytest
import torch

from recgym.simulators.learned import LearnedState, LearnedUsers, fit
from recgym.simulators.learned.users import _write
from recgym.testing import check_user_model
from recgym.types import Response
from tests.simulators.learned.known import SMALL, fitted, plain_log


@pytest.fixture(scope="module")
def users() -> LearnedUsers:
    return LearnedUsers(fitted())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slates(n: int, k: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 20, generator=generator(seed)).argsort(1)[:, :k]


def play(users: LearnedUsers, n: int, steps: int, seed: int = 0) -> tuple[LearnedState, list[Response]]:
    draw = generator(seed)
    state, responses = users.sample_users(n, draw), []
    for step in range(steps):
        slate = slates(n, seed=step)
        response = users.respond(state, slate, draw)
        state = users.advance(state, slate, response, draw)
        responses.append(response)
    return state, responses


def test_learned_users_keep_the_contract_of_user_models(users: LearnedUsers) -> None:
    check_user_model(users)


def test_one_seed_one_future(users: LearnedUsers) -> None:
    first, second, other = play(users, 16, 5), play(users, 16, 5), play(users, 16, 5, seed=1)
    for a, b in zip(first[0], second[0], strict=True):
        assert torch.equal(a, b) or bool((a.isnan() == b.isnan()).all())
    assert all(torch.equal(a.feedback, b.feedback) for a, b in zip(first[1], second[1], strict=True))
    assert not torch.equal(first[1][0].feedback, other[1][0].feedback)


def test_stepping_leaves_its_inputs_as_they_were(users: LearnedUsers) -> None:
    state, _ = play(users, 16, 3)
    slate = slates(16)
    copies: list[Any] = [part.clone() for part in state]
    response = users.respond(state, slate, generator())
    answered = response.feedback.clone()
    users.advance(state, slate, response, generator())
    users.expected(state, slate)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(state, copies, strict=True))
    assert torch.equal(response.feedback, answered)


def test_expected_is_the_mean_of_many_answers(users: LearnedUsers) -> None:
    state, _ = play(users, 8, 4)
    slate = slates(8)
    draw = generator()
    total = torch.zeros(8, 4, 3, dtype=torch.float64)
    square = torch.zeros_like(total)
    n = 4000
    for _ in range(n):
        feedback = users.respond(state, slate, draw).feedback.double()
        total += feedback
        square += feedback**2
    mean = total / n
    error = ((square / n - mean**2).clamp(min=1e-9) / n).sqrt()
    z = (users.expected(state, slate).feedback - mean) / error
    assert z.abs().max() < 5
    assert z.abs().mean() < 1.2


def test_no_feedback_behind_a_closed_gate_and_bounds_are_kept(users: LearnedUsers) -> None:
    state = users.sample_users(500, generator())
    feedback = users.respond(state, slates(500), generator()).feedback
    click, watch, stars = feedback.unbind(-1)
    assert set(click.unique().tolist()) == {0.0, 1.0}
    assert bool((watch[click == 0] == 0).all())
    assert bool((stars[click == 0] == 0).all())
    assert bool((stars[click == 1] <= 5).all())


def test_an_item_shown_twice_is_empty_the_second_time(users: LearnedUsers) -> None:
    state = users.sample_users(300, generator())
    slate = slates(300)
    slate[:, 2] = slate[:, 0]
    feedback = users.respond(state, slate, generator()).feedback
    assert bool((feedback[:, 2] == 0).all())
    assert bool((users.expected(state, slate).feedback[:, 2] == 0).all())
    assert feedback[:, 0].sum() > 0


def test_a_slate_that_is_passed_over_leaves_the_state_alone_but_not_the_clock(users: LearnedUsers) -> None:
    state, _ = play(users, 16, 2)
    nothing = Response(torch.zeros(16, 4, 3))
    after = users.advance(state, slates(16), nothing, generator())
    assert torch.equal(after.hidden, state.hidden)
    assert torch.equal(after.recent[:, :-1], state.recent[:, :-1])
    assert torch.equal(after.steps, state.steps + 1)
    assert bool((after.clock_s > state.clock_s).all())


def test_sessions_end_as_often_as_in_the_log(users: LearnedUsers) -> None:
    n, steps = 4000, torch.zeros(4000)
    draw = generator()
    state = users.sample_users(n, draw)
    for step in range(30):
        steps += (~users.has_left(state)).float()
        slate = slates(n, seed=step)
        state = users.advance(state, slate, users.respond(state, slate, draw), draw)
    assert bool(users.has_left(state).float().mean() > 0.98)
    # P(no click in a slate) is about 0.15 in the log, so the hazard is about 0.2 and sessions last about 5 steps.
    assert steps.mean() == pytest.approx(5.0, rel=0.15)


def test_a_step_takes_its_durations_and_a_pause(users: LearnedUsers) -> None:
    feedback = torch.zeros(2, 4, 3)
    feedback[1, :2, 1] = 30.0
    state = users.sample_users(2, generator())
    seconds = users.step_seconds(state, slates(2), Response(feedback))
    assert seconds[0] == pytest.approx(20.0, abs=0.5), "the log's pause between steps is 20 s"
    assert seconds[1] - seconds[0] == pytest.approx(60.0)


def test_pauses_between_sessions_are_those_of_the_log(users: LearnedUsers) -> None:
    draw = generator()
    state, _ = play(users, 4000, 3)
    gaps = users.return_gap(state, draw)
    assert gaps.min() >= fitted().network.gap_edges[0]
    back = gaps[gaps.isfinite()]
    assert back.max() <= fitted().network.gap_edges[-1]
    assert back.median().item() == pytest.approx(float(np.median(fitted().sessions.gaps_s)), rel=0.15)


def test_who_comes_back_begins_anew_and_remembers(users: LearnedUsers) -> None:
    state, _ = play(users, 64, 4)
    gap = torch.full((64,), 3600.0, dtype=torch.float64)
    gap[0] = math.inf
    back = users.come_back(state, gap, generator())
    for same in ("hidden", "profile", "recent", "written", "last_s"):
        assert torch.equal(getattr(back, same), getattr(state, same)), same
    for blank in ("steps", "temper", "brought", "left"):
        assert not getattr(back, blank).any(), blank
    assert bool((state.temper != 0).all())
    assert torch.equal(back.clock_s[1:], state.clock_s[1:] + 3600.0)
    slate = slates(64)
    clicked = Response(torch.ones(64, 4, 3))
    soon = users.advance(users.come_back(state, gap, generator()), slate, clicked, generator())
    late = users.advance(users.come_back(state, gap * 100, generator()), slate, clicked, generator())
    assert (soon.hidden - late.hidden)[1:].abs().amax(1).min() > 0, "the pause reaches the network"


def test_the_record_on_view_is_past_and_right_aligned_and_knows_nothing_hidden(users: LearnedUsers) -> None:
    state = users.sample_users(200, generator())
    history = users.observe(state).history
    assert history is not None
    assert bool((history.time_s[history.mask] <= 0).all())
    assert bool((history.mask[:, 1:] | ~history.mask[:, :-1]).all()), "once an event is there, all newer ones are"
    assert bool((history.items[~history.mask] == users.num_items).all())
    assert bool(((history.feedback != 0).any(-1) == history.mask).all())


def test_users_of_a_log_without_times_stay_for_the_configured_mean() -> None:
    users = LearnedUsers(fit(plain_log(timed=False), SMALL, seed=0))
    draw = generator()
    state = users.sample_users(5000, draw)
    slate = slates(5000, 2)
    state = users.advance(state, slate, users.respond(state, slate, draw), draw)
    assert users.has_left(state).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert bool((users.return_gap(state, draw) == math.inf).all())
    assert bool((users.step_seconds(state, slate, users.respond(state, slate, draw)) == 1).all())


def test_there_is_no_numpy_face(users: LearnedUsers) -> None:
    with pytest.raises(ValueError, match="torch devices only"):
        users.on("numpy")
    assert users.on("cpu").num_items == users.num_items


def test_the_ring_keeps_the_last_items_in_slate_order() -> None:
    recent, written = torch.tensor([[7, 8, 9, 0]]), torch.tensor([0])
    slate = torch.tensor([[1, 2, 3, 4, 5]])
    ring, count = _write(recent, written, slate, torch.tensor([[False, True, False, True, False]]))
    assert ring[0, :3].tolist() == [2, 4, 9]
    assert count.tolist() == [2]
    ring, count = _write(ring, count, slate, torch.tensor([[True, True, True, True, False]]))
    assert sorted(ring[0, :3].tolist()) == [2, 3, 4], "of four items, a ring of three keeps the last three"
    assert count.tolist() == [6]
