"""RLUR: bring users back sooner, with what they do at once as a guide.

Source: "Reinforcing User Retention in a Billion Scale Short Video Recommender System" (arXiv 2302.01724). Actions are
preference vectors. A retention critic predicts the time that users will be away, over all sessions to come; a second
critic what they do at once and how new it is (random network distillation). Over batches of a replay buffer, with
target networks::

    retention:  (Q_T(s, a) - (c + g (1 - terminated) Q_T'(s', a')))^2
                c = min(days / T'(u), cap) at the end of a session, else 0;  g = gamma there, else 1
    at once:    (Q_I(s, a) - (r + novelty + gamma_i (1 - terminated) Q_I'(s', a')))^2
    actor:      exp(max(soft (log pi(b | s) - log pi_b(b | s)), 0)) (weight_t Q_T(s, a) - weight_i Q_I(s, a))
                with a ~ pi(s), and b the logged action of the policy pi_b of its day (soft regularisation)
    T'(u):      T_q P(days > T_q | u), a lower bound of the expected time by Markov's inequality, from a classifier of
                how sessions end; T_q is the quantile of the times gathered before the first update

Differences: the classifier looks at the user's profile alone: what a user did in the session is the policy's doing, and
a time divided by what it makes one expect would say nothing of the policy any more. Users who never come back are away
for ``cap`` at each of the sessions that they miss: with 0 after the end of an episode, to drive users away would be
best. One policy serves all users, who differ in what it sees of them; the paper trains one for each level of activity.
What a user does at once is divided by its spread, and both kinds of return are multiplied by 1 - gamma, so that critics
speak of means, which they begin with.
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
from recgym.agents.offline.networks import ActorNetwork, Parts, StateNetwork
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.online.base import Choice, ReplayConfig
from recgym.agents.online.networks import ActionValue, follow, parts_of
from recgym.agents.online.replay import Experience, Replay
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.distributions import SquashedGaussian
from recgym.agents.sb3.networks import mlp
from recgym.data import ChannelKind
from recgym.envs.levels import DAY_S
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.types import Generator

__all__ = ["RLUR", "RLURConfig"]

_MOST_WEIGHT = 2.3  # of the soft regularisation, in logarithm: 10


@dataclass(frozen=True)
class RLURConfig:
    """Settings of :class:`RLUR`.

    Attributes:
        gamma: discount of the time away, from session to session.
        gamma_at_once: discount of what users do at once, from step to step.
        tau: share of the networks that moves into their targets at each update.
        at_once: channel name to weight: what users do at once; every binary channel counts 1 if empty.
        weight_t: of the retention critic in the actor's loss.
        weight_i: of the other.
        novelty: weight of the error of random network distillation.
        soft: lambda of the soft regularisation; 0 for none.
        critics_first: share of the training over which the critics learn alone.
        stay: weight of the square of the mean before its tanh: an actor in a corner of the box has no gradient.
        cap: largest normalised time away.
        quantile: of the times away at which T_q stands.
        longest_days: what longer times, and never coming back, count as.
        learning_rate: of Adam.
        replay: the buffer, and how much is learned from it.
        network: the networks.
    """

    name: ClassVar[str] = "rlur"

    gamma: float = 0.95
    gamma_at_once: float = 0.9
    tau: float = 0.02
    at_once: tuple[tuple[str, float], ...] = ()
    weight_t: float = 1.0
    weight_i: float = 0.01
    novelty: float = 0.0
    soft: float = 0.1
    critics_first: float = 0.1
    stay: float = 1e-3
    cap: float = 3.0
    quantile: float = 0.6
    longest_days: float = 30.0
    learning_rate: float = 3e-4
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        for name in ("gamma", "gamma_at_once"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), found {getattr(self, name)}")
        if not 0 < self.quantile < 1 or self.cap <= 0 or self.longest_days <= 0:
            raise ValueError("quantile must be in (0, 1), cap and longest_days positive")

    def learner(self, task: Task) -> "RLUR":
        """See :class:`recgym.agents.online.OnlineConfig`."""
        return RLUR(self, task, parts_of(task, self.network))


class _ProfileHead(nn.Module):
    """One number made of the profile alone; the same for all users where they have none."""

    centre: Tensor
    spread: Tensor

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        wide = parts.problem.profile
        self.register_buffer("centre", torch.zeros(wide))
        self.register_buffer("spread", torch.ones(wide))
        self.body, latent = mlp(wide, parts.config.hidden, nn.ReLU)
        self.out = nn.Linear(latent, 1)

    def forward(self, observation: dict[str, Tensor]) -> Float32[Tensor, "B"]:
        if not self.centre.numel():
            number: Tensor = self.out.bias.expand(len(next(iter(observation.values()))))
            return number
        number = self.out(self.body((observation["profile"].float() - self.centre) / self.spread))[:, 0]
        return number


class _StateHead(nn.Module):
    """Numbers made of the state alone."""

    def __init__(self, parts: Parts, outputs: int) -> None:
        super().__init__()
        self.state = StateNetwork(parts)
        self.body, latent = mlp(self.state.width, parts.config.hidden, nn.ReLU)
        self.out = nn.Linear(latent, outputs)

    def forward(self, observation: dict[str, Tensor]) -> Float32[Tensor, "B V"]:
        out: Tensor = self.out(self.body(self.state(observation)))
        return out


class RLUR:
    """See the module's docstring.

    Args:
        config: settings.
        task: what to learn.
        parts: of the networks.

    Raises:
        ValueError: actions are no preference vectors, the task has one session only, or a channel is unknown.
    """

    def __init__(self, config: RLURConfig, task: Task, parts: Parts) -> None:
        problem = parts.problem
        if problem.action != "preference" or task.level != "retention":
            raise ValueError(
                f"{task.name}: rlur needs action='preference' and level='retention', found {problem.action!r} and "
                f"{task.level!r}"
            )
        self.config = config
        binary = [(channel.name, 1.0) for channel in problem.schema.channels if channel.kind is ChannelKind.BINARY]
        self._at_once = [(problem.schema.index(name), weight) for name, weight in config.at_once or binary]
        self.actor = ActorNetwork(parts)
        critics = {name: ActionValue(parts, problem.features) for name in ("retention", "at_once")}
        self.critics = nn.ModuleDict(critics)
        self.away = _ProfileHead(parts)
        self.guess, self.fixed = _StateHead(parts, 8), _StateHead(parts, 8)
        self._targets = copy.deepcopy(nn.ModuleDict({"actor": self.actor, **critics})).requires_grad_(False)
        self.fixed.requires_grad_(False)
        self.module: nn.Module = nn.ModuleDict(
            {"actor": self.actor, "critics": self.critics, "away": self.away, "guess": self.guess,
             "fixed": self.fixed, "targets": self._targets}
        )  # fmt: skip
        self.module.register_buffer("threshold_days", torch.ones(()))
        self.module.register_buffer("unit", torch.ones(()))
        learned = [*self.critics.parameters(), *self.away.parameters(), *self.guess.parameters()]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "actor_optimiser": torch.optim.Adam(self.actor.parameters(), lr=config.learning_rate),
            "critic_optimiser": torch.optim.Adam(learned, lr=config.learning_rate),
        }

    def explore(self, observation: Any, share: float | None, generator: Generator) -> Choice:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        distribution = self.actor(observation)
        action = distribution.sample(generator)
        return Choice(action, {"action": action, "log_prob": distribution.log_prob(action)})

    def keep(self, transition: Transition) -> dict[str, Tensor]:
        """See :class:`recgym.agents.online.OnlineLearner`. NaN days are those of a session that goes on."""
        feedback = transition.response.feedback
        at_once = sum((feedback[:, :, column].sum(1) * weight for column, weight in self._at_once), torch.zeros(()))
        assert transition.return_gap_s is not None
        days = (transition.return_gap_s / DAY_S).clamp(max=self.config.longest_days).float()
        return {"at_once": at_once.float(), "days": days}

    def begin(self, replay: Replay, generator: Generator) -> None:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        days, module = replay.kept("days"), self.module
        days = days[~days.isnan()]
        unit, threshold = (getattr(module, name) for name in ("unit", "threshold_days"))
        unit.fill_(float(replay.kept("at_once").std().clamp(min=1e-6)))
        if len(days):
            threshold.fill_(float(days.quantile(self.config.quantile).clamp(min=1e-3)))
        # From nothing, values would take long to rise, and till then what puts off the end of a session looks good.
        usual = {"at_once": float(replay.kept("at_once").mean() / unit)}
        usual["retention"] = float((days / (0.5 * threshold)).clamp(max=self.config.cap).mean()) if len(days) else 0.0
        for name, value in usual.items():
            for critics in (self.critics, self._targets):
                critic: Any = critics[name]
                critic.value.bias.data.fill_(value)
        for part in module.modules():
            if isinstance(part, StateNetwork) and part.centre.numel():
                part.scale_to(replay.observed("profile").flatten(0, 1))
        self.away.centre.copy_(self.actor.state.centre)
        self.away.spread.copy_(self.actor.state.spread)

    def update(self, batch: Experience, share: float, generator: Generator) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        found = self._critic_losses(batch, generator)
        descend(self.optimisers["critic_optimiser"], sum(found.values(), torch.zeros(())))
        if share >= self.config.critics_first:
            found["actor"] = self._improve(batch, generator)
        for name, network in {"actor": self.actor, **dict(self.critics.items())}.items():
            follow(self._targets[name], network, self.config.tau)
        return {name: value.detach() for name, value in found.items()}

    def _improve(self, batch: Experience, generator: Generator) -> Tensor:
        """One step of the actor; its loss."""
        distribution: Any = self.actor(batch.observation)
        action = _drawn(distribution, generator)
        self.critics.requires_grad_(False)
        worth = self.config.weight_t * self.critics["retention"](batch.observation, action)
        worth = worth - self.config.weight_i * self.critics["at_once"](batch.observation, action)
        self.critics.requires_grad_(True)
        apart = distribution.log_prob(batch.kept["action"]) - batch.kept["log_prob"]
        # Cut before the exponential: the gradient of a cut infinity would be NaN.
        weight = (self.config.soft * apart).clamp(0.0, _MOST_WEIGHT).exp()
        loss: Tensor = (weight * worth).mean()
        loss = loss + self.config.stay * distribution.mean.square().mean()
        descend(self.optimisers["actor_optimiser"], loss)
        return loss

    def _critic_losses(self, batch: Experience, generator: Generator) -> dict[str, Tensor]:
        config, kept, seen = self.config, batch.kept, batch.observation
        ended = ~kept["days"].isnan()
        unit, threshold = (getattr(self.module, name) for name in ("unit", "threshold_days"))
        away = self.away(seen)
        longer = (kept["days"] > threshold).float()
        with torch.no_grad():
            after = self._targets["actor"](batch.next_observation)
            action = _drawn(after, generator)
            time = (kept["days"].nan_to_num(0.0) / (threshold * away.sigmoid()).clamp(min=1e-3)).clamp(max=config.cap)
            time = torch.where(ended, time * (1 - config.gamma), 0.0)
            later = torch.where(ended, config.gamma, 1.0) * self._targets["retention"](batch.next_observation, action)
            retention = torch.where(kept["terminated"], config.cap, time + later)
            novelty = (self.guess(seen) - self.fixed(seen)).square().mean(1)
            soon = self._targets["at_once"](batch.next_observation, action)
            at_once = (kept["at_once"] / unit + config.novelty * novelty) * (1 - config.gamma_at_once)
            at_once = at_once + config.gamma_at_once * torch.where(kept["terminated"], 0.0, soon)
        known, taken = (~kept["cut"]).float(), kept["action"]
        classified = functional.binary_cross_entropy_with_logits(away, longer, reduction="none")
        return {
            "retention": mean_of((self.critics["retention"](seen, taken) - retention).square(), known),
            "at_once": mean_of((self.critics["at_once"](seen, taken) - at_once).square(), known),
            "away": mean_of(classified, ended.float()),
            "novelty": (self.guess(seen) - self.fixed(seen)).square().mean(),
        }

    def policy(self) -> NetworkPolicy:
        """See :class:`recgym.agents.online.OnlineLearner`."""
        return NetworkPolicy(frozen(self.actor))


def _drawn(distribution: Any, generator: Generator) -> Float32[Tensor, "B D"]:
    """A draw through which gradients flow."""
    assert isinstance(distribution, SquashedGaussian)
    return distribution.sample(generator)
