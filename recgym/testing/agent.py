"""The contract of :class:`recgym.agents.base.Policy`."""

import copy
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from recgym.agents.base import ActionSpec, LikelihoodPolicy, Policy
from recgym.arrays import device_of, from_numpy, to_numpy
from recgym.seeding import make_generator
from recgym.testing.checks import assert_same, difference, no_global_randomness
from recgym.types import Array, Decision, Generator

__all__ = ["check_agent"]

COPIES = 4000
"""Draws from each row of the observation, against which propensities are held."""
EXPECTED = 5.0
"""Draws that an action must be expected to get for its count to be compared."""
SIGNIFICANCE = 1e-6
ROUNDING = 1e-4


def check_agent(policy: Policy[Any], spec: ActionSpec, observation: Any, seed: int = 0) -> None:
    """Check that a policy's decisions are legal and that their propensities are true.

    Propensities are held against the frequency of actions when each row of the observation is shown 4000 times; so the
    spec must leave some action likely enough to be counted (at most a few hundred slates). Of a continuous action only
    shape, type and reproducibility are checked.

    Args:
        policy: the policy.
        spec: the actions of its task.
        observation: a batch ``[B, ...]``, as array or dictionary of arrays, as an environment gives it.
        seed: of all draws.

    Raises:
        AssertionError: a promise is broken; the sentence says which.
        ValueError: every action is too rare for its propensity to be checked.
    """
    name = type(policy).__name__
    for greedy in (False, True):
        decision = _check_decision(policy, spec, observation, seed, greedy=greedy)
        _check_likelihood(policy, observation, decision, seed, greedy=greedy)
        if to_numpy(decision.action).dtype.kind == "f":
            continue
        _check_legal(to_numpy(decision.action), spec, name)
        _check_propensities(policy, observation, seed, greedy=greedy)


def _leaf(observation: Any) -> Array:
    return next(iter(observation.values())) if isinstance(observation, dict) else observation


def _generator(observation: Any, purpose: str, seed: int) -> Generator:
    first = _leaf(observation)
    return make_generator(seed, purpose, device="numpy" if isinstance(first, np.ndarray) else str(first.device))


def _act(policy: Policy[Any], observation: Any, purpose: str, seed: int, *, greedy: bool) -> Decision:
    generator = _generator(observation, purpose, seed)
    state = policy.init_state(int(_leaf(observation).shape[0]), device_of(generator))
    return policy.act(observation, state, generator, greedy)[0]


def _check_decision(policy: Policy[Any], spec: ActionSpec, observation: Any, seed: int, *, greedy: bool) -> Decision:
    """Shapes and types; equal seeds give equal decisions; inputs and global randomness are left alone."""
    name, users = type(policy).__name__, int(_leaf(observation).shape[0])
    before = copy.deepcopy(observation)
    with no_global_randomness(f"{name}.act()"):
        decision = _act(policy, observation, "act", seed, greedy=greedy)
        again = _act(policy, observation, "act", seed, greedy=greedy)
    assert_same(before, observation, f"{name}.act() changes the observation")
    assert_same(tuple(decision), tuple(again), f"{name}.act() differs between two generators of the same seed")
    action, log_propensity = to_numpy(decision.action), to_numpy(decision.log_propensity)
    discrete = action.dtype == np.int64
    assert discrete or action.dtype == np.float32, (
        f"{name}: actions have type {action.dtype}, expected int64 or float32"
    )
    shape = (users,) if spec.slate_size == 1 else (users, spec.slate_size)
    legal = action.shape == shape if discrete else action.ndim == 2 and len(action) == users
    assert legal, f"{name}: actions have shape {action.shape}, expected {shape if discrete else (users, 'D')}"
    legal = log_propensity.shape == (users,) and log_propensity.dtype == np.float32
    assert legal, f"{name}: log propensities have shape {log_propensity.shape} and type {log_propensity.dtype}"
    if discrete:
        assert (log_propensity <= 0).all(), f"{name}: a log propensity is {log_propensity.max()}, expected 0 or less"
    return decision


def _check_legal(action: np.ndarray, spec: ActionSpec, name: str) -> None:
    inside = (action >= 0) & (action < spec.num_candidates)
    assert inside.all(), f"{name}: action {action[~inside][0]} is not a candidate index in 0..{spec.num_candidates - 1}"


