"""RCPO (arXiv 1805.11074): the constraints enter the reward, with multipliers that are learned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.constrained.actor_critic import ActorCritic, Step
from recgym.agents.constrained.basis import Basis, BasisConfig
from recgym.agents.constrained.multipliers import MultiplierConfig, Multipliers
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.config import NetworkConfig

__all__ = ["PenalisedAdvantage", "PenalisedReward", "RCPOConfig"]


@dataclass(frozen=True)
class RCPOConfig:
    """Settings of RCPO on a log: ``loss = -mean rho A log pi``.

    With one critic, A is that of the penalised reward ``r_1 + sum_i l_i r_i``. With a critic per response,
    ``A = A_1 + sum_i l_i A_i``, each with a discount of its own, and no value has to follow the multipliers about.

    Attributes:
        per_response: a critic per response.
        multipliers: how they learn.
        basis: what all constrained agents share.
        network: the networks.
    """

    name: ClassVar[str] = "rcpo"

    per_response: bool = False
    multipliers: MultiplierConfig = field(default_factory=MultiplierConfig)
    basis: BasisConfig = field(default_factory=BasisConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def learner(self, parts: Parts) -> ActorCritic:
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        basis = Basis(self.basis, parts)
        multipliers = Multipliers(self.multipliers, basis.auxiliaries)
        if self.per_response:
            return ActorCritic(self.basis, parts, basis, PenalisedAdvantage(multipliers), basis.chosen.gammas)
        return ActorCritic(self.basis, parts, basis, PenalisedReward(multipliers), basis.chosen.gammas[:1])


class PenalisedReward(nn.Module):
    """One return, of the penalised reward.

    Args:
        multipliers: of the auxiliary responses.
    """

    def __init__(self, multipliers: Multipliers) -> None:
        super().__init__()
        self.multipliers = multipliers

    def rewards(self, responses: Float32[Tensor, "B R"]) -> Float32[Tensor, "B 1"]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return (responses[:, 0] + responses[:, 1:] @ self.multipliers.values)[:, None]

    def loss(self, step: Step) -> Tensor:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return -(step.ratio * step.advantages[:, 0] * step.log_policy).mean()

    def adapt(self, step: Step, rate: Float32[Tensor, "R"]) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return self.multipliers.adapt(step.ratio, step.responses, rate)


class PenalisedAdvantage(nn.Module):
    """A return per response; their advantages are added up.

    Args:
        multipliers: of the auxiliary responses.
    """

    def __init__(self, multipliers: Multipliers) -> None:
        super().__init__()
        self.multipliers = multipliers

    def rewards(self, responses: Float32[Tensor, "B R"]) -> Float32[Tensor, "B R"]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return responses

    def loss(self, step: Step) -> Tensor:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return -(step.ratio * penalised(step, self.multipliers) * step.log_policy).mean()

    def adapt(self, step: Step, rate: Float32[Tensor, "R"]) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return self.multipliers.adapt(step.ratio, step.responses, rate)


def penalised(step: Step, multipliers: Multipliers) -> Float32[Tensor, "B"]:
    """``A_1 + sum_i l_i A_i``."""
    total: Tensor = step.advantages @ torch.cat([torch.ones(1), multipliers.values])
    return total
