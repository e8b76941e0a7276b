"""Top-K correction on bandits whose best slates are known (arXiv 1812.02353, section 4.3)."""

from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents.offline import OfflineAgent, ReinforceConfig
from recgym.agents.offline.reinforce import top_k_weight
from recgym.agents.sb3 import NetworkConfig
from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.data.transitions import Problem, TransitionStore, in_memory

REWARDS = np.array([10.0, 9.0, 1.0, 1.0, 1.0, 1.0], dtype=np.float32)


def _bandit(behaviour: np.ndarray, steps: int = 20_000) -> TransitionStore:
    """One step an episode, one observation for all, one item of six a step."""
    schema = FeedbackSchema((Channel("gain", ChannelKind.DURATION),))
    problem = Problem(schema, 6, 6, 1, 1, candidates_vary=False, flat=1)
    action = np.random.default_rng(0).choice(6, p=behaviour, size=steps)
    points = 2 * steps
    block: dict[str, Any] = {
        name: np.zeros(points)
        for name in ("user", "clock_s", "time_s", "session", "step", "session_step", "away_s", "first_event",
                     "last_event", "reward", "log_propensity", "return_gap_s", "truncated")
    }  # fmt: skip
    block |= {name: np.zeros((points, 0)) for name in ("profile", "candidates", "costs")}
    block |= {"flat": np.ones((points, 1)), "terminated": np.zeros(points, bool)}
    block |= {"action": np.zeros((points, 1)), "slate": np.zeros((points, 1)), "feedback": np.zeros((points, 1, 1))}
    block["action"][::2, 0] = block["slate"][::2, 0] = action
    block["reward"][::2] = block["feedback"][::2, 0, 0] = REWARDS[action]
    block["log_propensity"][::2] = np.log(behaviour[action])
    block["terminated"][::2] = True
    block["user"] = np.arange(points) // 2
    block |= {"event_items": np.zeros(0), "event_feedback": np.zeros((0, 1)), "event_time_s": np.zeros(0),
              "event_point": np.zeros(0)}  # fmt: skip
    block["episodes"] = np.stack([np.arange(0, points, 2), np.arange(1, points, 2)], -1)
    return in_memory(problem, np.zeros((6, 0), np.float32), block)


def _learned(store: TransitionStore, **settings: Any) -> np.ndarray:
    config = ReinforceConfig(gamma=0.0, learning_rate=1e-2, network=NetworkConfig(hidden=(8,)), **settings)
    agent = OfflineAgent.of(config, store).fit(store, 800)
    with torch.no_grad():
        actor: Any = agent.learner.actor  # type: ignore[attr-defined]
        probability: np.ndarray = actor.log_probability(store.observations(store.steps[:1])).exp()[0].numpy()
    return probability


def _best_mass(k: int) -> np.ndarray:
    """The policy that maximises ``sum_a (1 - (1 - pi_a)^K) r_a``, by gradient ascent on the simplex."""
    logits = torch.zeros(6, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.05)
    for _ in range(3000):
        pi = logits.softmax(0)
        loss = -((1 - (1 - pi) ** k) * torch.as_tensor(REWARDS)).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    best: np.ndarray = logits.softmax(0).detach().numpy()
    return best


UNIFORM = np.full(6, 1 / 6)
SKEWED = np.array([0.03, 0.07, 0.3, 0.2, 0.2, 0.2])


@pytest.mark.parametrize("behaviour", [UNIFORM, SKEWED], ids=["uniform log", "log of bad items"])
def test_without_correction_all_goes_to_the_best_item(behaviour: np.ndarray) -> None:
    assert _learned(_bandit(behaviour), top_k=1, cap=100.0)[0] > 0.95


@pytest.mark.parametrize("behaviour", [UNIFORM, SKEWED], ids=["uniform log", "log of bad items"])
def test_the_correction_shares_between_the_best_two(behaviour: np.ndarray) -> None:
    learned, best = _learned(_bandit(behaviour), top_k=2, cap=100.0), _best_mass(2)
    assert best[:2] == pytest.approx([0.55, 0.45], abs=0.05)
    assert learned[:2].sum() > 0.95
    assert learned[:2] == pytest.approx(best[:2], abs=0.12)


def test_propensities_are_learned_where_the_log_lacks_them() -> None:
    learned = _learned(_bandit(SKEWED), top_k=1, cap=100.0, logged=False)
    assert learned[0] > 0.95


def test_without_importance_weights_a_skewed_log_misleads() -> None:
    # A cap near 0 leaves every weight the same, so items count by how often they were shown: the wrong variant.
    behaviour = np.array([0.02, 0.3, 0.17, 0.17, 0.17, 0.17])
    assert _learned(_bandit(behaviour), top_k=1, cap=1e-3)[0] < 0.1
    assert _learned(_bandit(behaviour), top_k=1, cap=100.0)[0] > 0.9


def test_the_weight_is_the_derivative_of_the_chance_to_be_shown() -> None:
    pi = torch.linspace(0.01, 0.99, 9, requires_grad=True)
    for k in (1, 2, 5):
        (gradient,) = torch.autograd.grad((1 - (1 - pi) ** k).sum(), pi)
        torch.testing.assert_close(gradient, top_k_weight(pi, k).detach())