def _check_likelihood(policy: Policy[Any], observation: Any, decision: Decision, seed: int, *, greedy: bool) -> None:
    """A policy that judges actions gives its own the propensities that it says, and goes on in the same state."""
    if not isinstance(policy, LikelihoodPolicy):
        return
    name, generator = type(policy).__name__, _generator(observation, "act", seed)
    start = policy.init_state(int(_leaf(observation).shape[0]), device_of(generator))
    found, after = policy.log_prob(observation, decision.action, start, greedy)
    apart = np.abs(to_numpy(found) - to_numpy(decision.log_propensity))
    same = (apart <= ROUNDING) | (np.isnan(to_numpy(found)) & np.isnan(to_numpy(decision.log_propensity)))
    assert same.all(), f"{name}.log_prob() of its own action is {to_numpy(found)}, act() said {decision.log_propensity}"
    acted = policy.act(observation, start, _generator(observation, "act", seed), greedy)[1]
    assert_same(tuple(after), tuple(acted), f"{name}.log_prob() leaves another state than act() with the same action")


def _check_propensities(policy: Policy[Any], observation: Any, seed: int, *, greedy: bool) -> None:
    """How often each action is taken, against ``exp(log_propensity)``; certain actions must always be the same."""
    users = int(_leaf(observation).shape[0])
    rows = np.repeat(np.arange(users), COPIES)
    first = _leaf(observation)
    index = rows if isinstance(first, np.ndarray) else from_numpy(rows, str(first.device))
    many = {k: v[index] for k, v in observation.items()} if isinstance(observation, dict) else observation[index]
    decision = _act(policy, many, "frequency", seed, greedy=greedy)
    actions = to_numpy(decision.action).reshape(users, COPIES, -1)
    claimed = np.exp(to_numpy(decision.log_propensity).astype(np.float64)).reshape(users, COPIES)
    name = f"{type(policy).__name__}, {'greedy' if greedy else 'sampled'}"
    counted = [_check_row(actions[user], claimed[user], f"{name}, row {user}") for user in range(users)]
    if not any(counted):
        raise ValueError(
            f"{name}: no action of the spec is expected {EXPECTED:g} times in {COPIES} draws; "
            "use fewer candidates or a shorter slate"
        )
    if greedy and (claimed == 1).all():
        one = _act(policy, observation, "one", seed, greedy=True).action
        other = _act(policy, observation, "other", seed, greedy=True).action
        found = difference(one, other)
        assert found is None, f"{name}: the log propensity is 0, but the action depends on the generator: {found}"


def _check_row(actions: Int64[np.ndarray, "n K"], claimed: Float64[np.ndarray, "n"], where: str) -> bool:
    """A chi-square test of the counts of likely actions and of all others together; returns whether any was likely."""
    kinds, first, kind, counts = np.unique(actions, axis=0, return_index=True, return_inverse=True, return_counts=True)
    propensity = claimed[first]
    apart = np.abs(claimed - propensity[kind.reshape(-1)])
    assert (apart <= ROUNDING).all(), f"{where}: the same action has two propensities from the same observation"
    total = float(propensity.sum())
    assert total <= 1 + ROUNDING, (
        f"{where}: the propensities of {len(kinds)} actions add up to {total:.6g}, more than 1"
    )
    likely = propensity * len(claimed) >= EXPECTED
    if not likely.any():
        return False
    observed = np.append(counts[likely], counts[~likely].sum()).astype(np.float64)
    expected = np.append(propensity[likely], max(1 - float(propensity[likely].sum()), 0.0)) * len(claimed)
    if expected[-1] < EXPECTED:
        mean = max(expected[-1], ROUNDING * len(claimed))
        chance = float(stats.poisson.sf(observed[-1] - 1, mean))
        sentence = (
            f"{where}: {observed[-1]:g} of {len(claimed)} draws are actions whose propensities leave them {mean:.3g}"
        )
        assert chance >= SIGNIFICANCE, sentence
        observed, expected = observed[:-1], expected[:-1]
    statistic = float(((observed - expected) ** 2 / expected).sum())
    chance = float(stats.chi2.sf(statistic, max(len(observed) - 1, 1)))
    if chance < SIGNIFICANCE:
        worst = int(np.argmax(np.abs(observed - expected) / np.sqrt(expected)))
        which = f"action {kinds[likely][worst].tolist()}" if worst < int(likely.sum()) else "other actions"
        raise AssertionError(
            f"{where}: {which} was drawn {observed[worst]:g} times in {len(claimed)}, "
            f"its propensity says {expected[worst]:.5g}"
        )
    return True
