"""The users, the policy that wrote the log, and what a policy is worth to users."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64

from recgym.agents import Policy, ScoredPolicy
from recgym.arrays import to_numpy
from recgym.data.transitions import TransitionStore
from recgym.envs import Task
from recgym.envs.short_video import task
from recgym.envs.simulation import Simulation
from recgym.evaluation import action_spec, record, rollout
from recgym.seeding import child_seed
from recgym.simulators import ShortVideoConfig
from recgym.types import Decision, Generator

__all__ = ["AUXILIARIES", "COSTS", "MAIN", "VARIANTS", "Served", "behaviour", "log_of", "serve", "world"]

MAIN = "watch_time"
AUXILIARIES = ("like", "comment", "hate")
COSTS = ("hate",)
WINDOW = 10
LOGGED_STEPS = 100_000

VARIANTS = {
    "realistic": ShortVideoConfig(),
    "boosted": ShortVideoConfig(rates=(-2.0, -3.4, -6.67, -6.67, -5.5)),
}
"""Likes, comments and hates at 1.6, 0.24 and 0.05 % of random videos, and more often."""


def world(variant: str) -> Task:
    """Users of a variant; the reward is watch time."""
    return task(config=VARIANTS[variant], reward={MAIN: 1.0}, window=WINDOW)


def behaviour(users: Task, temperature: float = 1.0) -> ScoredPolicy[Any]:
    """Softmax over how well a video's topics fit the interests that the user states."""
    topics = torch.as_tensor(to_numpy(users.model.item_features))[:, : users.model.profile_size]

    def score(seen: Any) -> Any:
        return (seen["profile"][:, None] * topics[seen["candidates"]]).sum(-1)

    return ScoredPolicy(action_spec(users), score, temperature)


def log_of(variant: str, seed: int, steps: int = LOGGED_STEPS) -> TransitionStore:
    """What a seed's arms learn from."""
    users = world(variant)
    return record(behaviour(users), users, steps, seed=child_seed(seed, "log"))


@dataclass(frozen=True)
class Served:
    """What a policy came to with users.

    Attributes:
        totals: of each channel of the schema, expected where chance would drown it, over a session.
        length: videos of the session.
    """

    totals: Float64[np.ndarray, "users F"]
    length: Int64[np.ndarray, "users"]

    def per_video(self) -> Float64[np.ndarray, "F"]:
        """Mean of each channel over all videos."""
        mean: np.ndarray = self.totals.sum(0) / self.length.sum()
        return mean


class _Watched:
    """A policy, and what the simulator expects of each of its slates."""

    def __init__(self, policy: Policy[Any], rows: list[list[np.ndarray]], simulation: Simulation) -> None:
        self._policy, self._simulation = policy, simulation
        self._rows: list[np.ndarray] = []
        rows.append(self._rows)

    def init_state(self, users: int, device: str) -> Any:
        return self._policy.init_state(users, device)

    def act(self, observation: Any, state: Any, generator: Generator, greedy: bool = False) -> tuple[Decision, Any]:
        decision, state = self._policy.act(observation, state, generator, greedy)
        slate = self._simulation.slate_of(decision.action)
        self._rows.append(to_numpy(self._simulation.expected(slate).feedback).sum(1))
        return decision, state


def serve(policy: Policy[Any], users: Task, count: int, seeds: tuple[int, ...], max_steps: int = 200) -> Served:
    """A session of each user, the same users for every policy; feedback as the simulator expects it."""
    blocks: list[list[np.ndarray]] = []
    found = rollout(partial(_Watched, policy, blocks), users, users=count, seeds=seeds, max_steps=max_steps)
    length, totals, first = found.episodes.length, [], 0
    for row in length:
        for start in range(0, count, 1024):
            steps = np.stack(blocks[first])
            alive = np.arange(len(steps))[:, None] < row[start : start + 1024]
            totals.append((steps * alive[:, :, None]).sum(0, dtype=np.float64))
            first += 1
    return Served(np.concatenate(totals), length.ravel())
