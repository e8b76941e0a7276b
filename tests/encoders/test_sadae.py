import pytest
import torch
from torch.distributions import Normal, kl_divergence

from recgym.encoders import SADAE, SADAEConfig, SetPosterior, linear_probe

SMALL = SADAEConfig(latent=2, widths=(32, 32), elements_weight=20.0, set_size=30, sets=16)


def encoder(width: int = 3, config: SADAEConfig = SMALL) -> SADAE:
    torch.manual_seed(0)
    return SADAE(width, config)


def test_posterior_is_the_product_of_the_elements_gaussians() -> None:
    model, elements = encoder(), torch.randn(7, 3)
    group = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    posterior = model(elements, group, 3)
    mean, log_variance = model.encoder(elements).chunk(2, -1)
    for index, members in ((0, slice(0, 3)), (1, slice(3, 7))):
        precision = (1 / log_variance[members].exp()).sum(0)
        weighted = (mean[members] / log_variance[members].exp()).sum(0)
        assert torch.allclose(posterior.variance[index], 1 / precision, rtol=1e-4)
        assert torch.allclose(posterior.mean[index], weighted / precision, rtol=1e-4, atol=1e-5)
    assert posterior.mean[2].tolist() == [0, 0]
    assert posterior.variance[2].tolist() == [1, 1]


def test_order_does_not_matter_and_more_elements_make_it_sharper() -> None:
    model, elements = encoder(), torch.randn(20, 3)
    one = torch.zeros(20, dtype=torch.int64)
    forward, backward = model(elements, one, 1), model(elements.flip(0), one, 1)
    assert torch.allclose(forward.mean, backward.mean, atol=1e-5)
    assert bool((forward.variance < model(elements[:5], one[:5], 1).variance).all())


def test_divergence_from_the_prior() -> None:
    posterior = SetPosterior(torch.tensor([[0.3, -1.0], [0.0, 0.0]]), torch.tensor([[0.5, 2.0], [1.0, 1.0]]))
    reference = kl_divergence(Normal(posterior.mean, posterior.variance.sqrt()), Normal(0.0, 1.0)).sum(-1)
    assert torch.allclose(posterior.divergence(), reference, atol=1e-6)
    assert posterior.divergence()[1] == 0


def sets_of_worlds(spread: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sets of 30 users; the world shifts one of three features of all of them."""
    generator = torch.Generator().manual_seed(seed)
    world = torch.rand(400, generator=generator) * 2 - 1
    sets = torch.randn(400, 30, 3, generator=generator)
    sets[:, :, 0] += spread * world[:, None]
    return sets, world


def probe_error(spread: float) -> float:
    """Error of a probe on worlds beyond 0.5, fitted on the others; guessing the mean gives 0.76."""
    sets, world = sets_of_worlds(spread, 0)
    model, generator = encoder(), torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    inner = world.abs() < 0.5
    for _ in range(150):
        chosen = torch.nonzero(inner)[:, 0][torch.randint(int(inner.sum()), (16,), generator=generator)]
        loss = model.loss(sets[chosen], generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        latents = model(sets.reshape(-1, 3), torch.arange(400).repeat_interleave(30), 400).mean
    return linear_probe(latents, world, inner)[0]


def test_finds_the_parameter_of_worlds_it_never_saw() -> None:
    assert probe_error(2.0) < 0.3  # 0.09 by the mean of 30 users


def test_finds_nothing_where_worlds_are_alike() -> None:
    assert probe_error(0.0) > 0.6


def test_probe_needs_sets_to_fit_and_to_test() -> None:
    with pytest.raises(ValueError, match="found 5 and 0"):
        linear_probe(torch.randn(5, 2), torch.randn(5), torch.ones(5, dtype=torch.bool))


@pytest.mark.parametrize(("settings", "message"), [({"latent": 0}, "latent"), ({"elements_weight": 0.0}, "above 0")])
def test_settings_that_cannot_be(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SADAEConfig(**settings)  # type: ignore[arg-type]
