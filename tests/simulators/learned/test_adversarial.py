import copy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.arrays import take_rows
from recgym.data import InteractionLog, split_by_time
from recgym.seeding import make_generator
from recgym.simulators.learned import FittedSimulator, LearnedConfig, LearnedUsers, fit, predict
from recgym.simulators.learned.adversarial import AdversarialConfig, AdversarialRound, refine_adversarially
from recgym.simulators.learned.adversarial_rounds import Learners, play_round
from recgym.simulators.learned.adversarial_stage import Stage
from recgym.simulators.learned.adversarial_steps import Steps
from recgym.simulators.learned.adversarial_views import View, tell_apart
from recgym.stats import log_loss
from recgym.types import Response
from tests.simulators.learned.known import fitted, known, plain_log
from tests.simulators.learned.rushed import rushed, rushed_log

QUICK = AdversarialConfig(
    rounds=20, sessions=256, max_steps=20, learning_rate=2e-3, checked_sessions=500, copies=2, most_worse=0.02
)


@lru_cache(maxsize=1)
def train_log() -> InteractionLog:
    return split_by_time(known().log, 0.2).train


def stage_of(simulator: FittedSimulator) -> Stage:
    return Stage.of(simulator, train_log(), 20)


def hasty() -> FittedSimulator:
    """The fitted users with a leave head that is off by 1 in the logit."""
    network = copy.deepcopy(fitted().network)
    network.leave_shift += 1.0
    return replace(fitted(), network=network)


def weights_of(simulator: FittedSimulator) -> torch.Tensor:
    return torch.cat([weight.detach().ravel() for weight in simulator.network.state_dict().values()])


def played(simulator: FittedSimulator, sessions: np.ndarray) -> tuple[Stage, Steps]:
    stage = stage_of(simulator)
    return stage, stage.played(simulator.network, stage.train, sessions, 0, 0)


def test_play_moves_users_as_learned_users_move() -> None:
    stage, steps = played(fitted(), np.arange(40))
    starts = stage.train.snapshots
    model = LearnedUsers(fitted())
    generator = make_generator(0, "users")
    state = model.sample_users(40, generator)
    items = starts.items[:40]
    state = state._replace(
        hidden=starts.hidden[:40], profile=starts.profile[:40], last_s=starts.last_s[:40],
        recent=torch.cat([items, items[:, :1]], 1),
    )  # fmt: skip
    state = type(state)(*(leaf.clone() for leaf in state))
    temper = steps.ends.temper(fitted().network)
    first_row = torch.cumsum(torch.bincount(steps.shown.owner), 0) - torch.bincount(steps.shown.owner)
    checked = 0
    for depth in range(4):
        at = torch.nonzero(steps.depth == depth)[:, 0]
        who = steps.session[at]
        rows = first_row[at][:, None] + torch.arange(4)
        slate, users = stage.data.row_item[steps.shown.rows[rows]], take_rows(state, who)
        assert torch.allclose(users.hidden, steps.before[at], atol=1e-5)
        repeats = (users.recent[:, None, :-1] == slate[:, :, None]).sum(-1).float()
        assert torch.equal(repeats, steps.repeats[rows])
        assert torch.allclose((users.clock_s / 60).float(), steps.ends.minutes[at], atol=1e-4)
        then = model.advance(users, slate, Response(steps.answers[rows]), generator)
        assert torch.allclose(then.hidden, steps.after[at], atol=1e-5)
        assert torch.allclose(then.temper, temper[at], atol=1e-4)
        for leaf, value in zip(state, then, strict=True):
            leaf[who] = value
        checked += at.shape[0]
    assert checked > 80


def test_played_sessions_show_the_logged_slates_and_end_when_users_leave() -> None:
    sessions = np.arange(30)
    stage, steps = played(fitted(), sessions)
    real, owner = stage.train.real(sessions, 20)
    for session in range(30):
        shown = steps.ends.steps[(steps.session == session).numpy()]
        own = real[owner == session]
        both = min(own.size, shown.size)
        assert np.array_equal(shown[:both], own[:both])
    last = torch.cat([steps.session[1:] != steps.session[:-1], torch.ones(1, dtype=torch.bool)])
    assert not steps.left[~last].any()
    assert (steps.left[last].bool() | (steps.depth[last] == 19)).all()
    tail = set(stage.tail.exposures.tolist())
    assert not tail & set(steps.ends.steps.tolist()), "the validation tail is never shown to users who learn"


def test_a_wrong_leave_head_is_mended_by_the_discriminator_alone() -> None:
    checks: list[AdversarialRound] = []
    better = refine_adversarially(hasty(), train_log(), replace(QUICK, anchor=0.0), 0, checks.append)
    start, kept = checks[0], min(checks, key=lambda check: check.auc)
    assert start.auc > 0.64
    assert kept.auc < start.auc - 0.07
    assert abs(kept.steps - kept.real_steps) < 0.6 * abs(start.steps - start.real_steps)
    assert kept.leaving < start.leaving - 0.05, "likelihood gets better although nobody looked at it"
    assert "refined against a discriminator" in better.report.notes[-1]
    assert not torch.equal(weights_of(better), weights_of(hasty()))


