"""What all constrained agents share: the log's behaviour, scaled responses, critics, and importance ratios.

Before an agent's own updates come ``clone_updates`` in which a network learns to choose as the log does and the critics
learn the values of that behaviour. The agent's actors start as copies of that network, so no algorithm is ahead of
another, and behaviour cloning is where they all begin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.constrained.responses import Chosen, Responses
from recgym.agents.descent import descend, frozen
from recgym.agents.offline.networks import ActorNetwork, Parts, StateNetwork, ValueNetwork
from recgym.agents.offline.policy import NetworkPolicy
from recgym.data.transitions import Observations, TransitionStore
from recgym.types import Generator

__all__ = ["Basis", "BasisConfig", "Beginning", "Critics", "Sample", "capped_ratio", "look"]


@dataclass(frozen=True)
class BasisConfig:
    """Settings that all constrained agents share.

    Attributes:
        responses: what is maximised and what must not suffer.
        clone_updates: first updates, which learn the log's behaviour and its values.
        ratio_cap: where importance ratios are cut.
        joint_critic: one network for the values of all responses, in place of one for each.
        actor_rate: learning rate of actors, by Adam.
        critic_rate: learning rate of critics and of the behaviour network.
        batch_size: steps in an update.
    """

    responses: Responses = field(default_factory=Responses)
    clone_updates: int = 2000
    ratio_cap: float = 5.0
    joint_critic: bool = False
    actor_rate: float = 3e-4
    critic_rate: float = 1e-3
    batch_size: int = 256

    def __post_init__(self) -> None:
        if self.clone_updates < 1:
            raise ValueError(f"clone_updates must be at least 1, found {self.clone_updates}")
        if self.ratio_cap < 1:
            raise ValueError(f"ratio_cap must be at least 1, found {self.ratio_cap}")


class Sample(NamedTuple):
    """Steps of the log, as the losses need them.

    Attributes:
        observation: before the step.
        action: what was chosen.
        responses: main and auxiliary, each in standard deviations of the log, costs negative.
        going: 0 where the user left with the step, else 1.
        next_observation: after it.
        log_behaviour: logarithm of the action's probability, or density, under the policy that chose it.
    """

    observation: Observations
    action: Tensor
    responses: Float32[Tensor, "B R"]
    going: Float32[Tensor, "B"]
    next_observation: Observations
    log_behaviour: Float32[Tensor, "B"]


class Critics(nn.Module):
    """Values of states, one column a return, and their errors of one step.

    Args:
        parts: of the agent.
        gammas: discount of each return.
        joint: one network for all returns, in place of one for each.
    """

    gammas: Tensor

    def __init__(self, parts: Parts, gammas: tuple[float, ...], joint: bool = False) -> None:
        super().__init__()
        widths = [len(gammas)] if joint else [1] * len(gammas)
        self.networks = nn.ModuleList([ValueNetwork(parts, width) for width in widths])
        self.register_buffer("gammas", torch.tensor(gammas))

    def forward(self, observation: Any) -> Float32[Tensor, "B V"]:
        """The values."""
        return torch.cat([network(observation) for network in self.networks], 1)

    def errors(self, sample: Sample, rewards: Float32[Tensor, "B U"]) -> Float32[Tensor, "B U"]:
        """``r + gamma V(s') - V(s)``: the advantages of the logged actions; only V(s) carries a gradient.

        Args:
            sample: steps.
            rewards: of the first U returns; those left out are not looked at.
        """
        found, begin = [], 0
        for network in self.networks:
            values: Tensor = network(sample.observation)
            end = min(begin + values.shape[1], rewards.shape[1])
            gammas = self.gammas[begin:end]
            target = rewards[:, begin:end]
            if bool((gammas > 0).any()):
                with torch.no_grad():
                    ahead = network(sample.next_observation)[:, : end - begin]
                target = target + gammas * sample.going[:, None] * ahead
            found.append(target - values[:, : end - begin])
            begin = end
            if begin == rewards.shape[1]:
                break
        return torch.cat(found, 1)


def capped_ratio(
    log_policy: Float32[Tensor, "*B"], log_behaviour: Float32[Tensor, "*#B"], cap: float
) -> Float32[Tensor, "*B"]:
    """``min(pi / beta, cap)``, of the step at hand alone: first-order importance sampling."""
    return (log_policy - log_behaviour).clamp(max=math.log(cap)).exp()


class Basis(nn.Module):
    """The log as constrained agents see it, and a network that behaves like it.

    Args:
        config: settings.
        parts: of the networks.

    Attributes:
        chosen: the responses that take part.
        behaviour: chooses as the log does.
    """

    scale: Tensor
    rate: Tensor
    signs: Tensor
    cloned: Tensor
    unknown: Tensor

    def __init__(self, config: BasisConfig, parts: Parts) -> None:
        super().__init__()
        self.config = config
        self.chosen: Chosen = config.responses.of(parts.problem)
        self.behaviour = ActorNetwork(parts)
        count = len(self.chosen.names)
        self.register_buffer("scale", torch.ones(count))
        self.register_buffer("rate", torch.zeros(count))
        self.register_buffer("signs", torch.tensor(self.chosen.signs))
        self.register_buffer("cloned", torch.tensor(False))
        self.register_buffer("unknown", torch.tensor(False))

    @property
    def auxiliaries(self) -> int:
        """How many auxiliary responses there are."""
        return len(self.chosen.names) - 1

    def look(self, store: TransitionStore) -> None:
        """Take scale and mean of each response from a store, and whether all propensities are known.

        ``rate`` is in the units of :class:`Sample`. A response that never varies keeps the scale 1.
        """
        values = torch.from_numpy(store.responses(store.steps)[:, list(self.chosen.columns)]).double()
        spread = values.std(0, correction=0)
        self.scale.copy_(torch.where(spread > 0, spread, 1.0))
        self.rate.copy_(self.signs * values.mean(0) / self.scale)
        self.unknown.fill_(store.unknown_propensities > 0)

    def sample(self, store: TransitionStore, generator: Generator) -> Sample:
        """Steps drawn uniformly; a propensity that is not on record is the behaviour network's."""
        batch = store.sample(self.config.batch_size, generator)
        responses = batch.responses[:, list(self.chosen.columns)] * (self.signs / self.scale)
        log_behaviour = batch.log_propensity
        if bool(self.unknown):
            with torch.no_grad():
                learned = self.behaviour(batch.observation).log_prob(batch.action)
            log_behaviour = torch.where(log_behaviour.isnan(), learned, log_behaviour)
        going = (~batch.terminated).float()
        return Sample(batch.observation, batch.action, responses, going, batch.next_observation, log_behaviour)


class Beginning:
    """The first updates of a constrained learner, and what it serves as long as its actors have not begun.

    Args:
        basis: the log, and the network that learns to behave like it.
        actors: become copies of the network at the end.
    """

    def __init__(self, basis: Basis, actors: Sequence[ActorNetwork]) -> None:
        self._basis, self._actors = basis, actors
        self.optimiser = torch.optim.Adam(basis.behaviour.parameters(), lr=basis.config.critic_rate)

    def lasts(self, number: int) -> bool:
        """Whether an update belongs to the beginning."""
        return number < self._basis.config.clone_updates

    def update(self, sample: Sample, number: int) -> dict[str, Tensor]:
        """A step of behaviour cloning; the last one hands the network on to the actors."""
        loss = -self._basis.behaviour(sample.observation).log_prob(sample.action).mean()
        descend(self.optimiser, loss)
        if not self.lasts(number + 1):
            for actor in self._actors:
                actor.load_state_dict(self._basis.behaviour.state_dict())
            self._basis.cloned.fill_(True)
        return {"clone_loss": loss.detach()}

    def policy(self, actor: ActorNetwork) -> NetworkPolicy:
        """The actor, or the behaviour network as long as the actor has not begun."""
        network = actor if bool(self._basis.cloned) else self._basis.behaviour
        return NetworkPolicy(frozen(network))


def look(module: nn.Module, store: TransitionStore) -> None:
    """Give all parts of a learner their scales, from a store."""
    for part in module.modules():
        if isinstance(part, Basis | StateNetwork):
            part.look(store)
