"""PPO-Lagrangian on a log: the ratio to the logged propensity is clipped as PPO clips that to its last policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.constrained.actor_critic import ActorCritic, Step
from recgym.agents.constrained.basis import Basis, BasisConfig
from recgym.agents.constrained.multipliers import MultiplierConfig, Multipliers
from recgym.agents.constrained.rcpo import penalised
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.config import NetworkConfig

__all__ = ["ClippedRatio", "PPOLagrangianConfig"]


@dataclass(frozen=True)
class PPOLagrangianConfig:
    """Settings of PPO-Lagrangian (Ray, Achiam, Amodei 2019) on a log.

    ``loss = -mean min(u A, clip(u, 1 - e, 1 + e) A)``, ``u = pi / beta``, ``A = (A_1 + sum l_i A_i) / (1 + sum l_i)``.

    Attributes:
        clip: e, how far the policy may go from that of the log.
        multipliers: how they learn.
        basis: what all constrained agents share.
        network: the networks.
    """

    name: ClassVar[str] = "ppo-lagrangian"

    clip: float = 0.2
    multipliers: MultiplierConfig = field(default_factory=MultiplierConfig)
    basis: BasisConfig = field(default_factory=BasisConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not 0 < self.clip < 1:
            raise ValueError(f"clip must lie in (0, 1), found {self.clip:g}")

    def learner(self, parts: Parts) -> ActorCritic:
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        basis = Basis(self.basis, parts)
        rule = ClippedRatio(self.clip, Multipliers(self.multipliers, basis.auxiliaries))
        return ActorCritic(self.basis, parts, basis, rule, basis.chosen.gammas)


class ClippedRatio(nn.Module):
    """The rule of PPO-Lagrangian.

    Args:
        clip: see :class:`PPOLagrangianConfig`.
        multipliers: of the auxiliary responses.
    """

    def __init__(self, clip: float, multipliers: Multipliers) -> None:
        super().__init__()
        self.clip, self.multipliers = clip, multipliers

    def rewards(self, responses: Float32[Tensor, "B R"]) -> Float32[Tensor, "B R"]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return responses

    def loss(self, step: Step) -> Tensor:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        advantage = penalised(step, self.multipliers) / (1 + self.multipliers.values.sum())
        # Far outside the clipped range only the side with a gradient matters, so exp may be kept from overflowing.
        ratio = (step.log_policy - step.log_behaviour).clamp(max=10.0).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        return -torch.minimum(ratio * advantage, clipped * advantage).mean()

    def adapt(self, step: Step, rate: Float32[Tensor, "R"]) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.constrained.actor_critic.Rule`."""
        return self.multipliers.adapt(step.ratio, step.responses, rate)