def test_users_with_too_little_time_get_sessions_of_the_right_length_which_likelihood_cannot_give() -> None:
    config = replace(QUICK, anchor=0.1, most_worse=0.5, rounds=15)
    checks: list[AdversarialRound] = []
    alone: list[AdversarialRound] = []
    refine_adversarially(rushed(), rushed_log(), config, 0, checks.append)
    blind = replace(config, anchor=1.0, discriminator_rate=0.0, rounds=10)
    refine_adversarially(rushed(), rushed_log(), blind, 0, alone.append)
    start, end = checks[0], checks[-1]
    assert start.steps > 1.3 * start.real_steps
    assert abs(end.steps / end.real_steps - 1) < 0.2
    assert end.auc < start.auc - 0.08
    assert alone[-1].steps > 1.3 * alone[-1].real_steps


def test_a_good_start_is_not_harmed() -> None:
    checks: list[AdversarialRound] = []
    same = refine_adversarially(fitted(), train_log(), replace(QUICK, rounds=10), 0, checks.append)
    assert checks[0].auc < 0.55, "there is next to nothing to be gained"
    before, after = (predict(simulator, known().log) for simulator in (fitted(), same))
    click = fitted().schema.index("click")
    losses = [log_loss(found.positive[:, click], found.labels[:, click]) for found in (before, after)]
    leaving = [log_loss(found.leave, found.last) for found in (before, after)]
    assert losses[1] < 1.02 * losses[0]
    assert leaving[1] < 1.02 * leaving[0]


def test_a_discriminator_that_learns_nothing_changes_nothing() -> None:
    stage = stage_of(hasty())
    for rate, moves in ((0.0, False), (3e-3, True)):
        config = replace(QUICK, anchor=0.0, discriminator_rate=rate, head_start=0)
        network = copy.deepcopy(hasty().network)
        learners = Learners.of(network, stage, config, 0)
        for number in (1, 2):
            play_round(learners, stage, config, number, 0)
        after = torch.cat([weight.detach().ravel() for weight in network.state_dict().values()])
        assert torch.equal(after, weights_of(hasty())) is not moves


def test_states_vectors_and_the_start_of_users_stay_as_they_were() -> None:
    better = refine_adversarially(hasty(), train_log(), replace(QUICK, rounds=5), 0)
    frozen = ("gru", "embedding", "feedback_in", "logit_s", "leave_s", "known")
    before, after = hasty().network.state_dict(), better.network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith(frozen))
    assert not torch.equal(after["leave_out.bias"], before["leave_out.bias"])
    assert better.snapshots is fitted().snapshots


def test_the_same_seed_gives_the_same_simulator_which_can_be_saved_and_plays(tmp_path: Path) -> None:
    config = replace(QUICK, rounds=5, head_start=1, least_gain=0.0)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, second = (refine_adversarially(hasty(), train_log(), config, 3) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(weights_of(first), weights_of(second))
    assert not torch.equal(weights_of(first), weights_of(refine_adversarially(hasty(), train_log(), config, 4)))
    first.save(tmp_path / "simulator")
    again = FittedSimulator.load(tmp_path / "simulator")
    assert torch.equal(weights_of(again), weights_of(first))
    assert again.report.notes[-1].startswith("refined against a discriminator")
    model, generator = LearnedUsers(again), make_generator(0, "users")
    slate = torch.arange(12).reshape(3, 4)
    users = model.sample_users(3, generator)
    assert model.respond(users, slate, generator).feedback.shape == (3, 4, 3)


def test_sessions_of_one_kind_cannot_be_told_apart_and_those_of_two_kinds_can() -> None:
    stage = stage_of(fitted())
    n = len(stage.train)
    halves = np.arange(0, n, 2), np.arange(1, n, 2)

    def views(simulator: FittedSimulator, seed: int) -> list[View]:
        return [stage.view(stage.played(simulator.network, stage.train, half, seed, 0)) for half in halves]

    one, other, quick = views(fitted(), 1), views(fitted(), 2), views(hasty(), 3)
    assert tell_apart((one[0], other[0]), (one[1], other[1])) == pytest.approx(0.5, abs=0.05)
    assert tell_apart((one[0], quick[0]), (one[1], quick[1])) > 0.62


def test_what_cannot_be_played_is_refused() -> None:
    plain = plain_log()
    with pytest.raises(ValueError, match="slates and times"):
        refine_adversarially(fit(plain, LearnedConfig(hidden=8, item_width=4, max_epochs=1)), plain)
    with pytest.raises(ValueError, match="was expected"):
        refine_adversarially(fitted(), known().log)
    for wrong in ({"rounds": 0}, {"anchor": -1.0}, {"clip": 1.0}, {"discount": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AdversarialConfig(**wrong)
