"""Constrained agents on a bandit of one state and four actions, where every optimum can be worked out by hand."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents.constrained import (
    BasisConfig,
    MultiplierConfig,
    OfflineA2CConfig,
    PPOLagrangianConfig,
    RCPOConfig,
    Responses,
    TSCACConfig,
    min_norm,
)
from recgym.agents.offline import OfflineAgent
from recgym.agents.sb3.config import NetworkConfig
from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.data.transitions import Problem, TransitionStore, in_memory, point_columns

MAIN = np.array([1.0, 0.0, 2.0, 3.0])
FIRST = np.array([3.0, 1.0, 1.0, 0.0])
SECOND = np.array([0.0, 2.0, 1.0, 0.5])
BEHAVIOUR = np.array([0.4, 0.3, 0.2, 0.1])
POLICIES = np.array([[0.6, 0.2, 0.15, 0.05], [0.1, 0.5, 0.3, 0.1]])
"""Two auxiliary policies, set by hand."""


def bandit(rounds: int = 10_000) -> TransitionStore:
    """A log of single steps: actions in exact proportion to the behaviour, rewards without noise."""
    names = ("main", "first", "second")
    schema = FeedbackSchema(tuple(Channel(name, ChannelKind.DURATION) for name in names))
    problem = Problem(schema, 4, 4, 1, 1, candidates_vary=False, flat=1)
    action = np.repeat(np.arange(4), (BEHAVIOUR * rounds).astype(int))
    points = 2 * rounds
    block: dict[str, np.ndarray] = {
        name: np.zeros((0 if name.startswith("event_") else points, *shape), dtype)
        for name, (dtype, shape) in point_columns(problem).items()
    }
    block["user"] = np.arange(points) // 2
    block["action"][::2, 0] = action
    block["slate"][::2, 0] = action
    block["feedback"][::2, 0] = np.stack([MAIN, FIRST, SECOND], 1)[action]
    block["log_propensity"][::2] = np.log(BEHAVIOUR)[action]
    block["terminated"][::2] = True
    block["event_point"] = np.zeros(0, np.int64)
    block["episodes"] = np.stack([np.arange(rounds) * 2, np.arange(rounds) * 2 + 1], 1)
    return in_memory(problem, np.zeros((4, 0), np.float32), block)


STORE = bandit()
BASIS = BasisConfig(
    Responses("main", ("first", "second"), costs=()), clone_updates=40, batch_size=512, actor_rate=1e-2,
    critic_rate=1e-2, ratio_cap=20.0,
)  # fmt: skip
SMALL = NetworkConfig(hidden=(8,))


def probabilities(network: Any) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = network(torch.zeros(1, 1)).logits[0, 0].softmax(-1).numpy()
    return found


def spread(values: np.ndarray) -> float:
    """Standard deviation of a response in the log."""
    return float(np.sqrt(BEHAVIOUR @ (values - BEHAVIOUR @ values) ** 2))


def optimum(lambdas: tuple[float, ...], policies: np.ndarray = POLICIES) -> np.ndarray:
    """``pi* ~ prod pi_i^(l_i / L) exp(A_1 / L)``; the value of the only state falls out of it."""
    share = np.array(lambdas) / sum(lambdas)
    odds = np.prod(policies ** share[:, None], 0) * np.exp(MAIN / spread(MAIN) / sum(lambdas))
    found: np.ndarray = odds / odds.sum()
    return found


@cache
def near(lambdas: tuple[float, ...]) -> np.ndarray:
    return learned(lambdas, POLICIES)


def learned(lambdas: tuple[float, ...], policies: np.ndarray) -> np.ndarray:
    """What TSCAC's actor comes to near auxiliary policies that are set by hand."""
    config = TSCACConfig(lambdas, stage1_updates=0, weight_cap=1e3, basis=BASIS, network=SMALL)
    agent = OfflineAgent.of(config, STORE, seed=1).fit(STORE, BASIS.clone_updates)
    for actor, wanted in zip(agent.learner.auxiliary, policies, strict=True):  # type: ignore[attr-defined]
        with torch.no_grad():
            actor.head.query.weight.zero_()
            actor.head.query.bias.copy_(torch.from_numpy(np.log(wanted)))
    agent.fit(STORE, BASIS.clone_updates + 160)
    return probabilities(agent.learner.actor)  # type: ignore[attr-defined]


@pytest.mark.parametrize("lambdas", [(1.0, 1.0), (0.5, 2.0)])
def test_the_actor_comes_to_the_closed_form(lambdas: tuple[float, float]) -> None:
    found, wanted = near(lambdas), optimum(lambdas)
    np.testing.assert_allclose(found, wanted, atol=0.025)
    share = np.array(lambdas) / sum(lambdas)
    mixed = share @ POLICIES * np.exp(MAIN / spread(MAIN) / sum(lambdas))
    wrong = {
        "one weighted policy in place of one for each": mixed / mixed.sum(),
        "the other way round": optimum(lambdas[::-1]) if lambdas[0] != lambdas[1] else optimum((3.0, 1.0)),
        "advantages that are not divided": optimum(tuple(share)),
    }
    for name, other in wrong.items():
        assert np.abs(found - other).max() > 2 * np.abs(found - wanted).max(), name


