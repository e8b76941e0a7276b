"""Actor-critic on one weighted sum of all responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.constrained.actor_critic import ActorCritic, Step
from recgym.agents.constrained.basis import Basis, BasisConfig
from recgym.agents.constrained.responses import per_auxiliary
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.config import NetworkConfig

__all__ = ["OfflineA2CConfig", "WeightedSum"]


@dataclass(frozen=True)
class OfflineA2CConfig:
    """Settings of the scalarised actor-critic, ``loss = -mean rho A log pi`` with A of ``r_1 + sum_i w_i r_i``.

    There is one return, of the main response's discount.

    Attributes:
        weights: of the auxiliary responses, in standard deviations of the log, costs counted negative; one each, or one
            for all.
        basis: what all constrained agents share.
        network: the networks.
    """

    name: ClassVar[str] = "a2c-weighted"

    weights: tuple[float, ...] = (1.0,)
    basis: BasisConfig = field(default_factory=BasisConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def learner(self, parts: Parts) -> ActorCritic:
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        basis = Basis(self.basis, parts)
        rule = WeightedSum(per_auxiliary(self.weights, basis.auxiliaries, "weights"))
        return ActorCritic(self.basis, parts, basis, rule, basis.chosen.gammas[:1])


class WeightedSum(nn.Module):
    """The rule of an unconstrained actor-critic on a weighted sum.

    Args:
        weights: of the auxiliary responses.
    """

    weights: Tensor

    def __init__(self, weights: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor((1.0, *weights)))

    def rewards(self, responses: Float32[Tensor, "B R"]) -> Float32[Tensor, "B 1"]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return (responses @ self.weights)[:, None]

    def loss(self, step: Step) -> Tensor:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return -(step.ratio * step.advantages[:, 0] * step.log_policy).mean()

    def adapt(self, step: Step, rate: Float32[Tensor, "R"]) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`; nothing is learned."""
        return {}
