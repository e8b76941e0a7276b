import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.seeding import make_generator
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.counts import (
    POTENTIALS,
    SlateGrid,
    draw,
    log_normaliser,
    marginal_logits,
    start_potentials,
)

LOGITS = torch.tensor([0.3, -1.2, 0.9, -0.4, 0.0], dtype=torch.float64)
FREE = torch.tensor([-1.0, -0.7, 0.8], dtype=torch.float64)


def every(logits: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """All answers to a slate and their chances, written out."""
    answers = torch.tensor(list(itertools.product((0.0, 1.0), repeat=logits.shape[0])), dtype=torch.float64)
    potential = torch.cat([free[:1], torch.zeros(1, dtype=torch.float64), free[1:]])
    energy = answers @ logits + potential[answers.sum(1).long().clamp(max=3)]
    return answers, energy.softmax(0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_chances_are_those_of_the_law_written_out(size: int) -> None:
    answers, chances = every(LOGITS[:size], FREE)
    marginal = marginal_logits(LOGITS[None, :size], FREE[None])[0].sigmoid()
    torch.testing.assert_close(marginal, chances @ answers)
    free = torch.cat([FREE[:1], torch.zeros(1, dtype=torch.float64), FREE[1:]])
    logs = answers @ LOGITS[:size] + free[answers.sum(1).long().clamp(max=3)]
    independent = torch.nn.functional.softplus(LOGITS[:size]).sum()
    torch.testing.assert_close(log_normaliser(LOGITS[None, :size], FREE[None])[0], logs.logsumexp(0) - independent)


def test_draws_follow_the_law_and_leave_out_what_is_not_shown() -> None:
    shown = torch.tensor([True, True, False, True, True])
    answers, chances = every(LOGITS[shown], FREE)
    n = 40_000
    drawn = draw(LOGITS.expand(n, 5), FREE.expand(n, 3), make_generator(0, "draws"), shown.expand(n, 5))
    assert not drawn[:, 2].any()
    code = (drawn[:, shown] * torch.tensor([8, 4, 2, 1])).sum(1)
    share = torch.bincount(code, minlength=16) / n
    assert float((share - chances).abs().max()) < 0.01
    torch.testing.assert_close(
        marginal_logits(LOGITS[None], FREE[None], shown[None])[0, shown].sigmoid(), chances @ answers
    )


def test_without_potentials_items_are_independent() -> None:
    logits = torch.randn(4, 7)
    torch.testing.assert_close(marginal_logits(logits, torch.zeros(4, 3)), logits)
    torch.testing.assert_close(log_normaliser(logits, torch.zeros(4, 3)), torch.zeros(4), atol=1e-5, rtol=0)


def test_exactly_one_of_a_long_slate_is_a_softmax() -> None:
    logits, only_one = torch.randn(3, 100) - 5, torch.tensor([-20.0, -20.0, -20.0]).expand(3, 3)
    torch.testing.assert_close(marginal_logits(logits, only_one).sigmoid(), logits.softmax(1), atol=1e-4, rtol=1e-3)
    drawn = draw(logits, only_one, make_generator(0, "one"))
    assert drawn.sum(1).tolist() == [1, 1, 1]


def test_slates_of_different_sizes_go_to_a_grid_and_back() -> None:
    owner = torch.tensor([0, 0, 1, 3, 3, 3])
    grid = SlateGrid.of(owner, 5)
    values = torch.arange(6.0)
    assert grid.columns == 3
    assert torch.equal(grid.rows(grid.spread(values)), values)
    assert grid.mean(values).tolist() == [0.5, 2.0, 0.0, 4.0, 0.0]


def test_potentials_begin_at_how_often_each_number_is_taken() -> None:
    generator = np.random.default_rng(0)
    sizes = generator.integers(2, 9, 20_000)
    free = start_potentials(sizes, generator.binomial(sizes, 0.2))
    np.testing.assert_allclose(free, 0.0, atol=0.1)
    none, two, more = start_potentials(sizes, np.ones_like(sizes))
    assert max(none, two, more) < -6


SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY), Channel("read", ChannelKind.DURATION, "s")))


def clicks() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    click = generator.random(500) < 0.4
    return np.stack([click, click * generator.random(500)], 1).astype(np.float32), np.ones((500, 2), dtype=bool)


def test_slates_and_rows_of_a_plan_say_the_same() -> None:
    labels, observed = clicks()
    plan = ResponsePlan.fit(SCHEMA, labels, observed, together=True)
    assert ResponsePlan.from_json(plan.to_json()) == plan
    assert plan.width == ResponsePlan.fit(SCHEMA, labels, observed).width + POTENTIALS
    parameters = torch.randn(6, 4, plan.width)
    mean = plan.mean(plan.slates.alone(parameters))
    owner = torch.arange(6).repeat_interleave(4)
    rows = plan.mean(plan.slates.alone_rows(parameters.flatten(0, 1), owner))
    torch.testing.assert_close(rows, mean.flatten(0, 1))
    many = parameters.repeat(4000, 1, 1)
    generator = make_generator(0, "answers")
    drawn = plan.sample(many, generator, chosen=plan.slates.choose(many, generator))
    torch.testing.assert_close(drawn.view(4000, 6, 4, 2).mean(0), mean, atol=0.04, rtol=0.1)
    assert not drawn[..., 1][drawn[..., 0] == 0].any()
    one = parameters[:, :1]
    torch.testing.assert_close(plan.slates.alone_among(one, 1), plan.slates.alone(one))
    alike = parameters[:, :1].expand(6, 3, plan.width)
    torch.testing.assert_close(plan.mean(plan.slates.alone_among(alike, 3)), plan.mean(plan.slates.alone(alike)))


def test_the_likelihood_of_whole_slates_adds_up_to_one() -> None:
    labels, observed = clicks()
    plan = ResponsePlan.fit(SCHEMA, labels, observed, together=True)
    parameters, owner = torch.randn(3, plan.width), torch.zeros(3, dtype=torch.int64)
    total = 0.0
    for answers in itertools.product((0.0, 1.0), repeat=3):
        value = torch.tensor([[answer, 0.0] for answer in answers])
        seen = torch.tensor([[True, False]] * 3)
        rows, counts = plan.nll(parameters, value, seen).sum(), plan.slates.count_nll(parameters, value, seen, owner, 1)
        total += float(torch.exp(-rows - counts[0]))
    assert total == pytest.approx(1.0, abs=1e-5)
