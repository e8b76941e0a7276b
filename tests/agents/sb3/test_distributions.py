import itertools
import math

import numpy as np
import pytest
import torch

from recgym.agents.sb3.distributions import FORBIDDEN, Certain, EpsilonGreedy, Slates, SquashedGaussian
from recgym.seeding import make_generator


def _slates(k: int, m: int) -> Slates:
    return Slates(torch.randn((1, k, m), generator=torch.Generator().manual_seed(0)) * 2)


@pytest.mark.parametrize(("k", "m"), [(1, 6), (2, 4), (3, 4)])
def test_probabilities_of_all_slates_sum_to_one(k: int, m: int) -> None:
    distribution = _slates(k, m)
    actions = torch.tensor(list(itertools.product(range(m), repeat=k)))
    everywhere = Slates(distribution.logits.expand(len(actions), -1, -1))
    probability = everywhere.log_prob(actions if k > 1 else actions[:, 0]).exp()
    assert probability.sum().item() == pytest.approx(1.0, abs=1e-5)
    repeats = torch.tensor([len(set(row)) < k for row in actions.tolist()])
    assert (probability[repeats] == 0).all()


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_slates_are_drawn_as_often_as_their_propensity_says(device: str) -> None:
    users = 40_000
    one = _slates(2, 3)
    distribution = Slates(one.logits.expand(users, -1, -1))
    drawn = distribution.sample(make_generator(0, "test", device=device))
    assert drawn.shape == (users, 2)
    for slate in itertools.permutations(range(3), 2):
        expected = one.log_prob(torch.tensor([slate])).exp().item()
        found = (drawn == torch.tensor(slate)).all(1).float().mean().item()
        assert abs(found - expected) < 4 * math.sqrt(expected * (1 - expected) / users) + 1e-4


def test_draws_come_from_the_generator_alone() -> None:
    distribution = Slates(torch.zeros((50, 2, 9)))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = distribution.sample(make_generator(3, "test"))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, distribution.sample(make_generator(3, "test")))


def test_mode_takes_the_best_that_is_left() -> None:
    logits = torch.tensor([[[0.0, 3.0, 1.0], [0.0, 9.0, 1.0]]])
    assert Slates(logits).mode().tolist() == [[1, 2]]
    assert Slates(logits[:, :1]).mode().tolist() == [1]


def test_forbidden_candidates_are_never_drawn_but_a_user_without_any_still_gets_one() -> None:
    logits = torch.zeros((200, 1, 4))
    logits[:100, :, 2:] = FORBIDDEN
    logits[100:] = FORBIDDEN
    distribution = Slates(logits)
    drawn = distribution.sample(make_generator(0, "test"))
    assert (drawn[:100] < 2).all()
    assert torch.allclose(distribution.log_prob(drawn)[100:], torch.tensor(math.log(0.25)))


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_slate_never_repeats_an_item_where_too_few_are_allowed(allowed: int) -> None:
    logits = torch.zeros((500, 3, 4))
    logits[:, :, allowed:] = FORBIDDEN
    distribution = Slates(logits)
    for drawn in (distribution.sample(make_generator(0, "test")), distribution.mode()):
        assert all(len(set(slate)) == 3 for slate in drawn.tolist())
        assert all(set(range(allowed)) <= set(slate) for slate in drawn.tolist())
        assert distribution.log_prob(drawn).min() > math.log(1 / 24) - 1e-5
    assert (distribution.log_prob(torch.full((500, 3), 1)).exp() == 0).all()


def test_entropy_of_one_item_is_exact() -> None:
    distribution = _slates(1, 5)
    p = torch.softmax(distribution.logits[0, 0], 0)
    assert distribution.entropy(torch.tensor([0])).item() == pytest.approx(-(p * p.log()).sum().item(), abs=1e-5)


def test_epsilon_greedy_spreads_epsilon_over_what_is_allowed() -> None:
    values = torch.tensor([[5.0, 1.0, 2.0, 0.0]]).expand(4, -1)
    allowed = torch.tensor([[False, True, True, True]]).expand(4, -1)
    distribution = EpsilonGreedy(values, allowed, 0.3)
    assert distribution.mode().tolist() == [2, 2, 2, 2]
    assert distribution.log_prob(torch.arange(4)).exp().tolist() == pytest.approx([0.0, 0.1, 0.8, 0.1])


def test_epsilon_greedy_draws_what_it_says() -> None:
    users = 20_000
    distribution = EpsilonGreedy(torch.tensor([[1.0, 2.0]]).expand(users, -1), torch.ones((users, 2)).bool(), 0.4)
    assert distribution.sample(make_generator(0, "test")).float().mean().item() == pytest.approx(0.8, abs=0.012)


def test_squashed_density_integrates_to_one() -> None:
    grid = torch.linspace(-1 + 1e-5, 1 - 1e-5, 20_001)[:, None]
    distribution = SquashedGaussian(torch.full_like(grid, 0.4), torch.full_like(grid, -0.3))
    density = distribution.log_prob(grid).exp().numpy()
    assert np.trapezoid(density, grid[:, 0].numpy()) == pytest.approx(1.0, abs=1e-3)
    assert distribution.mode()[0, 0].item() == pytest.approx(math.tanh(0.4))


def test_squashed_draws_lie_in_the_box_and_follow_the_density() -> None:
    distribution = SquashedGaussian(torch.full((20_000, 1), 3.0), torch.full((20_000, 1), 1.0))
    drawn = distribution.sample(make_generator(0, "test", device="numpy"))
    assert (drawn.abs() < 1).all()
    assert torch.isfinite(distribution.log_prob(drawn)).all()
    below = 0.5 * (1 + math.erf((math.atanh(0.9) - 3.0) / math.e / math.sqrt(2)))
    assert (drawn < 0.9).float().mean().item() == pytest.approx(below, abs=0.012)


def test_certain_actions_have_no_density() -> None:
    distribution = Certain(torch.zeros((3, 2)))
    assert torch.equal(distribution.sample(None), distribution.mode())
    assert torch.isnan(distribution.log_prob(distribution.mode())).all()
    assert math.isnan(distribution.mode_log_prob)
