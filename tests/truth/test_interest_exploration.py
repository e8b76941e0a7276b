"""Interest exploration against RecSim's formulas in plain numbers, and what it costs not to explore."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recgym.agents import RandomPolicy, ScoredPolicy
from recgym.arrays import from_numpy, take_rows, to_numpy
from recgym.envs.interest_exploration import task
from recgym.evaluation import OneStepOracle, rollout
from recgym.evaluation.baselines import action_spec
from recgym.seeding import make_generator
from recgym.simulators import InterestExploration, InterestExplorationConfig, MultinomialLogit
from recgym.types import Array

USERS, K = 40, 2


def choice(affinity: np.ndarray, topics: list[int], qualities: list[float], none: float = 5.0) -> list[float]:
    """Probability of each document of a slate: exp(affinity + quality), and exp(5) for none."""
    weights = [math.exp(float(affinity[t]) + q) for t, q in zip(topics, qualities, strict=True)]
    return [w / (sum(weights) + math.exp(none)) for w in weights]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_choice_probabilities_in_closed_form(device: str) -> None:
    model = InterestExploration(device=device)
    state = model.sample_users(USERS, make_generator(0, "users", device=device))
    slate = np.stack([np.random.default_rng(u).permutation(model.num_items)[:K] for u in range(USERS)])
    found = to_numpy(model.expected(state, from_numpy(slate, device)).feedback)[..., 0]
    topic, quality, affinity = to_numpy(model.topic), to_numpy(model.quality), to_numpy(state.affinity)
    shown = [([int(topic[i]) for i in row], [float(quality[i]) for i in row]) for row in slate]
    form = np.array([choice(affinity[u], *shown[u]) for u in range(USERS)])
    np.testing.assert_allclose(found, form, rtol=1e-4)
    # No click mass 5 is a logit: as a plain weight it would make users click nearly always.
    wrong = np.array([choice(affinity[u], *shown[u], none=math.log(5.0)) for u in range(USERS)])
    assert (np.abs(wrong / found - 1) > 0.5).all()
    without = np.array([choice(affinity[u], shown[u][0], [0.0] * K) for u in range(USERS)])
    assert (np.abs(without / found - 1) > 0.2).all()


def test_choices_have_these_frequencies() -> None:
    model, draws = InterestExploration(device="numpy"), 5000
    state = model.sample_users(3, make_generator(0, "users", device="numpy"))
    slate = np.array([[1, 2], [3, 4], [5, 6]])
    rows = np.repeat(np.arange(3), draws)
    clicks = model.respond(take_rows(state, rows), slate[rows], make_generator(1, "answers", device="numpy")).feedback
    chances = model.expected(state, slate).feedback[..., 0].astype(np.float64)
    for user in range(3):
        counts = clicks[rows == user, :, 0].sum(0)
        expected = np.append(chances[user], 1 - chances[user].sum()) * draws
        assert stats.chisquare([*counts, draws - counts.sum()], expected).pvalue > 1e-4


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_users_and_documents_have_recsims_distributions(device: str) -> None:
    model = InterestExploration(InterestExplorationConfig(num_documents=20_000), device)
    state = model.sample_users(20_000, make_generator(0, "users", device=device))
    kind, affinity = to_numpy(state.kind), to_numpy(state.affinity)
    assert stats.binomtest(int((kind == 0).sum()), 20_000, 0.3).pvalue > 1e-4
    for user_type, means in enumerate(((0.1, 0.7), (0.7, 0.1))):
        for topic, mean in enumerate(means):
            logs = np.log(affinity[kind == user_type, topic])
            assert stats.kstest(logs, stats.norm(mean, 0.1).cdf).pvalue > 1e-4
    topics, quality = to_numpy(model.topic), to_numpy(model.quality)
    assert stats.binomtest(int((topics == 0).sum()), 20_000, 0.2).pvalue > 1e-4
    for topic, mean in enumerate((0.8, 0.2)):
        assert stats.kstest(np.log(quality[topics == topic]), stats.norm(mean, 0.1).cdf).pvalue > 1e-4


def test_nothing_changes_and_the_horizon_cuts() -> None:
    played = rollout(RandomPolicy(action_spec(task(horizon=7))), task(horizon=7), users=20, seeds=(0,)).episodes
    assert (played.length == 7).all()
    assert played.left[0] == 0


def regret(config: InterestExplorationConfig) -> tuple[float, float]:
    """What showing the best documents for an average user loses to knowing the user, and chance to that, as shares."""
    world = task(slate_size=1, config=config)
    features = to_numpy(world.model.item_features)
    affinity = np.array(config.user_types) @ np.exp(np.array(config.affinity))
    score = features[:, :2] @ affinity + features[:, 2]

    def popular(observation: dict[str, Array]) -> Array:
        return score[observation["candidates"]]

    spec = action_spec(world)
    policies: tuple[Any, ...] = (OneStepOracle, ScoredPolicy(spec, popular), RandomPolicy(spec))
    returns = [
        rollout(policy, world, users=300, seeds=(0,), device="numpy").episodes.reward.mean() for policy in policies
    ]
    return 1 - float(returns[1] / returns[0]), 1 - float(returns[2] / returns[1])


def test_not_to_explore_costs_little_by_default_and_much_in_the_niche() -> None:
    default, niche = regret(InterestExplorationConfig()), regret(InterestExplorationConfig.niche())
    assert default[0] < 0.04
    assert niche[0] > 0.15
    assert default[1] > 0.3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"user_types": (0.5, 0.6)}, "user_types must be probabilities that sum to 1"),
        ({"affinity": ((0.1, 0.7),)}, r"affinity must have 2 rows \(types\) of 2 topics"),
        ({"quality": (0.8,)}, "one value for each of 2 topics"),
    ],
)
def test_parameters_that_do_not_fit(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        InterestExplorationConfig(**settings)  # type: ignore[arg-type]


def test_another_choice_model() -> None:
    eager = InterestExploration(InterestExplorationConfig(choice=MultinomialLogit(-100.0)), "numpy")
    state = eager.sample_users(5, make_generator(0, "users", device="numpy"))
    np.testing.assert_allclose(eager.expected(state, np.tile([0, 1], (5, 1))).feedback.sum((1, 2)), 1, rtol=1e-6)
