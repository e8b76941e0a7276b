"""TSCAC, the two-stage constrained actor-critic (arXiv 2302.01680), on a log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.constrained.action_values import ActionValues
from recgym.agents.constrained.basis import Basis, BasisConfig, Beginning, Critics, Sample, capped_ratio, look
from recgym.agents.constrained.responses import per_auxiliary
from recgym.agents.descent import descend
from recgym.agents.offline.networks import ActorNetwork, Parts
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.sb3.config import NetworkConfig
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["TSCAC", "TSCACConfig"]


@dataclass(frozen=True)
class TSCACConfig:
    """Settings of :class:`TSCAC`.

    Attributes:
        lambdas: how dear the distance to each auxiliary policy is, one each or one for all: larger ones keep the policy
            nearer to the auxiliary policies. Their unit is a standard deviation of the main response.
        stage1_updates: updates, after those of the beginning, in which the auxiliary policies learn.
        anchor: weight of behaviour cloning in the auxiliary policies' losses.
        weight_cap: where the weights of stage 2 are cut.
        action_values: take the main advantage from a critic of actions, ``Q_1(s, a) - V_1(s)``, in place of the
            one-step error: the exponential of an outcome favours what is risky, that of its expectation does not.
        similarity: for preference vectors, what the paper does with continuous actions; see ``TSCAC``.
        basis: what all constrained agents share.
        network: the networks.
    """

    name: ClassVar[str] = "tscac"

    lambdas: tuple[float, ...] = (1.0,)
    stage1_updates: int = 2000
    anchor: float = 0.0
    weight_cap: float = 20.0
    action_values: bool = True
    similarity: bool = False
    basis: BasisConfig = field(default_factory=BasisConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not self.lambdas or min(self.lambdas) < 0 or sum(self.lambdas) <= 0:
            raise ValueError(f"lambdas must not be negative and must not all be 0, found {self.lambdas}")
        if self.stage1_updates < 0 or self.anchor < 0 or self.weight_cap < 1:
            raise ValueError(
                "stage1_updates and anchor must not be negative and weight_cap must be at least 1, found "
                f"{self.stage1_updates}, {self.anchor} and {self.weight_cap}"
            )

    def learner(self, parts: Parts) -> "TSCAC":
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        return TSCAC(self, parts)


class TSCAC:
    """Maximise the return of the main response near policies that are each good for one auxiliary response.

    After the beginning (see :mod:`recgym.agents.constrained.basis`) come two stages; ``rho = min(pi / beta, cap)`` are
    first-order importance ratios to the propensities on record, A the one-step errors ``r + gamma V(s') - V(s)``.

    1.  For each auxiliary response i a critic, ``min rho_i A_i^2``, and an actor, ``max rho_i A_i log pi_i``.
    2.  Main response 1: ``max E[A_1]`` subject to ``KL(pi || pi_i) <= eps_i`` is solved by
        ``pi* ~ prod_i pi_i^(l_i / L) exp(A_1 / L)``, ``L = sum_i l_i``. The actor is fitted to pi* by weighted
        likelihood: of actions of its own the weight would be ``prod_i (pi_i / pi)^(l_i / L) exp(A_1 / L)``; for logged
        ones the ratio ``pi / beta`` stands before it, pi cancels, and what is left is
        ``w = prod_i pi_i^(l_i / L) exp(A_1 / L) / beta``. ``loss = -mean min(w, cap) log pi``, and the critic of
        response 1 is that of stage 1 with the actor's own ratios.

    Any action whose probability or density the networks know will do: one item, a slate, a preference vector. For
    preference vectors there is also the paper's stage 2 for continuous actions, with the policies' modes m:
    ``loss = -mean(Q_1(s, m(s)) + sum_i l_i h(m(s), m_i(s)))``, ``h(a, b) = sum_d exp(-(a_d - b_d)^2 / 2)``.

    Differences from the paper: (1) actors start as copies of a policy cloned from the log, critics with the values of
    that policy; (2) responses are divided by their standard deviation in the log, so that lambdas mean the same
    whatever the unit; (3) behaviour cloning can be mixed into stage 1 (``anchor``), as 100,000 steps hold a few dozen
    of the rarest reactions; (4) ratios and weights are cut;
    (5) the main advantage is that of a critic of actions, unless ``action_values`` is off.

    Args:
        config: settings.
        parts: of the networks.
    """

    def __init__(self, config: TSCACConfig, parts: Parts) -> None:
        if config.similarity and not (config.action_values and parts.problem.action == "preference"):
            raise ValueError(
                f"{parts.problem.name}: similarity needs preference vectors and action_values, "
                f"found actions of {parts.problem.action!r} and action_values={config.action_values}"
            )
        self.config = config
        self.basis = Basis(config.basis, parts)
        lambdas = torch.tensor(per_auxiliary(config.lambdas, self.basis.auxiliaries, "lambdas"))
        self.total = float(lambdas.sum())
        self.lambdas, self.shares = lambdas, lambdas / lambdas.sum()
        self.actor = ActorNetwork(parts)
        self.auxiliary = nn.ModuleList([ActorNetwork(parts) for _ in range(self.basis.auxiliaries)])
        self.critics = Critics(parts, self.basis.chosen.gammas, config.basis.joint_critic)
        self.action_values = ActionValues(parts) if config.action_values else None
        parts_of = {"basis": self.basis, "actor": self.actor, "auxiliary": self.auxiliary, "critics": self.critics}
        critics = list(self.critics.parameters())
        if self.action_values is not None:
            parts_of["action_values"] = self.action_values
            critics += list(self.action_values.parameters())
        self.module: nn.Module = nn.ModuleDict(parts_of)
        self._beginning = Beginning(self.basis, [self.actor, *self.auxiliary])
        rate = config.basis.actor_rate
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "behaviour": self._beginning.optimiser,
            "actor": torch.optim.Adam(self.actor.parameters(), lr=rate),
            "auxiliary": torch.optim.Adam(self.auxiliary.parameters(), lr=rate),
            "critic": torch.optim.Adam(critics, lr=config.basis.critic_rate),
        }

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        look(self.module, store)

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        sample = self.basis.sample(store, generator)
        if self._beginning.lasts(number):
            errors = self.critics.errors(sample, sample.responses)
            loss = errors.square().mean() + self._advantages(sample, errors[:, 0])[1]
            descend(self.optimisers["critic"], loss)
            return {"critic_loss": loss.detach(), **self._beginning.update(sample, number)}
        if number < self.config.basis.clone_updates + self.config.stage1_updates:
            return self._stage1(sample)
        return self._stage2(sample)

    def _auxiliary_log_probs(self, sample: Sample) -> Float32[Tensor, "B R_minus_1"]:
        policies = [actor(sample.observation) for actor in self.auxiliary]
        return torch.stack([policy.log_prob(sample.action) for policy in policies], 1)

    def _advantages(self, sample: Sample, errors: Float32[Tensor, "B"]) -> tuple[Float32[Tensor, "B"], Tensor]:
        """Of the main response, without a gradient; and the loss of the critic of actions, which any step teaches."""
        if self.action_values is None:
            return errors.detach(), torch.zeros(())
        values = self.action_values(sample.observation, sample.action)
        # V(s) is what r + gamma V(s') lies above by the error.
        with torch.no_grad():
            state = self.critics(sample.observation)[:, 0]
        missed = (errors.detach() + state) - values
        return values.detach() - state, missed.square().mean()

    def _stage1(self, sample: Sample) -> dict[str, Tensor]:
        """Auxiliary policies, and the main critic along the log's behaviour."""
        log_policies = self._auxiliary_log_probs(sample)
        ratio = capped_ratio(log_policies.detach(), sample.log_behaviour[:, None], self.config.basis.ratio_cap)
        errors = self.critics.errors(sample, sample.responses)
        weights = torch.cat([torch.ones_like(ratio[:, :1]), ratio], 1)
        critic_loss = (weights * errors.square()).mean() + self._advantages(sample, errors[:, 0])[1]
        descend(self.optimisers["critic"], critic_loss)
        gain = ratio * errors[:, 1:].detach() + self.config.anchor
        actor_loss = -(gain * log_policies).mean(0).sum()
        descend(self.optimisers["auxiliary"], actor_loss)
        return {"critic_loss": critic_loss.detach(), "auxiliary_loss": actor_loss.detach()}

    def _stage2(self, sample: Sample) -> dict[str, Tensor]:
        """The main policy; the auxiliary ones stay as they are."""
        log_policy = self.actor(sample.observation).log_prob(sample.action)
        ratio = capped_ratio(log_policy.detach(), sample.log_behaviour, self.config.basis.ratio_cap)
        errors = self.critics.errors(sample, sample.responses[:, :1])[:, 0]
        advantages, value_loss = self._advantages(sample, errors)
        critic_loss = (ratio * errors.square()).mean() + value_loss
        descend(self.optimisers["critic"], critic_loss)
        told = {"critic_loss": critic_loss.detach(), "ratio": ratio.mean()}
        if self.config.similarity:
            actor_loss = -self._similar(sample).mean()
        else:
            with torch.no_grad():
                pull = self._auxiliary_log_probs(sample) @ self.shares
                weight = capped_ratio(pull + advantages / self.total, sample.log_behaviour, self.config.weight_cap)
            actor_loss = -(weight * log_policy).mean()
            cut = weight >= 0.999 * self.config.weight_cap
            told |= {"weight": weight.mean(), "weights_cut": cut.float().mean()}
        descend(self.optimisers["actor"], actor_loss)
        return {**told, "actor_loss": actor_loss.detach()}

    def _similar(self, sample: Sample) -> Float32[Tensor, "B"]:
        """``Q_1(s, m(s)) + sum_i l_i h(m(s), m_i(s))``."""
        assert self.action_values is not None
        mode = self.actor(sample.observation).mode()
        total: Tensor = self.action_values(sample.observation, mode)
        for weight, actor in zip(self.lambdas, self.auxiliary, strict=True):
            with torch.no_grad():
                other = actor(sample.observation).mode()
            total = total + weight * (-0.5 * (mode - other).square()).exp().sum(1)
        return total

    def policy(self) -> NetworkPolicy:
        """See :class:`recgym.agents.offline.Learner`."""
        return self._beginning.policy(self.actor)