def test_one_weighted_policy_is_told_apart() -> None:
    """Policies that hardly overlap: their product and their mean are far from each other."""
    apart = np.array([[0.7, 0.28, 0.01, 0.01], [0.01, 0.28, 0.7, 0.01]])
    found = learned((2.0, 2.0), apart)
    odds = apart.mean(0) * np.exp(MAIN / spread(MAIN) / 4)
    np.testing.assert_allclose(found, optimum((2.0, 2.0), apart), atol=0.03)
    assert np.abs(found - odds / odds.sum()).max() > 0.15


def test_larger_lambdas_keep_the_policy_nearer() -> None:
    def distance(policy: np.ndarray) -> float:
        return float(sum(policy @ np.log(policy / other) for other in POLICIES))

    found = [near((size, size)) for size in (0.6, 1.0, 4.0)]
    distances, values = [distance(policy) for policy in found], [float(policy @ MAIN) for policy in found]
    assert distances[0] > distances[1] + 0.05 > distances[2] + 0.1
    assert values[0] > values[1] + 0.05 > values[2] + 0.1
    expected = [distance(optimum((size, size))) for size in (0.6, 1.0, 4.0)]
    np.testing.assert_allclose(distances, expected, rtol=0.15, atol=0.05)


def test_each_auxiliary_policy_is_good_for_its_own_response() -> None:
    config = TSCACConfig(stage1_updates=80, basis=BASIS, network=SMALL)
    agent = OfflineAgent.of(config, STORE).fit(STORE, BASIS.clone_updates + 80)
    first, second = (probabilities(actor) for actor in agent.learner.auxiliary)  # type: ignore[attr-defined]
    assert first.argmax() == 0
    assert second.argmax() == 1
    assert first @ FIRST > BEHAVIOUR @ FIRST + 0.3
    assert second @ SECOND > BEHAVIOUR @ SECOND + 0.3


def test_an_anchored_policy_stays_with_the_log() -> None:
    config = TSCACConfig(stage1_updates=80, anchor=50.0, basis=BASIS, network=SMALL)
    agent = OfflineAgent.of(config, STORE).fit(STORE, BASIS.clone_updates + 80)
    for actor in agent.learner.auxiliary:  # type: ignore[attr-defined]
        np.testing.assert_allclose(probabilities(actor), BEHAVIOUR, atol=0.03)


def rival(config: Any, updates: int) -> np.ndarray:
    agent = OfflineAgent.of(config, STORE).fit(STORE, BASIS.clone_updates + updates)
    return probabilities(agent.learner.actor)  # type: ignore[attr-defined]


def test_a_weighted_sum_goes_to_its_best_action() -> None:
    small = rival(OfflineA2CConfig((0.01,), BASIS, SMALL), 100)
    large = rival(OfflineA2CConfig((5.0, 0.0), BASIS, SMALL), 100)
    assert small.argmax() == MAIN.argmax()
    assert large.argmax() == FIRST.argmax()


@pytest.mark.parametrize("per_response", [False, True])
def test_multipliers_make_up_for_what_falls_short(per_response: bool) -> None:
    """Without them the main response takes all, and the first falls far below the log's."""
    multipliers = MultiplierConfig(initial=0.0, rate=0.05)
    free = MultiplierConfig(initial=0.0, rate=0.0)
    config = RCPOConfig(per_response, multipliers, BASIS, SMALL)
    bound = rival(config, 160)
    unbound = rival(replace(config, multipliers=free), 160)
    assert unbound @ FIRST < 0.6 * (BEHAVIOUR @ FIRST)
    assert bound @ FIRST > unbound @ FIRST + 0.25


def test_clipped_ratios_hold_the_policy_near_the_log() -> None:
    config = PPOLagrangianConfig(0.2, MultiplierConfig(initial=0.0, rate=0.0), BASIS, SMALL)
    found = rival(config, 100)
    assert found @ MAIN > BEHAVIOUR @ MAIN + 0.1
    assert (found / BEHAVIOUR).max() < 2 < (rival(replace(config, clip=0.95), 100) / BEHAVIOUR).max()


def test_the_shortest_vector_of_a_hull() -> None:
    gradients = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    weights = min_norm(gradients @ gradients.T)
    np.testing.assert_allclose(weights, [0.8, 0.2], atol=1e-6)
    opposed = torch.tensor([[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 3.0, 1.0]], dtype=torch.float64)
    weights = min_norm(opposed @ opposed.T)
    direction = weights @ opposed
    # Along it every gradient has a product of at least its squared length: no loss rises.
    assert float((opposed @ direction).min()) >= float(direction @ direction) - 1e-6
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.0], atol=1e-6)
