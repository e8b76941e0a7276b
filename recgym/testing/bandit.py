"""The contract of :class:`recgym.agents.bandits.Bandit` and :class:`recgym.agents.bandits.SlateBandit`."""

import copy
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy import stats

from recgym.agents.bandits.base import Bandit, BanditSpec, Context, SlateBandit, act, act_slate
from recgym.testing.checks import assert_same, no_global_randomness, untouched

__all__ = ["check_bandit"]

COPIES = 4000
"""Choices from one context, against which propensities are held."""
SIGNIFICANCE = 1e-6
QUADRATURE = 0.006
"""What an exact propensity may be off by."""


def check_bandit(bandit: Bandit[Any] | SlateBandit[Any], spec: BanditSpec, rounds: int = 20, seed: int = 0) -> None:
    """Check that a bandit's choices are legal and its propensities true, and that it learns only from what it is told.

    Args:
        bandit: the bandit.
        spec: a problem that it can learn, of a few arms; R is set by the check.
        rounds: learned from before propensities are looked at.
        seed: of contexts, choices and rewards.

    Raises:
        AssertionError: a promise is broken; the sentence says which.
    """
    spec = spec._replace(replications=3)
    _check_round(bandit, spec, seed)
    _check_mask(bandit, spec, rounds, seed)
    one = spec._replace(replications=1)
    state = _learned(bandit, one, rounds, seed)
    _check_propensities(bandit, one, state, seed)


def _context(spec: BanditSpec, users: int, generator: np.random.Generator, *, allowed: bool = True) -> Context:
    shape = (spec.replications, users)
    may = None
    if allowed:
        may = generator.random((*shape, spec.arms)) < 0.8
        may[..., : max(spec.arms // 2, 1)] = True
    items = generator.standard_normal((*shape, spec.arms, spec.item_width)) if spec.item_width else None
    return Context(generator.standard_normal((*shape, spec.width)), items, may)


def _act(bandit: Any, state: Any, context: Context, generator: np.random.Generator) -> Any:
    return (act if isinstance(bandit, Bandit) else act_slate)(bandit, state, context, generator)


def _rewards(action: np.ndarray, spec: BanditSpec, generator: np.random.Generator) -> Float64[np.ndarray, "*s"]:
    """Clicks; later arms get more of them."""
    drawn: np.ndarray = (generator.random(action.shape) < (action + 1) / (spec.arms + 1)).astype(np.float64)
    return drawn


def _learned(bandit: Any, spec: BanditSpec, rounds: int, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    state = bandit.init_state(spec)
    for _ in range(rounds):
        context = _context(spec, 1, generator, allowed=False)
        action = bandit.choose(state, context, generator)
        state = bandit.update(state, context, action, _rewards(action, spec, generator))
    return state


def _check_round(bandit: Any, spec: BanditSpec, seed: int) -> None:
    """Shapes, legal arms, reproducible choices, nothing touched that is not the bandit's."""
    name, generator = type(bandit).__name__, np.random.default_rng(seed)
    state, context = _learned(bandit, spec, 2, seed), _context(spec, 1, generator)
    with untouched(f"{name}: a choice", context), no_global_randomness(f"{name}: a choice"):
        choice = _act(bandit, state, context, np.random.default_rng(1))
        again = _act(bandit, state, context, np.random.default_rng(1))
    assert_same(tuple(choice), tuple(again), f"{name}: choices differ between two generators of the same seed")
    slates = choice.action[..., None] if choice.action.ndim == 2 else choice.action
    size = 1 if isinstance(bandit, Bandit) else bandit.slate_size
    shape = (spec.replications, 1, size)
    assert slates.shape == shape, f"{name}: choices have shape {slates.shape}, expected {shape}"
    assert context.allowed is not None
    may = np.take_along_axis(context.allowed, slates, 2)
    assert may.all(), f"{name}: chooses an arm that is not allowed"
    distinct = np.diff(np.sort(slates, -1), axis=-1) > 0
    assert distinct.all(), f"{name}: an arm stands in a slate twice"
    legal = np.isfinite(choice.log_propensity) & (choice.log_propensity <= 0)
    assert legal.all(), f"{name}: log propensities are {choice.log_propensity.ravel()}, expected 0 or less"
    reward = _rewards(choice.action, spec, generator)
    with untouched(f"{name}: update()", context, choice, reward), no_global_randomness(f"{name}: update()"):
        bandit.update(state, context, choice.action, reward)


def _check_mask(bandit: Any, spec: BanditSpec, rounds: int, seed: int) -> None:
    """Rewards where there is nothing to learn have no say."""
    name, states = type(bandit).__name__, []
    context = _context(spec, 1, np.random.default_rng(seed))
    for reward in (0.0, 1.0):
        state = _learned(bandit, spec, rounds, seed)
        action = bandit.choose(state, context, np.random.default_rng(2))
        nothing = np.zeros((spec.replications, 1), bool)
        state = bandit.update(state, context, action, np.full(action.shape, reward), nothing)
        states.append(_act(bandit, state, context, np.random.default_rng(3)))
    assert_same(tuple(states[0]), tuple(states[1]), f"{name}: learns from a masked reward")


def _check_propensities(bandit: Any, spec: BanditSpec, state: Any, seed: int) -> None:
    """How often each arm, or the first slate, is chosen, against its propensity."""
    name, generator = type(bandit).__name__, np.random.default_rng(seed)
    context = _context(spec, 1, generator)
    many = context.repeated(COPIES, 1)
    frozen = copy.deepcopy(state)
    drawn = bandit.choose(frozen, many, generator)[0]
    if isinstance(bandit, Bandit):
        table = bandit.probabilities(frozen, context, generator)
        total = table.sum(-1)
        assert np.allclose(total, 1, atol=1e-6), f"{name}: probabilities sum to {total.ravel()[0]:.6g}"
        counts = np.bincount(drawn, minlength=spec.arms)
        _compare(counts, table[0, 0], _slack(bandit), name)
        return
    slate = drawn[:1][None]
    chance = float(bandit.probability(frozen, context, slate, generator)[0, 0])
    hits = int((drawn == slate[0]).all(-1).sum())
    _compare(np.array([hits, COPIES - hits]), np.array([chance, 1 - chance]), _slack(bandit), name)


def _slack(bandit: Any) -> float:
    """What a propensity may be off by: of the quadrature, or five standard errors of the Monte-Carlo share."""
    return QUADRATURE if bandit.exact else 2.5 / float(bandit.draws) ** 0.5


def _compare(counts: Int64[np.ndarray, "A"], claimed: Float64[np.ndarray, "A"], slack: float, name: str) -> None:
    """Every count within what chance and the slack of its probability allow."""
    for arm, (count, chance) in enumerate(zip(counts.tolist(), claimed.tolist(), strict=True)):
        low, high = max(chance - slack, 0.0), min(chance + slack, 1.0)
        unlikely = stats.binom.sf(count - 1, COPIES, high) if count > chance * COPIES else 1.0
        unlikely = min(unlikely, stats.binom.cdf(count, COPIES, low) if count < chance * COPIES else 1.0)
        assert unlikely >= SIGNIFICANCE, (
            f"{name}: choice {arm} was made {count} times in {COPIES}, its propensity says {chance * COPIES:.5g}"
        )
