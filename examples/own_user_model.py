"""Bring your own users: a model in forty lines, checked and stepped like any other."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.envs import ChannelReward, RecVectorEnv, Task
from recgym.simulators import Observed, UserModel
from recgym.testing import check_user_model
from recgym.types import Response


class Mood(NamedTuple):
    """Each user's hidden boredom, which every click lowers and every skip raises."""

    boredom: Tensor


class BoredUsers(UserModel[Mood]):
    """Clicks item i with probability (i + 1) / (N + 1) / (1 + boredom); leaves when boredom passes 3."""

    hidden_fields: ClassVar[tuple[str, ...]] = ("boredom",)
    runs_on_numpy: ClassVar[bool] = False

    def __init__(self, num_items: int = 10) -> None:
        self.schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
        self.num_items, self.profile_size = num_items, 0
        self.item_features = torch.arange(1, num_items + 1)[:, None] / (num_items + 1)

    def on(self, device: str) -> "BoredUsers":
        return self

    def sample_users(self, n: int, generator: torch.Generator, rows: Tensor | None = None) -> Mood:
        return Mood(torch.rand(n, generator=generator))

    def expected(self, state: Mood, slate: Tensor) -> Response:
        return Response((self.item_features[slate[:, :1]] / (1 + state.boredom[:, None, None])))

    def respond(self, state: Mood, slate: Tensor, generator: torch.Generator) -> Response:
        return Response(torch.bernoulli(self.expected(state, slate).feedback, generator=generator))

    def advance(self, state: Mood, slate: Tensor, response: Response, generator: torch.Generator) -> Mood:
        clicked = response.feedback[:, 0, 0] > 0
        return Mood(torch.where(clicked, state.boredom / 2, state.boredom + 0.5))

    def has_left(self, state: Mood) -> Tensor:
        return state.boredom > 3

    def step_seconds(self, state: Mood, slate: Tensor, response: Response) -> Tensor:
        return torch.ones_like(state.boredom)

    def return_gap(self, state: Mood, generator: torch.Generator) -> Tensor:
        return torch.full_like(state.boredom, torch.inf, dtype=torch.float64)

    def observe(self, state: Mood) -> Observed:
        return Observed(profile=torch.empty(state.boredom.shape[0], 0))


if __name__ == "__main__":
    model = BoredUsers()
    check_user_model(model)
    env = RecVectorEnv(Task(model, ChannelReward(model.schema, {"click": 1.0}), horizon=100), num_envs=4, seed=0)
    observation, _ = env.reset(seed=0)
    print("clicks of the first step:", env.step(env.action_space.sample())[1])
