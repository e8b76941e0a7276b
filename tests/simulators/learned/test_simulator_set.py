from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recgym.simulators.learned import FittedSimulator, FreshUsers, LearnedState, LearnedUsers, SimulatorSet
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.set_state import SetState
from recgym.simulators.learned.stack import joint_snapshots
from recgym.testing import check_user_model
from recgym.types import Response
from tests.simulators.learned.known import fitted

WIDTHS = ((32, 8), (24, 8), (32, 6), (17, 5))
B, K = 60, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slates(n: int, seed: int = 0, k: int = K) -> Tensor:
    return torch.rand(n, 20, generator=generator(seed)).argsort(1)[:, :k]


def member_of(hidden: int, item_width: int, seed: int) -> FittedSimulator:
    """A simulator like the fitted one, with a network of other widths and of random weights."""
    base = fitted()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = replace(base.network.shape, hidden=hidden, item_width=item_width)
        network = ResponseNetwork(shape, base.schema, torch.tensor([1.0, 60.0, 5.0]))
        for weight in network.parameters():
            weight.data += 0.1 * torch.randn_like(weight)
        for name in ("context_mean", "context_sd", "known", "item_table", "gap_edges"):
            getattr(network, name).copy_(getattr(base.network, name))
        network.leave_shift.fill_(0.1 * seed)
        network.gap_edges.mul_(1.0 + 0.1 * seed)
        states = torch.randn(base.snapshots.hidden.shape[0], hidden).tanh()
    return replace(base, network=network.eval(), snapshots=replace(base.snapshots, hidden=states))


@lru_cache(maxsize=1)
def members() -> tuple[FittedSimulator, ...]:
    return (fitted(), *(member_of(h, d, seed) for seed, (h, d) in enumerate(WIDTHS[1:], 1)))


def alone(state: SetState, member: int) -> LearnedState:
    """The whole batch as if it lived in one member: only the rows of that member mean anything."""
    width = members()[member].network.shape.hidden
    fields = {name: getattr(state, name) for name in LearnedState._fields}
    return LearnedState(**{**fields, "hidden": state.hidden[:, :width].contiguous()})


def play(users: SimulatorSet, n: int, steps: int, seed: int = 0) -> tuple[SetState, list[Response]]:
    draw = generator(seed)
    state, responses = users.sample_users(n, draw), []
    for step in range(steps):
        response = users.respond(state, slates(n, step), draw)
        state = users.advance(state, slates(n, step), response, draw)
        responses.append(response)
    return state, responses


def test_a_set_keeps_the_contract_of_user_models() -> None:
    check_user_model(SimulatorSet(members(), follow=True))


def test_each_row_is_what_its_member_gives_alone() -> None:
    users = SimulatorSet(members())
    state, _ = play(users, B, 3)
    slate = slates(B, 9)
    slate[:, 2] = slate[:, 0]
    response = users.respond(state, slate, generator(1))
    after = users.advance(state, slate, response, generator(2))
    gap, expected = users.return_gap(after, generator(3)), users.expected(state, slate)
    for number, member in enumerate(members()):
        single, mine, rows = LearnedUsers(member), alone(state, number), state.member == number
        width = member.network.shape.hidden
        assert not state.hidden[rows, width:].any(), "what is padded stays 0"
        torch.testing.assert_close(single.expected(mine, slate).feedback[rows], expected.feedback[rows])
        torch.testing.assert_close(single.respond(mine, slate, generator(1)).feedback[rows], response.feedback[rows])
        moved = single.advance(mine, slate, response, generator(2))
        for name in LearnedState._fields:
            theirs = getattr(after, name)[:, :width] if name == "hidden" else getattr(after, name)
            torch.testing.assert_close(getattr(moved, name)[rows], theirs[rows], equal_nan=True, msg=name)
        torch.testing.assert_close(single.return_gap(alone(after, number), generator(3))[rows], gap[rows])
        leave = single.felt(mine, slate, response).leave[rows]
        assert leave.min() < leave.max()


def test_members_differ_so_that_a_wrong_member_would_be_seen() -> None:
    users = SimulatorSet(members())
    state, _ = play(users, B, 3)
    other = state._replace(member=(state.member + 1) % len(members()))
    assert bool(((users.expected(state, slates(B)).feedback - users.expected(other, slates(B)).feedback) != 0).any())


def test_a_member_that_knows_no_returns_never_sees_one() -> None:
    shape = replace(members()[1].network.shape, gaps=0)
    network = ResponseNetwork(shape, fitted().schema)
    users = SimulatorSet((fitted(), replace(members()[1], network=network.eval())))
    gap = users.return_gap(state := users.sample_users(400, generator()), generator())
    assert bool(gap[state.member == 1].isinf().all())
    assert bool(gap[state.member == 0].isfinite().any())


