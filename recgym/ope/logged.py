"""From a log and a policy to what estimators take: rounds and trajectories with the policy's probabilities."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from recgym.agents.base import LikelihoodPolicy, Policy
from recgym.arrays import take_rows, to_numpy
from recgym.data.transitions import TransitionStore
from recgym.ope.base import LoggedRounds, Trajectories

__all__ = ["by_episode", "log_likelihoods", "log_ratios", "rounds_of", "trajectories_of", "with_behaviour"]

_EPISODES = 4096
"""Episodes that are looked at side by side."""


def _judge(policy: Any) -> LikelihoodPolicy[Any]:
    if not isinstance(policy, LikelihoodPolicy):
        raise ValueError(
            f"{type(policy).__name__} cannot tell how likely an action is, so it cannot be evaluated on a log"
        )
    return policy


def _logged(store: TransitionStore) -> Float64[np.ndarray, "n"]:
    """Log-propensity of each step.

    Raises:
        ValueError: some steps have none.
    """
    if store.unknown_propensities:
        raise ValueError(
            f"{store.problem.name}: {store.unknown_propensities} of {len(store)} steps have no propensity (a "
            "deterministic continuous policy, or a log without them): weights need a policy that stands for the "
            "logging one"
        )
    logged: np.ndarray = store.columns["log_propensity"][store.steps].astype(np.float64)
    return logged


def log_likelihoods(store: TransitionStore, policy: Policy[Any], *, greedy: bool = False) -> Float64[np.ndarray, "n"]:
    """Logarithm of how likely a policy is to take the logged action, for each of ``store.steps``.

    The policy is shown each episode step by step as it was, logged actions included, so policies with a memory are
    judged right.

    Args:
        store: the log.
        policy: the policy.
        greedy: judge the policy that takes its most likely action.

    Raises:
        ValueError: the policy cannot tell.
    """
    judge = _judge(policy)
    found = np.empty(len(store))
    lengths, starts = store.lengths, np.cumsum(store.lengths) - store.lengths
    # Episodes of like length side by side, the longest first: those that end drop out at the end of the batch.
    order = np.argsort(-lengths, kind="stable")
    for begin in range(0, len(order), _EPISODES):
        some = order[begin : begin + _EPISODES]
        users = len(some)
        state: Any = judge.init_state(users, "cpu")
        for step in range(int(lengths[some[0]])):
            alive = int(np.searchsorted(-lengths[some], -step))
            rows = starts[some[:alive]] + step
            points = store.steps[rows]
            if alive < users:
                state, users = take_rows(state, torch.arange(alive)), alive
            log_prob, state = judge.log_prob(store.observations(points), store.actions(points), state, greedy)
            found[rows] = to_numpy(log_prob)
    return found


def with_behaviour(store: TransitionStore, policy: Policy[Any]) -> TransitionStore:
    """The log with the propensities of a policy that stands for the logging one, in place of its own.

    For logs without propensities; the policy may be cloned from other users
    (:class:`recgym.agents.offline.BCConfig`), and weights are then no better than it is.

    Raises:
        ValueError: the policy cannot tell.
    """
    logged = store.columns["log_propensity"].copy()
    logged[store.steps] = log_likelihoods(store, policy)
    return replace(store, columns={**store.columns, "log_propensity": logged})


def log_ratios(store: TransitionStore, policy: Policy[Any], *, greedy: bool = False) -> Float64[np.ndarray, "n"]:
    """Logarithm of how much likelier a policy is to take the logged action, for each of ``store.steps``.

    Args:
        store: the log, with propensities (see :func:`with_behaviour` for one without).
        policy: the target policy.
        greedy: judge the policy that takes its most likely action.

    Raises:
        ValueError: the policy cannot tell, or steps have no propensity.
    """
    logged = _logged(store)
    ratios: np.ndarray = log_likelihoods(store, policy, greedy=greedy) - logged
    return ratios


def trajectories_of(
    store: TransitionStore,
    policy: Policy[Any],
    *,
    gamma: float = 1.0,
    greedy: bool = False,
    q: Float64[np.ndarray, "n"] | None = None,
    v: Float64[np.ndarray, "n"] | None = None,
    reward: Float64[np.ndarray, "n"] | None = None,
) -> Trajectories:
    """Episodes as estimators take them.

    Args:
        store: the log.
        policy: the target policy.
        gamma: discount factor.
        greedy: judge the policy that takes its most likely action.
        q: ``Q(s, a)`` of the logged actions, for each of ``store.steps``, such as :func:`recgym.ope.fitted_q` gives.
        v: ``V(s)``, likewise.
        reward: of each step, such as a feedback channel; the log's own if None.

    Raises:
        ValueError: see :func:`log_ratios`.
    """
    mask = _mask(store)
    ratio = _padded(mask, np.exp(log_ratios(store, policy, greedy=greedy)), 1.0)
    earned = store.columns["reward"][store.steps] if reward is None else reward
    models = [None if values is None else _padded(mask, values) for values in (q, v)]
    return Trajectories(_padded(mask, earned), ratio, mask, gamma, *models)


def by_episode(store: TransitionStore, values: Float[np.ndarray, "n"]) -> Float64[np.ndarray, "e T"]:
    """Values of ``store.steps`` as a row an episode, with 0 behind its end."""
    return _padded(_mask(store), values)


def _padded(
    mask: Bool[np.ndarray, "e T"], values: Float[np.ndarray, "n"], filler: float = 0.0
) -> Float64[np.ndarray, "e T"]:
    table = np.full(mask.shape, filler)
    table[mask] = values
    return table


def _mask(store: TransitionStore) -> Bool[np.ndarray, "e T"]:
    mask: np.ndarray = np.arange(int(store.lengths.max())) < store.lengths[:, None]
    return mask


def rounds_of(
    store: TransitionStore,
    policy: Policy[Any],
    *,
    greedy: bool = False,
    reward: Float64[np.ndarray, "n"] | None = None,
) -> LoggedRounds:
    """Steps of one item each as independent rounds, with the probability of every candidate under the target policy.

    What an item does to later steps is left out: this is right for episodes of one step, and for the value of the next
    step on the states of the log.

    Args:
        store: the log; slates of one item.
        policy: the target policy, without a memory.
        greedy: judge the policy that takes its most likely action.
        reward: of each step; the log's own if None.

    Raises:
        ValueError: slates have several items, the policy has a memory, or see :func:`log_ratios`.
    """
    problem = store.problem
    if problem.action != "items" or problem.slate_size != 1:
        raise ValueError(f"{problem.name}: rounds need actions of one item, found slates of {problem.slate_size}")
    judge, logged = _judge(policy), _logged(store)
    start: Any = judge.init_state(1, "cpu")
    if len(start):
        raise ValueError(f"{type(policy).__name__} has a memory: evaluate it on trajectories")
    target = np.empty((len(logged), problem.num_candidates))
    for begin in range(0, len(logged), _EPISODES):
        points = store.steps[begin : begin + _EPISODES]
        seen = store.observations(points)
        for action in range(problem.num_candidates):
            chosen = torch.full((len(points),), action)
            target[begin : begin + len(points), action] = to_numpy(judge.log_prob(seen, chosen, start, greedy)[0])
    target = np.exp(target)
    target /= target.sum(1, keepdims=True)  # float32 leaves it at 1 within 1e-6 or so
    earned = store.columns["reward"][store.steps].astype(np.float64) if reward is None else reward
    action = store.columns["action"][store.steps][:, 0].astype(np.int64)
    return LoggedRounds(action, earned, np.exp(logged), target)
