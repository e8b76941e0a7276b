import numpy as np
import pytest
import torch

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.seeding import make_generator
from recgym.simulators.learned.bonds import bond_factor, correlated_places, fit_bonds
from recgym.simulators.learned.channels import ResponsePlan

SCHEMA = FeedbackSchema(
    (
        Channel("click", ChannelKind.BINARY),
        Channel("watch", ChannelKind.DURATION, "s"),
        Channel("long", ChannelKind.BINARY),
        Channel("like", ChannelKind.BINARY),
    )
)
N = 20_000


def watched() -> tuple[np.ndarray, np.ndarray]:
    """A view counts as long from 20 s on; likes go their own way; nothing happens without a click."""
    generator = np.random.default_rng(0)
    click, watch = generator.random(N) < 0.6, generator.exponential(20.0, N) + 0.1
    labels = np.stack([click, click * watch, click & (watch > 20), click & (generator.random(N) < 0.3)], 1)
    return labels.astype(np.float32), np.ones((N, 4), dtype=bool)


@pytest.fixture(scope="module")
def plan() -> ResponsePlan:
    return ResponsePlan.fit(SCHEMA, *watched())


@pytest.fixture(scope="module")
def bonds(plan: ResponsePlan) -> torch.Tensor:
    labels, observed = (torch.from_numpy(array) for array in watched())
    parameters = plan.marginal(labels, observed).expand(N, plan.width)
    return fit_bonds(plan, parameters, labels, observed, torch.ones(N), make_generator(0, "bonds"))


def test_what_goes_together_is_bound_and_nothing_else(plan: ResponsePlan, bonds: torch.Tensor) -> None:
    assert plan.gate == 0
    assert bonds[1, 2] > 0.9
    assert bonds[3, 1:3].abs().max() < 0.1
    assert torch.equal(bonds[0], torch.eye(4)[0]), "the gate stays by itself"
    torch.testing.assert_close(bonds.diagonal(), torch.ones(4))


def test_answers_go_together_as_logged_and_keep_their_means(plan: ResponsePlan, bonds: torch.Tensor) -> None:
    labels, observed = (torch.from_numpy(array) for array in watched())
    parameters = plan.marginal(labels, observed).expand(50_000, plan.width)
    factor, generator = bond_factor(plan, bonds), make_generator(1, "answers")
    assert factor is not None
    places = correlated_places(factor, (50_000,), generator)
    drawn = plan.sample(parameters, generator, places=places)
    torch.testing.assert_close(drawn.mean(0), plan.mean(parameters)[0], rtol=0.03, atol=0.0)
    open_ = drawn[:, 0] > 0
    contradicted = ((drawn[:, 1] > 20) != (drawn[:, 2] > 0))[open_].float().mean()
    free = plan.sample(parameters, generator)
    independent = ((free[:, 1] > 20) != (free[:, 2] > 0))[free[:, 0] > 0].float().mean()
    assert independent > 0.4
    assert contradicted < 0.15


def test_each_user_may_have_bonds_of_their_own() -> None:
    tight = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    factors = torch.linalg.cholesky(torch.stack([tight, torch.eye(2)]))
    scores = torch.special.ndtri(correlated_places(factors, (2, 20_000), make_generator(0, "places")))
    found = [float(torch.corrcoef(of_user.T)[0, 1]) for of_user in scores]
    assert found == pytest.approx([0.9, 0.0], abs=0.03)


def test_channels_that_exclude_each_other_are_not_bound() -> None:
    generator = np.random.default_rng(0)
    like = generator.random(N) < 0.3
    hate = ~like & (generator.random(N) < 0.3)
    schema = FeedbackSchema((Channel("like", ChannelKind.BINARY), Channel("hate", ChannelKind.BINARY)))
    labels, observed = np.stack([like, hate], 1).astype(np.float32), np.ones((N, 2), dtype=bool)
    plan = ResponsePlan.fit(schema, labels, observed)
    assert plan.excluded_by == ((), (0,))
    assert bond_factor(plan, torch.eye(2)) is None