def test_members_are_dealt_evenly_and_anew() -> None:
    users = SimulatorSet(members())
    draw = generator()
    first, second = users.sample_users(B, draw).member, users.sample_users(B, draw).member
    assert torch.bincount(first).tolist() == [B // 4] * 4
    assert not torch.equal(first, second)
    ones = torch.cat([users.sample_users(1, draw).member for _ in range(400)])
    assert torch.bincount(ones, minlength=4).min() > 60, "a single newcomer may come to any member"
    state = users.sample_users(B, draw)
    group = users.observe(state).group
    assert group is not None
    assert torch.equal(group, state.member)


def test_rows_may_have_members_of_their_own() -> None:
    users = SimulatorSet(members(), by_row=[0, 0, 2, 3])
    assert users.sample_users(4, generator()).member.tolist() == [0, 0, 2, 3]
    assert users.on("cpu").sample_users(2, generator(), torch.tensor([3, 1])).member.tolist() == [3, 0]
    with pytest.raises(ValueError, match="4 values, found a batch of 5"):
        users.sample_users(5, generator())
    with pytest.raises(ValueError, match=r"members 0\.\.3"):
        SimulatorSet(members(), by_row=[4])


def test_one_seed_one_future() -> None:
    users = SimulatorSet(members())
    (one, first), (two, second) = play(users, B, 4), play(users, B, 4)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(one, two, strict=True))
    assert all(torch.equal(a.feedback, b.feedback) for a, b in zip(first, second, strict=True))
    assert not torch.equal(play(users, B, 4, seed=1)[1][-1].feedback, first[-1].feedback)


def test_over_users_a_set_is_the_mean_of_its_members() -> None:
    n = 4000
    together = SimulatorSet(members())
    mean = together.expected(together.sample_users(n, generator()), slates(n)).feedback.mean((0, 1))
    singles = [LearnedUsers(member) for member in members()]
    each = torch.stack(
        [one.expected(one.sample_users(n, generator(5)), slates(n)).feedback.mean((0, 1)) for one in singles]
    )
    torch.testing.assert_close(mean, each.mean(0), rtol=0.03, atol=0.0)
    assert (each.amax(0) / each.amin(0)).min() > 1.1, "the members are told apart"


def test_uncertainty_is_how_far_members_disagree_about_the_same_user() -> None:
    users = SimulatorSet(members(), follow=True)
    draw = generator()
    state = users.sample_users(B, draw)
    twins = []
    for member in members():
        snapshot = member.snapshots.hidden[state.snapshot]
        twins.append(alone(state, 0)._replace(hidden=snapshot))
    for step in range(3):
        slate = slates(B, step)
        response = users.respond(state, slate, draw)
        state = users.advance(state, slate, response, draw)
        twins = [
            LearnedUsers(member).advance(twin, slate, response, generator())
            for member, twin in zip(members(), twins, strict=True)
        ]
    slate = slates(B, 7)
    expected = [LearnedUsers(m).expected(t, slate).feedback for m, t in zip(members(), twins, strict=True)]
    torch.testing.assert_close(users.uncertainty(state, slate), torch.stack(expected)[..., 0].std(0))
    worth = users.uncertainty(state, slate, {"click": 1.0, "watch": -0.1})
    torch.testing.assert_close(worth, torch.stack([e[..., 0] - 0.1 * e[..., 1] for e in expected]).std(0))
    one_each = users.uncertainty_alone(state, slate)
    torch.testing.assert_close(one_each[:, 1], users.uncertainty(state, slate[:, 1:2])[:, 0])
    with pytest.raises(ValueError, match="follow=True"):
        SimulatorSet(members()).uncertainty(play(SimulatorSet(members()), 4, 0)[0], slates(4))


def test_members_who_agree_are_certain() -> None:
    users = SimulatorSet((fitted(),) * 3, follow=True)
    state, _ = play(users, B, 3)
    assert users.uncertainty(state, slates(B)).max() < 1e-6


def test_newcomers_without_a_past_look_blank_to_every_member() -> None:
    fresh = FreshUsers(joint_snapshots(members()))
    users = SimulatorSet(members(), newcomers=fresh, follow=True)
    state = users.sample_users(B, generator())
    assert not state.hidden.any()
    assert state.views.shape == (B, 4, 32)
    assert bool((state.recent[:, :-1] == users.num_items).all())


def test_what_does_not_belong_together_is_refused() -> None:
    base = fitted()
    with pytest.raises(ValueError, match="at least one member"):
        SimulatorSet(())
    other = replace(base, snapshots=replace(base.snapshots, user=base.snapshots.user.flip(0)))
    with pytest.raises(ValueError, match="logged users of member 1"):
        SimulatorSet((base, other))
    wide = ResponseNetwork(replace(base.network.shape, rivals=False), base.schema)
    with pytest.raises(ValueError, match="rivals is True in the first"):
        SimulatorSet((base, replace(base, network=wide)))
    with pytest.raises(ValueError, match="torch devices only"):
        SimulatorSet((base,)).on("numpy")


def test_a_saved_set_is_the_same_set(tmp_path: Path) -> None:
    users = SimulatorSet(members())
    users.save(tmp_path / "set")
    again = SimulatorSet.load(tmp_path / "set")
    for one, two in zip(play(users, B, 3)[0], play(again, B, 3)[0], strict=True):
        assert torch.equal(one.nan_to_num(), two.nan_to_num())
    with pytest.raises(ValueError, match=r"no set\.json"):
        SimulatorSet.load(tmp_path)
