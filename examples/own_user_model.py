"""Bring your own users: a model in forty lines, checked and stepped like any other."""

from typing import NamedTuple

import torch

from recgym.agents import RandomPolicy
from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.envs import ChannelReward, Task
from recgym.evaluation import action_spec, rollout
from recgym.simulators import Observed, UserModel
from recgym.testing import check_user_model
from recgym.types import Generator, Response


class Mood(NamedTuple):
    boredom: torch.Tensor


class BoredUsers(UserModel[Mood]):
    """Clicks item i with probability (i + 1) / 11 / (1 + boredom); leaves when the hidden boredom passes 3."""

    hidden_fields, runs_on_numpy, num_items, profile_size = ("boredom",), False, 10, 0
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    item_features = torch.arange(1.0, 11.0)[:, None] / 11

    def on(self, device: str) -> "BoredUsers":
        if device == "cpu":
            return self
        raise ValueError(f"BoredUsers live on the CPU, found device={device!r}")

    def sample_users(self, n: int, generator: Generator, rows: torch.Tensor | None = None) -> Mood:
        return Mood(torch.rand(n, generator=generator))

    def expected(self, state: Mood, slate: torch.Tensor) -> Response:
        chance = self.item_features[slate[:, :1]] / (1 + state.boredom[:, None, None])
        return Response(torch.cat([chance, torch.zeros(*slate[:, 1:].shape, 1)], 1))  # the first position is looked at

    def respond(self, state: Mood, slate: torch.Tensor, generator: Generator) -> Response:
        return Response(torch.bernoulli(self.expected(state, slate).feedback, generator=generator))

    def advance(self, state: Mood, slate: torch.Tensor, response: Response, generator: Generator) -> Mood:
        return Mood(torch.where(response.feedback[:, 0, 0] > 0, state.boredom / 2, state.boredom + 0.5))

    def has_left(self, state: Mood) -> torch.Tensor:
        return state.boredom > 3

    def step_seconds(self, state: Mood, slate: torch.Tensor, response: Response) -> torch.Tensor:
        return torch.ones_like(state.boredom)

    def return_gap(self, state: Mood, generator: Generator) -> torch.Tensor:
        return torch.full_like(state.boredom, torch.inf, dtype=torch.float64)

    def come_back(self, state: Mood, gap_s: torch.Tensor, generator: Generator) -> Mood:
        return Mood(torch.zeros_like(state.boredom))

    def observe(self, state: Mood) -> Observed:
        return Observed(profile=torch.empty(state.boredom.shape[0], 0))


if __name__ == "__main__":
    check_user_model(BoredUsers())
    task = Task(BoredUsers(), ChannelReward(BoredUsers.schema, {"click": 1.0}), horizon=100)
    played = rollout(RandomPolicy(action_spec(task)), task, users=1000)
    print(f"random items bring {played.episodes.reward.mean():.2f} clicks a session")
