"""Several gradients at once: a direction in which no response gets worse (MGDA, arXiv 1810.04650)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.optimize import nnls
from torch import Tensor, nn

from recgym.agents.constrained.actor_critic import ActorCritic, Step
from recgym.agents.constrained.basis import Basis, BasisConfig
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.config import NetworkConfig

__all__ = ["MinNorm", "ParetoConfig", "min_norm"]


@dataclass(frozen=True)
class ParetoConfig:
    """Settings of the multi-gradient actor-critic: ``loss = sum_i a_i L_i`` with ``L_i = -mean rho A_i log pi``.

    The weights a are those of the shortest vector in the convex hull of the responses' gradients: along it, to first
    order, no L_i rises.

    Attributes:
        normalise: gradients are brought to the same length first, so that rare responses do not decide alone.
        basis: what all constrained agents share.
        network: the networks.
    """

    name: ClassVar[str] = "pareto"

    normalise: bool = True
    basis: BasisConfig = field(default_factory=BasisConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def learner(self, parts: Parts) -> ActorCritic:
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        basis = Basis(self.basis, parts)
        return ActorCritic(self.basis, parts, basis, MinNorm(self.normalise), basis.chosen.gammas)


class MinNorm(nn.Module):
    """The rule of MGDA.

    Args:
        normalise: see :class:`ParetoConfig`.
    """

    def __init__(self, normalise: bool) -> None:
        super().__init__()
        self.normalise = normalise

    def rewards(self, responses: Float32[Tensor, "B R"]) -> Float32[Tensor, "B R"]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return responses

    def loss(self, step: Step) -> Tensor:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        losses = -(step.ratio[:, None] * step.advantages * step.log_policy[:, None]).mean(0)
        weights = [parameter for parameter in step.actor.parameters() if parameter.requires_grad]
        rows = []
        for loss in losses:
            gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
            rows.append(torch.cat([part.flatten() for part in gradients if part is not None]))
        matrix = torch.stack(rows)
        if self.normalise:
            lengths = matrix.norm(dim=1).clamp(min=1e-12)
            losses, matrix = losses / lengths, matrix / lengths[:, None]
        return min_norm((matrix @ matrix.T).detach()) @ losses

    def adapt(self, step: Step, rate: Float32[Tensor, "R"]) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`; nothing is learned."""
        return {}


def min_norm(products: Float[Tensor, "R R"]) -> Float[Tensor, "R"]:
    """Weights a, not negative and of sum 1, that make ``a' G a`` smallest.

    With ``G = V' V`` the least squares problem ``|V x|^2 + (sum x - 1)^2``, x not negative, has its solution at
    ``x = s a`` for some s, so an exact solver of it is one for the weights.

    Args:
        products: G, scalar products of all pairs of vectors.
    """
    values, vectors = torch.linalg.eigh(products.double())
    root = values.clamp(min=0).sqrt()[:, None] * vectors.T
    # Of a length near 1, so that neither part of the sum drowns the other.
    root = root / products.diagonal().double().max().clamp(min=1e-30).sqrt()
    count = len(products)
    solved, _ = nnls(np.vstack([root.numpy(), np.ones(count)]), np.append(np.zeros(count), 1.0))
    return torch.from_numpy(solved / solved.sum()).to(products.dtype)
