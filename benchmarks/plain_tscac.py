"""TSCAC as one would write it down: arrays of all steps in memory, PyTorch's own layers, each loss as in the paper.

It is what :mod:`benchmarks.offline_agents` holds our training against: log, sizes, networks, losses and optimisers are
the same. What it has and we have not is that histories of all steps lie ready in memory, one array each.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.data.transitions import Problem, TransitionStore

__all__ = ["PlainSteps", "PlainTSCAC"]


class PlainSteps:
    """Steps of a log of one video at a time, in tensors of their own, drawn by number.

    Args:
        store: the log.
        channels: of the responses, the main one first.
        signs: -1 for costs, else 1.
        seed: of the draws.
    """

    def __init__(self, store: TransitionStore, channels: Sequence[int], signs: Sequence[float], seed: int) -> None:
        steps = store.steps
        self.generator = torch.Generator().manual_seed(seed)
        self.before: dict[str, Tensor] = _kept(store, steps)
        self.after: dict[str, Tensor] = _kept(store, steps + 1)
        self.action = torch.from_numpy(store.columns["action"][steps][:, 0].astype(np.int64))
        responses = torch.from_numpy(store.columns["feedback"][steps][:, 0][:, list(channels)])
        spread = responses.std(0, correction=0)
        self.responses = responses * torch.tensor(list(signs)) / torch.where(spread > 0, spread, 1.0)
        self.going = 1.0 - torch.from_numpy(store.columns["terminated"][steps]).float()
        self.log_behaviour = torch.from_numpy(store.columns["log_propensity"][steps])

    def draw(self, size: int) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor, dict[str, Tensor], Tensor]:
        """Before, action, responses, whether it goes on, after, and the logarithm of the propensity."""
        rows = torch.randint(len(self.action), (size,), generator=self.generator)
        before = {name: part[rows] for name, part in self.before.items()}
        after = {name: part[rows] for name, part in self.after.items()}
        return before, self.action[rows], self.responses[rows], self.going[rows], after, self.log_behaviour[rows]


def _kept(store: TransitionStore, points: np.ndarray) -> dict[str, Tensor]:
    seen = store.observations(points)
    assert isinstance(seen, dict)
    return seen


class _User(nn.Module):
    """From an observation to a state: what each event of the history says, pooled."""

    def __init__(self, problem: Problem, features: Tensor, width: int) -> None:
        super().__init__()
        self.items = nn.Embedding(*features.shape)
        self.items.weight = nn.Parameter(features, requires_grad=False)
        self.embed = nn.Linear(features.shape[1], width, bias=False)
        self.channels = len(problem.schema)
        self.out = problem.profile + (self.channels + 2) * width + self.channels + 2

    def forward(self, seen: dict[str, Tensor]) -> Tensor:
        ids, feedback = seen["history_items"].long(), seen["history_feedback"]
        there = (ids < self.items.num_embeddings - 1).float()[:, :, None]
        events = self.embed(self.items(ids))
        said = feedback.sign() * feedback.abs().log1p()
        count = there.sum(1).clamp(min=1)
        parts = [(events * there).sum(1) / count]
        parts += [(events * there * said[:, :, [c]]).sum(1) / count for c in range(self.channels)]
        parts += [events[:, -1] * there[:, -1], said[:, -1], 0.1 * seen["history_gap_s"][:, -1:].log1p()]
        return torch.cat([*parts, there.mean(1), seen["profile"]], 1)


class _Actor(nn.Module):
    """Logits of the candidates, by what they are."""

    def __init__(self, problem: Problem, features: Tensor, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.user = _User(problem, features, width)
        self.body = _layers(self.user.out, hidden)
        self.query = nn.Linear(hidden[-1], width)
        self.key = nn.Sequential(nn.Linear(features.shape[1], width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, seen: dict[str, Tensor]) -> Float32[Tensor, "B M"]:
        keys = self.key(self.user.items(seen["candidates"].long()))
        query = self.query(self.body(self.user(seen))) / keys.shape[2] ** 0.5
        logits: Tensor = (keys * query[:, None]).sum(2)
        return logits

    def log_prob(self, seen: dict[str, Tensor], action: Tensor) -> Float32[Tensor, "B"]:
        """Of the logged action."""
        chances: Tensor = self(seen).log_softmax(1)
        return chances.gather(1, action[:, None])[:, 0]


class _Value(nn.Module):
    """The value of a state and of what is on offer in it."""

    def __init__(self, problem: Problem, features: Tensor, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.user = _User(problem, features, width)
        self.body = nn.Sequential(_layers(self.user.out + width, hidden), nn.Linear(hidden[-1], 1))

    def forward(self, seen: dict[str, Tensor]) -> Float32[Tensor, "B"]:
        offered = self.user.embed(self.user.items(seen["candidates"].long())).mean(1)
        value: Tensor = self.body(torch.cat([self.user(seen), offered], 1))[:, 0]
        return value


def _layers(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip([inputs, *hidden], hidden, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)


class PlainTSCAC:
    """The two stages.

    Args:
        store: the log.
        gammas: discount of each response, the main one first.
        strength: lambda, the same for each auxiliary response.
        width: of item embeddings.
        hidden: widths of hidden layers.
        rates: learning rates of actors and of critics.
        caps: of ratios and of weights.
    """

    def __init__(
        self, store: TransitionStore, gammas: Sequence[float], strength: float, width: int, hidden: Sequence[int],
        rates: tuple[float, float], caps: tuple[float, float],
    ) -> None:  # fmt: skip
        features = torch.from_numpy(np.concatenate([store.item_features, 0 * store.item_features[:1]]))
        parts = (store.problem, features, width, hidden)
        self.gammas, self.strength, self.caps = gammas, strength, caps
        self.critics = [_Value(*parts) for _ in gammas]
        self.actor, self.auxiliary = _Actor(*parts), [_Actor(*parts) for _ in gammas[1:]]
        self.base, self.scores = _Value(*parts), _Actor(*parts)
        self.actors_of = {
            1: torch.optim.Adam(nn.ModuleList(self.auxiliary).parameters(), rates[0]),
            2: torch.optim.Adam(self.actor.parameters(), rates[0]),
        }
        critics = nn.ModuleList([*self.critics, self.base, self.scores])
        self.critics_of = torch.optim.Adam(critics.parameters(), rates[1])

    def _error(
        self, number: int, seen: dict[str, Tensor], reward: Tensor, going: Tensor, after: dict[str, Tensor]
    ) -> Tensor:
        critic, gamma = self.critics[number], self.gammas[number]
        if gamma > 0:
            with torch.no_grad():
                reward = reward + gamma * going * critic(after)
        error: Tensor = reward - critic(seen)
        return error

    def _advantage(self, seen: dict[str, Tensor], action: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        value = self.base(seen) + self.scores(seen).gather(1, action[:, None])[:, 0]
        with torch.no_grad():
            state = self.critics[0](seen)
        return value.detach() - state, (error.detach() + state - value).square().mean()

    def update(self, steps: PlainSteps, size: int, stage: int) -> float:
        """One update of a stage; the loss of its actors."""
        seen, action, responses, going, after, log_behaviour = steps.draw(size)
        if stage == 1:
            log_policies = [actor.log_prob(seen, action) for actor in self.auxiliary]
            errors = [self._error(i, seen, responses[:, i], going, after) for i in range(len(self.gammas))]
            ratios = [(each.detach() - log_behaviour).exp().clamp(max=self.caps[0]) for each in log_policies]
            loss = errors[0].square().mean() + self._advantage(seen, action, errors[0])[1]
            for ratio, error in zip(ratios, errors[1:], strict=True):
                loss = loss + (ratio * error.square()).mean()
            terms = zip(ratios, errors[1:], log_policies, strict=True)
            actors = -torch.stack([(ratio * error.detach() * log).mean() for ratio, error, log in terms]).sum()
        else:
            log_policy = self.actor.log_prob(seen, action)
            error = self._error(0, seen, responses[:, 0], going, after)
            advantage, value_loss = self._advantage(seen, action, error)
            ratio = (log_policy.detach() - log_behaviour).exp().clamp(max=self.caps[0])
            loss = (ratio * error.square()).mean() + value_loss
            with torch.no_grad():
                near = torch.stack([actor.log_prob(seen, action) for actor in self.auxiliary]).mean(0)
                weight = near + advantage / (self.strength * len(self.auxiliary)) - log_behaviour
            actors = -(weight.exp().clamp(max=self.caps[1]) * log_policy).mean()
        for optimiser, each in ((self.critics_of, loss), (self.actors_of[stage], actors)):
            optimiser.zero_grad()
            each.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return float(actors.detach())
