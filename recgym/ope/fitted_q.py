"""A model of a target policy's values, fitted to a log: fitted Q evaluation, cross-fitted over users.

Source: Le, Voloshin and Yue, "Batch Policy Learning under Constraints" (arXiv 1903.08738), algorithm 3. Over batches::

    loss = (Q(s, a) - (r + gamma (1 - ended) Q'(s', a')))^2,  a' ~ pi(s')

with a target network Q' that follows slowly. Values of slates are sums over positions. Episodes that the log cut count
as ended there, since that is what the other estimators speak of: the return within the log's episodes.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64

from recgym.agents.base import Policy
from recgym.agents.constrained.action_values import ActionValues
from recgym.agents.descent import descend
from recgym.agents.offline.networks import Parts, StateNetwork
from recgym.agents.sb3.config import NetworkConfig
from recgym.arrays import to_numpy
from recgym.data.transitions import TransitionStore
from recgym.progress import Progress, Tick
from recgym.seeding import make_generator, seeded
from recgym.types import Generator

__all__ = ["FittedQ", "fitted_q", "folds_of_users", "looked", "told_of"]

_BATCH = 256
_LOOK = 8192
_FOLLOW = 0.02


class FittedQ(NamedTuple):
    """Values by a model that did not see the user.

    Attributes:
        q: ``Q(s, a)`` of each step's logged action.
        v: ``V(s)``, the mean of Q over actions that the target policy draws.
        loss: mean squared error of the last tenth of the updates, in units of the reward's variance.
    """

    q: Float64[np.ndarray, "n"]
    v: Float64[np.ndarray, "n"]
    loss: float


def fitted_q(
    store: TransitionStore,
    policy: Policy[Any],
    *,
    gamma: float = 1.0,
    greedy: bool = False,
    updates: int = 2000,
    folds: int = 2,
    draws: int = 4,
    network: NetworkConfig | None = None,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> FittedQ:
    """Fit a model for each fold of the users and let it judge the others.

    Args:
        store: the log.
        policy: the target policy, without a memory.
        gamma: discount factor.
        greedy: judge the policy that takes its most likely action.
        updates: of each model.
        folds: of the users, at least 2.
        draws: actions of the policy from which ``V(s)`` is taken.
        network: the model's network.
        learning_rate: of Adam.
        seed: root seed of folds, weights, batches and draws.
        progress: told after each update.

    Raises:
        ValueError: the policy has a memory, there are fewer users than folds, or no update or draw is asked for.
    """
    if updates < 1 or draws < 1:
        raise ValueError(f"at least 1 update and 1 draw are needed, found {updates} and {draws}")
    fold = folds_of_users(store, policy, folds, seed)
    of_step = fold[store.episode_of_step]
    q, v, losses = np.empty(len(store)), np.empty(len(store)), []
    for each in range(folds):
        train = store.subset(np.flatnonzero(fold != each))
        model = _Model(store, network or NetworkConfig(), learning_rate, gamma, seed, each)
        told = told_of(progress, "fitting values", each, folds, updates)
        losses.append(model.fit(train, policy, greedy, updates, make_generator(seed, "fitted q", each), told))
        mine = of_step == each
        q[mine], v[mine] = model.judge(store, store.steps[mine], policy, greedy, draws, seed)
    return FittedQ(q, v, float(np.mean(losses)))


def folds_of_users(store: TransitionStore, policy: Policy[Any], folds: int, seed: int) -> Int64[np.ndarray, "e"]:
    """The fold of each episode, those of one user in one, for models that see one observation at a time.

    Args:
        store: the log.
        policy: the target policy, without a memory.
        folds: at least 2.
        seed: root seed.

    Raises:
        ValueError: the policy has a memory, or there are fewer users than folds.
    """
    start: Any = policy.init_state(1, "cpu")
    if len(start):
        raise ValueError(f"{type(policy).__name__} has a memory: a fitted model sees one observation at a time")
    users, row = np.unique(store.columns["user"][store.episodes[:, 0]], return_inverse=True)
    if not 2 <= folds <= len(users):
        raise ValueError(
            f"cross-fitting needs 2 folds or more and a user in each, found {folds} and {len(users)} users"
        )
    fold: np.ndarray = make_generator(seed, "folds", device="numpy").permutation(np.arange(len(users)) % folds)[row]
    return fold


def looked(store: TransitionStore, network: NetworkConfig) -> ActionValues:
    """A fresh network of values that has taken its scales from a log; draws from PyTorch's generator."""
    values = ActionValues(Parts(store.problem, store.item_features, network))
    for part in values.modules():
        if isinstance(part, StateNetwork):
            part.look(store)
    return values


def told_of(progress: Progress | None, stage: str, fold: int, folds: int, updates: int) -> Callable[[int], None] | None:
    """Tells how many updates of all folds are done, given those of one."""
    if progress is None:
        return None
    return lambda done: progress(Tick(stage, fold * updates + done, folds * updates, "updates"))


class _Model:
    """One network and its target."""

    def __init__(
        self, store: TransitionStore, network: NetworkConfig, learning_rate: float, gamma: float, seed: int, fold: int
    ) -> None:
        with seeded(seed, f"fitted q {fold}"):
            self.network = looked(store, network)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=learning_rate)
        self.gamma = gamma
        # In units of the reward's spread, so that networks start near what they are to say.
        reward = store.columns["reward"][store.steps]
        self.spread = max(float(reward.std()), 1e-6)

    def fit(
        self,
        train: TransitionStore,
        policy: Policy[Any],
        greedy: bool,
        updates: int,
        generator: Generator,
        told: Callable[[int], None] | None,
    ) -> float:
        """Learn; the mean loss of the last tenth of the updates."""
        state: Any = policy.init_state(_BATCH, "cpu")
        last = []
        for number in range(updates):
            points = train.draw(_BATCH, generator)
            batch = train.batch(points)
            ended = batch.terminated | torch.from_numpy(train.columns["truncated"][points])
            with torch.no_grad():
                action = torch.as_tensor(policy.act(batch.next_observation, state, generator, greedy)[0].action)
                later = self.target(batch.next_observation, action)
                wanted = batch.reward / self.spread + self.gamma * torch.where(ended, 0.0, later)
            loss = (self.network(batch.observation, batch.action) - wanted).square().mean()
            descend(self.optimiser, loss)
            with torch.no_grad():
                torch._foreach_lerp_(list(self.target.parameters()), list(self.network.parameters()), _FOLLOW)
            if number >= updates - max(1, updates // 10):
                last.append(loss.item())
            if told is not None:
                told(number + 1)
        return float(np.mean(last))

    @torch.no_grad()
    def judge(
        self, store: TransitionStore, points: np.ndarray, policy: Policy[Any], greedy: bool, draws: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Q of logged actions and V at some points."""
        q, v = np.empty(len(points)), np.empty(len(points))
        for begin in range(0, len(points), _LOOK):
            some = points[begin : begin + _LOOK]
            seen = store.observations(some)
            q[begin : begin + _LOOK] = to_numpy(self.network(seen, store.actions(some)))
            total = torch.zeros(len(some))
            state: Any = policy.init_state(len(some), "cpu")
            for draw in range(draws):
                generator = make_generator(seed, "values", int(some[0]) * draws + draw)
                action = torch.as_tensor(policy.act(seen, state, generator, greedy)[0].action)
                total += self.network(seen, action)
            v[begin : begin + _LOOK] = to_numpy(total / draws)
        return q * self.spread, v * self.spread
