"""Weights of steps that a network learns: how much likelier a target policy is to come to a state and act so.

Source: Yang, Nachum, Dai, Li and Schuurmans, "Off-Policy Evaluation via the Regularized Lagrangian" (arXiv
2007.03438), of which DualDICE (arXiv 1906.04733), GenDICE, GradientDICE and minimax weight learning (arXiv 1910.12809)
are choices of the regularisers. Here positive weights w play against a critic f, whose square is what is regularised::

    min_w max_f  mean_steps(w(s, a) (f(s, a) - gamma (1 - ended) f(s', a'))) - mean_first(f(s0, a0)) / length
                 - mean_steps(f(s, a)^2) / 2,          a' ~ pi(s'), a0 ~ pi(s0)

``length`` is the mean number of steps of an episode, so that weights are those of an episode's discounted visits, and a
discount of 1 is allowed where episodes end. Differences from the paper: weights are not normalised by a multiplier, as
ends pin their scale; the network that is served is the mean of those of the second half of the updates, because the two
players circle around the saddle point. Nothing guards against a saddle that was not reached: the loss is no
measure of it, and intervals leave it out.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch.nn import functional

from recgym.agents.base import Policy
from recgym.agents.descent import descend
from recgym.agents.sb3.config import NetworkConfig
from recgym.arrays import integers, to_numpy
from recgym.data.transitions import TransitionStore
from recgym.ope.fitted_q import folds_of_users, looked, told_of
from recgym.progress import Progress
from recgym.seeding import make_generator, seeded
from recgym.types import Generator

__all__ = ["fitted_dice"]

_BATCH = 512
_LOOK = 8192
_START = float(np.log(np.e - 1))  # softplus of it is 1


def fitted_dice(
    store: TransitionStore,
    policy: Policy[Any],
    *,
    gamma: float = 1.0,
    greedy: bool = False,
    updates: int = 2000,
    folds: int = 2,
    network: NetworkConfig | None = None,
    learning_rate: float = 3e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> Float64[np.ndarray, "n"]:
    """Weights of the steps of a log for :class:`recgym.ope.marginal.DICE`, cross-fitted over users.

    Needs no propensities: any log will do, also one of several unknown policies.

    Args:
        store: the log.
        policy: the target policy, without a memory.
        gamma: discount factor.
        greedy: judge the policy that takes its most likely action.
        updates: of each player and fold.
        folds: of the users, at least 2.
        network: of both players.
        learning_rate: of the weights' Adam; the critic's is three times that.
        seed: root seed of folds, networks, batches and draws.
        progress: told after each update.

    Returns:
        The weight of each of ``store.steps``: 1 on average, where policies are the same and nothing is discounted.

    Raises:
        ValueError: the policy has a memory, there are fewer users than folds, or fewer than 2 updates are asked for.
    """
    if updates < 2:
        raise ValueError(f"at least 2 updates are needed, found {updates}")
    fold = folds_of_users(store, policy, folds, seed)
    of_step = fold[store.episode_of_step]
    weight = np.empty(len(store))
    for each in range(folds):
        train = store.subset(np.flatnonzero(fold != each))
        players = _Players(store, network or NetworkConfig(), learning_rate, gamma, seed, each)
        told = told_of(progress, "fitting weights", each, folds, updates)
        players.play(train, policy, greedy, updates, make_generator(seed, "dice", each), told)
        mine = of_step == each
        weight[mine] = players.judge(store, store.steps[mine])
    return weight


class _Players:
    """The networks of weights and critic."""

    def __init__(
        self, store: TransitionStore, network: NetworkConfig, learning_rate: float, gamma: float, seed: int, fold: int
    ) -> None:
        with seeded(seed, f"dice {fold}"):
            self.weights, self.critic = looked(store, network), looked(store, network)
        self.served = copy.deepcopy(self.weights).requires_grad_(False)
        self.down = torch.optim.Adam(self.weights.parameters(), lr=learning_rate, betas=(0.5, 0.99))
        self.up = torch.optim.Adam(self.critic.parameters(), lr=3 * learning_rate, betas=(0.5, 0.99))
        self.gamma = gamma

    def play(
        self,
        train: TransitionStore,
        policy: Policy[Any],
        greedy: bool,
        updates: int,
        generator: Generator,
        told: Callable[[int], None] | None,
    ) -> None:
        """Let the two learn against each other."""
        first, length = train.episodes[:, 0], len(train) / len(train.episodes)
        state: Any = policy.init_state(_BATCH, "cpu")
        for number in range(updates):
            points = train.draw(_BATCH, generator)
            batch = train.batch(points)
            alive = 1.0 - (batch.terminated | torch.from_numpy(train.columns["truncated"][points])).float()
            start = train.observations(first[to_numpy(integers(generator, len(first), (_BATCH,)))])
            with torch.no_grad():
                later = torch.as_tensor(policy.act(batch.next_observation, state, generator, greedy)[0].action)
                begun = torch.as_tensor(policy.act(start, state, generator, greedy)[0].action)
            here = self.critic(batch.observation, batch.action)
            flow = here - self.gamma * alive * self.critic(batch.next_observation, later)
            entered = self.critic(start, begun).mean() / length
            weight = functional.softplus(self.weights(batch.observation, batch.action) + _START)
            descend(self.up, here.square().mean() / 2 + entered - (weight.detach() * flow).mean())
            descend(self.down, (weight * flow.detach()).mean())
            count = number - updates // 2
            if count >= 0:  # the running mean of the second half
                with torch.no_grad():
                    torch._foreach_lerp_(
                        list(self.served.parameters()), list(self.weights.parameters()), 1 / (count + 1)
                    )
            if told is not None:
                told(number + 1)

    @torch.no_grad()
    def judge(self, store: TransitionStore, points: np.ndarray) -> np.ndarray:
        """Weights of logged steps."""
        found = np.empty(len(points))
        for begin in range(0, len(points), _LOOK):
            some = points[begin : begin + _LOOK]
            value = self.served(store.observations(some), store.actions(some))
            found[begin : begin + _LOOK] = to_numpy(functional.softplus(value + _START))
        return found
