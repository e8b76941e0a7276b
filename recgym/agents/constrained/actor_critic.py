"""One actor and its critics on a log; what the actor strives for is a rule, and rivals differ in their rules alone."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.constrained.basis import Basis, BasisConfig, Beginning, Critics, capped_ratio, look
from recgym.agents.descent import descend
from recgym.agents.offline.networks import ActorNetwork, Parts
from recgym.agents.offline.policy import NetworkPolicy
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["ActorCritic", "Rule", "Step"]


class Step(NamedTuple):
    """What a rule makes the actor's loss of.

    Attributes:
        log_policy: of the logged actions under the actor; carries the gradient.
        log_behaviour: of the same under the policy that wrote the log.
        ratio: importance ratios, cut; no gradient.
        advantages: of each of the rule's returns; no gradient.
        responses: as in :class:`recgym.agents.constrained.basis.Sample`.
        actor: the network, for rules that look at gradients one by one.
    """

    log_policy: Float32[Tensor, "B"]
    log_behaviour: Float32[Tensor, "B"]
    ratio: Float32[Tensor, "B"]
    advantages: Float32[Tensor, "B V"]
    responses: Float32[Tensor, "B R"]
    actor: nn.Module


@runtime_checkable
class Rule(Protocol):
    """What an actor strives for; a module too, so that what it learns, such as multipliers, is in checkpoints."""

    def rewards(self, responses: Float32[Tensor, "B R"]) -> Float32[Tensor, "B V"]:
        """What the critics foretell, of scaled responses."""
        ...

    def loss(self, step: Step) -> Tensor:
        """The actor's loss."""
        ...

    def adapt(self, step: Step, rate: Float32[Tensor, "R"]) -> Mapping[str, Tensor]:
        """Learn what is the rule's own, given the responses' means in the log; returns what is worth telling."""
        ...


class ActorCritic:
    """Off-policy actor-critic: critics ``min rho (r + gamma V(s') - V(s))^2``, the actor by the rule's loss.

    ``rho = min(pi(a | s) / beta(a | s), cap)`` with the propensity beta that is on record.

    Args:
        config: settings.
        parts: of the networks.
        basis: shared part.
        rule: what the actor strives for; a module.
        gammas: discount of each return that the rule names.
    """

    def __init__(self, config: BasisConfig, parts: Parts, basis: Basis, rule: Rule, gammas: tuple[float, ...]) -> None:
        assert isinstance(rule, nn.Module)
        self.config, self.basis, self.rule = config, basis, rule
        self.actor, self.critics = ActorNetwork(parts), Critics(parts, gammas, config.joint_critic)
        parts_of = {"basis": basis, "actor": self.actor, "critics": self.critics, "rule": rule}
        self.module: nn.Module = nn.ModuleDict(parts_of)
        self._beginning = Beginning(basis, [self.actor])
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "behaviour": self._beginning.optimiser,
            "actor": torch.optim.Adam(self.actor.parameters(), lr=config.actor_rate),
            "critic": torch.optim.Adam(self.critics.parameters(), lr=config.critic_rate),
        }

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        look(self.module, store)

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        sample = self.basis.sample(store, generator)
        errors = self.critics.errors(sample, self.rule.rewards(sample.responses))
        if self._beginning.lasts(number):
            critic_loss = errors.square().mean()
            descend(self.optimisers["critic"], critic_loss)
            return {"critic_loss": critic_loss.detach(), **self._beginning.update(sample, number)}
        log_policy = self.actor(sample.observation).log_prob(sample.action)
        ratio = capped_ratio(log_policy.detach(), sample.log_behaviour, self.config.ratio_cap)
        critic_loss = (ratio[:, None] * errors.square()).mean()
        descend(self.optimisers["critic"], critic_loss)
        step = Step(log_policy, sample.log_behaviour, ratio, errors.detach(), sample.responses, self.actor)
        actor_loss = self.rule.loss(step)
        descend(self.optimisers["actor"], actor_loss)
        found = self.rule.adapt(step, self.basis.rate)
        means = {"ratio": ratio.mean(), "critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach()}
        return {**means, **found}

    def policy(self) -> NetworkPolicy:
        """See :class:`recgym.agents.offline.Learner`."""
        return self._beginning.policy(self.actor)
