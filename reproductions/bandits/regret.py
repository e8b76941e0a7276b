"""Regret of bandits in worlds whose truth is known: replications side by side, the same worlds for every bandit."""

import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float64

from recgym.agents.bandits import BanditSpec, Context
from recgym.seeding import make_generator
from recgym.simulators.bandit_base import BanditWorld
from recgym.types import Response

__all__ = ["Regret", "World", "regret", "slopes"]

World: TypeAlias = BanditWorld[Any]
"""A world whose click probabilities are known."""


@dataclass(frozen=True)
class Regret:
    """What a bandit lost against the best arm of each round.

    Attributes:
        steps: rounds after which regret was noted.
        total: regret up to these rounds, of each replication.
        random: the same of a bandit that draws any arm, in expectation.
        seconds: how long it took.
    """

    steps: np.ndarray
    total: Float64[np.ndarray, "S R"]
    random: Float64[np.ndarray, "S R"]
    seconds: float

    @property
    def last(self) -> Float64[np.ndarray, "R"]:
        """Regret of the whole run."""
        final: np.ndarray = self.total[-1]
        return final

    @property
    def share_of_random(self) -> Float64[np.ndarray, "R"]:
        """The whole run's regret over that of random arms."""
        share: np.ndarray = self.total[-1] / self.random[-1]
        return share


def regret(bandit: Any, world: World, steps: int, replications: int, seed: int, notes: int = 40) -> Regret:
    """Play a bandit in worlds of their own; visitors, drift and the first worlds depend on the seed alone."""
    model: Any = world.on("numpy")
    draws = make_generator(seed, "bandit", device="numpy")
    users, answers = make_generator(seed, "world", device="numpy"), make_generator(seed, "answers", device="numpy")
    users_state = model.sample_users(replications, users)
    spec = BanditSpec(model.num_items, model.profile_size + 1, replications=replications)
    one = np.ones((replications, 1, 1))  # clicks are linear in the visitor's features and a constant
    learned, everything = bandit.init_state(spec), np.tile(np.arange(model.num_items), (replications, 1))
    lost, by_chance = np.zeros(replications), np.zeros(replications)
    noted = np.unique(np.geomspace(min(100, steps), steps, notes).astype(int))
    total, random = [], []
    begun = time.perf_counter()
    for step in range(1, steps + 1):
        profile = model.observe(users_state).profile[:, None].astype(np.float64)
        context = Context(np.concatenate([profile, one], 2))
        chance = model.chance(users_state, everything)
        action = bandit.choose(learned, context, draws)
        hit = np.take_along_axis(chance, action, 1)
        reward = (answers.random((replications, 1)) < hit).astype(np.float64)
        learned = bandit.update(learned, context, action, reward)
        best = chance.max(1)
        lost += best - hit[:, 0]
        by_chance += best - chance.mean(1)
        if step in noted:
            total.append(lost.copy())
            random.append(by_chance.copy())
        users_state = model.advance(users_state, action, Response(reward[..., None].astype(np.float32)), users)
    return Regret(noted, np.array(total), np.array(random), time.perf_counter() - begun)


def slopes(found: Regret, low: int) -> Float64[np.ndarray, "R"]:
    """The slope of log regret over log rounds from round ``low`` on, of each replication, by least squares."""
    late = found.steps >= low
    x = np.log(found.steps[late])
    x = x - x.mean()
    slope: np.ndarray = (x @ np.log(found.total[late])) / (x @ x)
    return slope
