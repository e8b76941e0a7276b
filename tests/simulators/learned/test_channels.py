import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.learned.channels import (
    BinaryHead,
    CountHead,
    DurationHead,
    Head,
    RatingHead,
    ResponsePlan,
)

HEADS: list[Head] = [
    BinaryHead(),
    CountHead(location=1.0, cap=12.0),
    DurationHead(location=2.0, scale=0.7, cap=60.0),
    RatingHead(location=3.0, scale=1.5, low=1.0, high=5.0),
]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_mean_and_chance_of_a_positive_value_are_those_of_the_draws(head: Head) -> None:
    parameters = torch.randn(6, head.width, generator=torch.Generator().manual_seed(1))
    drawn = head.sample(parameters[:, None].expand(6, 60_000, head.width), torch.Generator().manual_seed(2))
    error = drawn.std(1) / math.sqrt(60_000)
    assert ((drawn.mean(1) - head.mean(parameters)).abs() <= 5 * error + 1e-5).all()
    assert ((drawn > 0).float().mean(1) - head.positive(parameters)).abs().max() < 0.015


def test_counts_have_the_likelihood_of_a_hurdle_and_a_geometric_number() -> None:
    head, parameters = CountHead(location=1.0, cap=1e9), torch.tensor([0.4, -0.3])
    value = torch.arange(200.0)
    mass = torch.exp(-head.nll(parameters.expand(200, 2), value))
    assert mass.sum().item() == pytest.approx(1.0, abs=1e-4)
    mean = math.exp(0.7)
    expected = 1 / (1 + math.exp(-0.4)) * stats.geom.pmf(3, 1 / (1 + mean))
    assert mass[3].item() == pytest.approx(expected, rel=1e-4)


def test_ratings_have_the_likelihood_of_a_censored_gaussian() -> None:
    head, parameters = HEADS[3], torch.tensor([0.5, -0.2])
    assert isinstance(head, RatingHead)
    mu, sigma = 3.0 + 0.5 * 1.5, 1.5 * math.exp(-0.2)

    def likelihood(value: float) -> float:
        return math.exp(-head.nll(parameters, torch.tensor(value)).item())

    assert likelihood(1.0) == pytest.approx(stats.norm.cdf(1, mu, sigma), rel=1e-4)
    assert likelihood(5.0) == pytest.approx(stats.norm.sf(5, mu, sigma), rel=1e-4)
    # Inside the bounds the density is given in units of the channel's scale.
    ratio = likelihood(2.0) / likelihood(3.5)
    assert ratio == pytest.approx(stats.norm.pdf(2, mu, sigma) / stats.norm.pdf(3.5, mu, sigma), rel=1e-4)


def test_the_mean_of_a_capped_duration_is_its_integral() -> None:
    head = HEADS[2]
    assert isinstance(head, DurationHead)
    parameters = torch.tensor([0.3, 0.8, 0.5])
    mu, sigma = 2.0 + 0.7 * 0.8, 0.7 * math.exp(0.5)
    mean, _ = integrate.quad(lambda z: min(math.exp(mu + sigma * z), 60.0) * stats.norm.pdf(z), -9, 9, limit=200)
    assert head.mean(parameters).item() == pytest.approx(mean / (1 + math.exp(-0.3)), rel=1e-3)


SCHEMA = FeedbackSchema(
    (Channel("like", ChannelKind.BINARY), Channel("click", ChannelKind.BINARY), Channel("watch", ChannelKind.DURATION))
)


def labels() -> np.ndarray:
    generator = np.random.default_rng(0)
    click = generator.random(500) < 0.5
    return np.stack([click & (generator.random(500) < 0.3), click, click * generator.random(500)], 1).astype(np.float32)


def test_the_gate_is_the_channel_without_which_nothing_else_happens() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    assert plan.gate == 1
    stray = labels()
    stray[np.flatnonzero(stray[:, 1] == 0)[0], 2] = 3.0
    assert ResponsePlan.fit(SCHEMA, stray, np.ones((500, 3), dtype=bool)).gate is None


def test_behind_the_gate_only_open_rows_are_explained_and_means_are_multiplied() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    value, seen = torch.from_numpy(labels()), torch.ones(500, 3, dtype=torch.bool)
    use = plan.modelled(value, seen)
    assert bool(use[:, 1].all())
    assert torch.equal(use[:, 2], value[:, 1] > 0)
    parameters = torch.randn(7, plan.width)
    given, mean = plan.given_gate(parameters), plan.mean(parameters)
    torch.testing.assert_close(mean[:, 2], given[2] * given[1])
    torch.testing.assert_close(mean[:, 1], given[1])


def test_training_begins_at_the_rates_of_the_log() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    value, seen = torch.from_numpy(labels()), torch.ones(500, 3, dtype=torch.bool)
    start = plan.mean(plan.marginal(value, seen)[None])[0]
    torch.testing.assert_close(start[:2], value[:, :2].mean(0), atol=1e-3, rtol=1e-3)


def test_a_plan_survives_json_and_a_channel_without_values_is_refused() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    assert ResponsePlan.from_json(plan.to_json()) == plan
    unseen = np.ones((500, 3), dtype=bool)
    unseen[:, 2] = False
    with pytest.raises(ValueError, match="'watch' has no value"):
        ResponsePlan.fit(SCHEMA, labels(), unseen)
