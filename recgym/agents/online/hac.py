"""Hyper-actor critic: a policy that chooses a point in the space of items, and shows what lies nearest.

Source: "Exploration and Regularization of the Latent Action Space in Recommendation" (arXiv 2302.03431). The actor
gives a hyper-action Z(s); items are ranked by ``Z . key(i)`` and the best K are the effect-action a. Pooling maps back:
``h(a) = mean_i key(i)``. One critic judges both. Losses over batches of a replay buffer, with target networks Z', Q'::

    critic:   (Q(s, h(a)) - (r + gamma (1 - terminated) Q'(s', h(a'))))^2, a' of Z'(s')    section 4.2
    actor:    -Q(s, Z(s)) + hyper mean (Z(s) - h(a))^2 + supervised L_BCE                  sections 4.3 and 4.4
    L_BCE:    -mean_i y_i log sigmoid(Z(s) . key(i)) + (1 - y_i) log(1 - sigmoid(Z(s) . key(i)))

Exploration is normal noise on Z. Differences: hyper-actions and keys lie in the box (-1, 1)^E, the critic's target is
the value of what Z' would show, not of Z' itself, and in the actor's loss Q counts in units of its own mean size, as in
TD3+BC (arXiv 2106.06860): without these, hyper-actions and values grew without end. Keys learn from L_BCE alone, and
rewards are divided by their spread. A policy that samples draws slates from ``softmax(Z . key / temperature)``, one
item by one, so that its propensities are known.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from recgym.agents.descent import descend, frozen, mean_of
from recgym.agents.offline.networks import Parts, StateNetwork
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.online.base import Choice, ReplayConfig
from recgym.agents.online.networks import ActionValue, follow, parts_of
from recgym.agents.online.replay import Experience, Replay
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.distributions import FORBIDDEN, Slates
from recgym.agents.sb3.networks import PointerHead, mlp
from recgym.arrays import normal
from recgym.data import ChannelKind
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.types import Generator

__all__ = ["HAC", "HACConfig"]


@dataclass(frozen=True)
class HACConfig:
    """Settings of :class:`HAC`.

    Attributes:
        gamma: discount factor.
        tau: share of the networks that moves into their targets at each update.
        noise: standard deviation of the exploration in the space of items.
        hyper: weight of the distance between hyper-action and what was shown.
        supervised: weight of the likelihood of the users' answers.
        label: the binary channel that counts as an answer; the first one if empty.
        temperature: of a policy that samples.
        actor_rate: of Adam, for the actor.
        critic_rate: of Adam, for the critic.
        replay: the buffer, and how much is learned from it.
        network: the networks; ``embedding`` is the width of the space of items.
    """

    name: ClassVar[str] = "hac"

    gamma: float = 0.9
    tau: float = 0.01
    noise: float = 0.1
    hyper: float = 1.0
    supervised: float = 1.0
    label: str = ""
    temperature: float = 1.0
    actor_rate: float = 3e-4
    critic_rate: float = 1e-3
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1 or not 0 < self.tau <= 1:
            raise ValueError(f"gamma must be in [0, 1] and tau in (0, 1], found {self.gamma} and {self.tau}")
        if self.temperature <= 0 or min(self.noise, self.hyper, self.supervised) < 0:
            raise ValueError("temperature must be positive; noise, hyper and supervised must not be negative")

    def learner(self, task: Task) -> "HAC":
        """See :class:`recgym.agents.online.OnlineConfig`."""
        return HAC(self, task, parts_of(task, self.network))


class HyperActor(nn.Module):
    """Hyper-actions of users, and the slates that they stand for.

    Args:
        config: settings.
        parts: of the networks.
    """

    def __init__(self, config: HACConfig, parts: Parts) -> None:
        super().__init__()
        problem, network = parts.problem, parts.config
        self.state = StateNetwork(parts)
        assert self.state.extractor is not None
        self.body, latent = mlp(self.state.width, network.hidden, nn.ReLU)
        # One query serves all positions: the hyper-action.
        self.head = PointerHead(latent, 1, self.state.extractor.items, network.embedding, problem.mask_consumed)
        self.slate_size, self.temperature = problem.slate_size, config.temperature

    def hyper(self, observation: dict[str, Tensor]) -> Float32[Tensor, "B E"]:
        """The hyper-action of each user."""
        point: Tensor = self.head.query(self.body(self.state(observation)))
        return point.tanh()

    def keys_of(self, items: Tensor) -> Float32[Tensor, "B K E"]:
        """Where items lie."""
        return self.head.keys_of(items).tanh()

    def scores(self, observation: dict[str, Tensor], hyper: Float32[Tensor, "B E"]) -> Float32[Tensor, "B M"]:
        """How near each candidate is; what may not be shown is far away."""
        keys = self.head.keys(observation).tanh()
        scores = hyper @ keys.T if keys.ndim == 2 else (keys @ hyper[:, :, None])[:, :, 0]
        return scores.masked_fill(~self.head.allowed(observation), FORBIDDEN)

    def shown(self, observation: dict[str, Tensor]) -> Float32[Tensor, "B E"]:
        """h(a) of the slate a that the hyper-action stands for."""
        keys = self.head.keys(observation).tanh()
        best = self.scores(observation, self.hyper(observation)).topk(self.slate_size, dim=1).indices
        if keys.ndim == 2:
            return keys[best].mean(1)
        return keys.gather(1, best[:, :, None].expand(-1, -1, keys.shape[2])).mean(1)

    def forward(self, observation: dict[str, Tensor]) -> Slates:
        """The distribution of slates."""
        scores = self.scores(observation, self.hyper(observation)) / self.temperature
        return Slates(scores[:, None].expand(-1, self.slate_size, -1))


class HAC:
    """See the module's docstring.

    Args:
        config: settings.
        task: what to learn.
        parts: of the networks.

    Raises:
        ValueError: actions or observations do not name items, or there is no such channel of answers.
    """

    def __init__(self, config: HACConfig, task: Task, parts: Parts) -> None:
        problem = parts.problem
        if problem.action != "items" or problem.flat:
            raise ValueError(f"{task.name}: hac needs actions and observations that name items")
        binary = [channel.name for channel in problem.schema.channels if channel.kind is ChannelKind.BINARY]
        if not config.label and not binary:
            raise ValueError(
                f"{task.name}: hac needs a binary feedback channel, found {', '.join(problem.schema.names)}"
            )
        self.config = config
        self._label = problem.schema.index(config.label or binary[0])
        self.actor, self.critic = HyperActor(config, parts), ActionValue(parts, parts.config.embedding)
        self._actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self._critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.module: nn.Module = nn.ModuleDict(
            {"actor": self.actor, "critic": self.critic, "actor_target": self._actor_target,
             "critic_target": self._critic_target}
        )  # fmt: skip
        self.module.register_buffer("unit", torch.ones(()))
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "actor_optimiser": torch.optim.Adam(self.actor.parameters(), lr=config.actor_rate),
            "critic_optimiser": torch.optim.Adam(self.critic.parameters(), lr=config.critic_rate),
        }

    def explore(self, observation: Any, share: float | None, generator: Generator) -> Choice:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        hyper = self.actor.hyper(observation)
        hyper = hyper + self.config.noise * normal(generator, tuple(hyper.shape))
        action = self.actor.scores(observation, hyper).topk(self.actor.slate_size, dim=1).indices
        return Choice(action[:, 0] if self.actor.slate_size == 1 else action, {})

    def keep(self, transition: Transition) -> dict[str, Tensor]:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        answer = (transition.response.feedback[:, :, self._label] > 0).float()
        return {"items": transition.slate, "answer": answer}

    def begin(self, replay: Replay, generator: Generator) -> None:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        unit: Any = self.module.unit
        unit.fill_(float(replay.kept("reward").std().clamp(min=1e-6)))
        if self.actor.state.centre.numel():
            for network in (self.actor, self.critic, self._actor_target, self._critic_target):
                network.state.scale_to(replay.observed("profile").flatten(0, 1))

    def update(self, batch: Experience, share: float, generator: Generator) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        config, seen, kept = self.config, batch.observation, batch.kept
        critic_loss = self._critic_loss(batch)
        descend(self.optimisers["critic_optimiser"], critic_loss)
        hyper = self.actor.hyper(seen)
        keys = self.actor.keys_of(kept["items"])
        self.critic.requires_grad_(False)
        value = self.critic(seen, hyper)
        # In units of itself: else, as values grow, nothing holds the hyper-action near what can be shown.
        worth = -(value / value.detach().abs().mean().clamp(min=1e-6)).mean()
        self.critic.requires_grad_(True)
        distance = (hyper - keys.mean(1).detach()).square().mean()
        logits = (keys @ hyper[:, :, None])[:, :, 0]
        answers = functional.binary_cross_entropy_with_logits(logits, kept["answer"])
        descend(self.optimisers["actor_optimiser"], worth + config.hyper * distance + config.supervised * answers)
        follow(self._actor_target, self.actor, config.tau)
        follow(self._critic_target, self.critic, config.tau)
        found = {"critic": critic_loss, "value": value.mean(), "distance": distance, "answers": answers}
        return {name: value.detach() for name, value in found.items()}

    def _critic_loss(self, batch: Experience) -> Tensor:
        kept = batch.kept
        unit: Any = self.module.unit
        with torch.no_grad():
            after = self._critic_target(batch.next_observation, self._actor_target.shown(batch.next_observation))
            target = kept["reward"] / unit + self.config.gamma * torch.where(kept["terminated"], 0.0, after)
            pooled = self.actor.keys_of(kept["items"]).mean(1)
        known = (~kept["cut"]).float()
        error = (self.critic(batch.observation, pooled) - target).square()
        return mean_of(error, known)

    def policy(self) -> NetworkPolicy:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        return NetworkPolicy(frozen(self.actor))
