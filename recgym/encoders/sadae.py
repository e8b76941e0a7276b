"""SADAE, the state-action distributional variational autoencoder: which world a set of users lives in.

Source: Sim2Rec (arXiv 2305.04832), sections 4.2 and 5.1.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from recgym.arrays import normal
from recgym.types import Generator

__all__ = ["SADAE", "SADAEConfig", "SetPosterior", "linear_probe"]

_LOG_VARIANCE = (-8.0, 8.0)


@dataclass(frozen=True)
class SADAEConfig:
    """Settings of the set encoder; the defaults are the published ones for long-term satisfaction.

    Attributes:
        latent: width L of the latent v.
        widths: of the hidden layers of encoder and decoder.
        weight_decay: decoupled weight decay of all weights ("L2 0.1").
        step_size: of AdamW.
        elements_weight: how often the mean log-likelihood of a set's elements counts beside the divergence: 1 is the
            published objective, the size of the set is the evidence lower bound of the whole set.
        set_size: elements of a training set.
        sets: training sets a step.
    """

    latent: int = 5
    widths: tuple[int, ...] = (512, 512)
    weight_decay: float = 0.1
    step_size: float = 1e-3
    elements_weight: float = 1.0
    set_size: int = 100
    sets: int = 16

    def __post_init__(self) -> None:
        for name in ("latent", "set_size", "sets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.elements_weight <= 0:
            raise ValueError(f"elements_weight must be above 0, found {self.elements_weight}")


class SetPosterior(NamedTuple):
    """``q(v | X)`` of some sets: independent Gaussians.

    Attributes:
        mean: of each set's latent.
        variance: likewise.
    """

    mean: Float32[Tensor, "G L"]
    variance: Float32[Tensor, "G L"]

    def divergence(self) -> Float32[Tensor, "G"]:
        """``KL(q || N(0, I))`` of each set, in nats."""
        terms: Tensor = self.variance + self.mean.square() - 1 - self.variance.log()
        return 0.5 * terms.sum(-1)

    def sample(self, generator: Generator) -> Float32[Tensor, "G L"]:
        """One draw a set, differentiable in mean and variance."""
        noise: Tensor = normal(generator, tuple(self.mean.shape))
        return self.mean + self.variance.sqrt() * noise


def _layers(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class SADAE(nn.Module):
    """A variational autoencoder of sets of state-action vectors.

    =========  =========================================================================================================
    encoder    each element x_i gives a Gaussian N(mu_i, sigma_i^2); the set's posterior is their product:
               ``sigma^-2 = sum_i sigma_i^-2``, ``mu = sigma^2 sum_i mu_i / sigma_i^2``
    decoder    given v, every element is an independent Gaussian of the same mean and variance
    objective  mean over the elements of ``E_q[log p(x_i | v)]``, times ``elements_weight``, minus ``KL(q || N(0, I))``
    =========  =========================================================================================================

    The product does not depend on the order of the elements and grows sharper with their number; of an empty set it is
    the prior.

    Args:
        width: D, width of an element; elements should be standardised.
        config: settings.
    """

    def __init__(self, width: int, config: SADAEConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SADAEConfig()
        self.width = width
        self.encoder = _layers(width, config.widths, 2 * config.latent)
        self.decoder = _layers(config.latent, config.widths, 2 * width)

    def forward(self, elements: Float32[Tensor, "n D"], group: Int64[Tensor, "n"], groups: int) -> SetPosterior:
        """The posterior of each set.

        Args:
            elements: of all sets.
            group: which set each belongs to, ``0..groups-1``.
            groups: G, how many sets; one without elements gets the prior N(0, I).
        """
        mean, log_variance = self.encoder(elements).chunk(2, -1)
        precision = torch.exp(-log_variance.clamp(*_LOG_VARIANCE))
        blank = torch.zeros(groups, self.config.latent, device=elements.device)
        total = blank.index_add(0, group, precision)
        weighted = blank.index_add(0, group, precision * mean)
        there = total > 0
        variance = torch.where(there, 1 / torch.where(there, total, 1.0), 1.0)
        return SetPosterior(torch.where(there, variance * weighted, 0.0), variance)

    def loss(self, sets: Float32[Tensor, "G n D"], generator: Generator) -> Tensor:
        """The negative objective, a mean over the sets.

        Args:
            sets: G sets of n elements.
            generator: source of the latents.
        """
        groups, size, width = sets.shape
        group = torch.arange(groups, device=sets.device).repeat_interleave(size)
        posterior = self(sets.reshape(-1, width), group, groups)
        mean, log_variance = self.decoder(posterior.sample(generator)).chunk(2, -1)
        log_variance = log_variance.clamp(*_LOG_VARIANCE)[:, None]
        error = (sets - mean[:, None]).square() * torch.exp(-log_variance)
        log_likelihood = -0.5 * (error + log_variance + math.log(2 * math.pi)).sum(-1).mean(-1)
        objective: Tensor = self.config.elements_weight * log_likelihood - posterior.divergence()
        return -objective.mean()


def linear_probe(
    latents: Float32[Tensor, "n L"], truth: Float32[Tensor, "n"], train: Bool[Tensor, "n"]
) -> tuple[float, Float32[Tensor, "n"]]:
    """How well a linear function of the latents foretells a parameter of the world that it was not fitted to.

    Args:
        latents: one row a set.
        truth: the parameter of each set's world.
        train: the sets that the probe is fitted to, by least squares with an intercept.

    Returns:
        Root mean squared error over the other sets, and the predictions for all.

    Raises:
        ValueError: fewer sets to fit to than coefficients, or no other sets.
    """
    n, width = latents.shape
    if int(train.sum()) <= width + 1 or bool(train.all()):
        raise ValueError(
            f"a probe of {width + 1} coefficients needs more sets to fit to and some to test: "
            f"found {int(train.sum())} and {n - int(train.sum())}"
        )
    design = torch.cat([latents, torch.ones(n, 1)], 1).double()
    weights = torch.linalg.lstsq(design[train], truth[train].double()[:, None]).solution
    predicted = (design @ weights)[:, 0]
    error = (predicted - truth)[~train].square().mean().sqrt()
    return float(error), predicted.float()
