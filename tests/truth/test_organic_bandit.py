"""OrganicBandit against RecoGym's formulas: clicks, visits, the chain between them, and what the history shows."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recgym.agents import RandomPolicy, ScoredPolicy
from recgym.arrays import from_numpy, full, take_rows, to_numpy, zeros
from recgym.envs import Simulation, Task
from recgym.envs.organic_bandit import task
from recgym.evaluation import OneStepOracle, rollout
from recgym.evaluation.baselines import action_spec
from recgym.seeding import make_generator
from recgym.simulators import OrganicBandit, OrganicBanditConfig
from recgym.simulators.organic_bandit import OrganicState
from recgym.types import Array, Response


def sig(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def ctr(score: float) -> float:
    """RecoGym's map with its constants 5, 2, 0.3, 2 and 6."""
    return sig(5 * sig(2 * sig(0.3 * score) - 2) - 6)


def products(model: OrganicBandit) -> tuple[np.ndarray, np.ndarray]:
    vectors, popularity = model._organic
    return to_numpy(vectors).T.astype(np.float64), to_numpy(popularity).astype(np.float64)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_click_rates_in_closed_form(device: str) -> None:
    model = OrganicBandit(device=device)
    state = model.sample_users(30, make_generator(0, "users", device=device))
    slate = np.tile([2, 7], (30, 1))
    found = to_numpy(model.expected(state, from_numpy(slate, device)).feedback)
    vectors, popularity = products(model)
    for user, interests in enumerate(to_numpy(state.interests)):
        form = [ctr(float(vectors[item] @ interests + popularity[item])) for item in (2, 7)]
        np.testing.assert_allclose(found[user, :, 0], form, rtol=1e-4)
    assert not found[..., 1].any(), "a recommendation is no view"
    assert 0.004 < found[..., 0].min() < found[..., 0].max() < 0.03


def test_flips_recommend_a_product_as_a_similar_one() -> None:
    plain, flipped = OrganicBandit(device="numpy"), OrganicBandit(OrganicBanditConfig(flips=2), "numpy")
    moved = [i for i in range(10) if not np.array_equal(plain._bandit[0][i], flipped._bandit[0][i])]
    assert len(moved) == 4
    vectors, _ = products(plain)
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    first, second = np.unravel_index(similar.argmax(), similar.shape)
    np.testing.assert_array_equal(flipped._bandit[0][first], plain._bandit[0][second])
    np.testing.assert_array_equal(flipped._organic[0], plain._organic[0])
    with pytest.raises(ValueError, match=r"flips must be in 0\.\.5 \(pairs of products\), found 6"):
        OrganicBanditConfig(flips=6)


def alike(model: OrganicBandit, n: int, device: str) -> OrganicState:
    """Users who are all the same."""
    one = model.sample_users(1, make_generator(0, "users", device=device))
    return take_rows(one, zeros((n,), "int64", device))


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_visits_have_geometric_lengths_and_softmax_views(device: str) -> None:
    n = 20_000
    model = OrganicBandit(device=device)
    state = model.sample_users(n, make_generator(3, "users", device=device))
    record = to_numpy(state.record)
    lengths = (record < 10).sum(1)
    counts = np.bincount(np.minimum(lengths, 15), minlength=16)[1:]
    chances = np.append(stats.geom(0.26).pmf(np.arange(1, 15)), stats.geom(0.26).sf(14))
    assert stats.chisquare(counts, chances * n).pvalue > 1e-4
    assert (np.diff((record < 10).astype(int), axis=1) >= 0).all(), "right-aligned"

    same = alike(model, n, device)
    _, popularity = products(model)
    vectors, _ = products(model)
    # After a click a visit is certain, and its first view comes with the interests as they were.
    clicked = np.zeros((n, 1, 2), dtype=np.float32)
    clicked[:, 0, 0] = 1
    slate = full((n, 1), 0, "int64", device)
    generator = make_generator(4, "visits", device=device)
    after = model.advance(same, slate, Response(from_numpy(clicked, device)), generator)
    # The chain itself leads to one visit in 20, which begins with a step of the walk; it is small beside the rest.
    first = to_numpy(after.views)[:, 0]
    interests = to_numpy(same.interests)[0].astype(np.float64)
    weights = np.exp(vectors @ interests + popularity)
    chances = weights / weights.sum()
    keep = chances * n > 20
    counts = np.bincount(first, minlength=10)
    observed, expected = np.append(counts[keep], counts[~keep].sum()), np.append(chances[keep], chances[~keep].sum())
    assert stats.chisquare(observed, expected * n).pvalue > 1e-4
    wrong = np.exp(popularity) / np.exp(popularity).sum()
    assert np.abs(wrong - chances).max() > 0.05, "leaving out the interests would be noticed"


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_the_chain_between_recommendations_visits_and_the_end(device: str) -> None:
    n = 40_000
    model = OrganicBandit(device=device)
    state = alike(model, n, device)
    slate, generator = full((n, 1), 0, "int64", device), make_generator(5, "chain", device=device)
    ignored = Response(zeros((n, 1, 2), "float32", device))
    after = model.advance(state, slate, ignored, generator)
    visited, left = to_numpy(after.views)[:, 0] < 10, to_numpy(after.left)
    assert stats.binomtest(int(visited.sum()), n, 0.05).pvalue > 1e-4
    assert stats.binomtest(int((left & ~visited).sum()), n, 0.01).pvalue > 1e-4
    assert stats.binomtest(int((left & visited).sum()), int(visited.sum()), 0.01 / 0.26).pvalue > 1e-4
    moved = to_numpy(after.interests) != to_numpy(state.interests)
    np.testing.assert_array_equal(moved.any(1), visited)
    lengths = (to_numpy(after.views) < 10).sum(1)
    walk = (to_numpy(after.interests) - to_numpy(state.interests))[visited]
    scaled = walk / (0.1 * np.sqrt(lengths[visited]))[:, None]
    assert stats.kstest(scaled.ravel(), "norm").pvalue > 1e-4, "a step of the walk before every view"


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_the_history_shows_views_between_recommendations(device: str) -> None:
    users = 300
    simulation = Simulation(task(window=24), users, device=device, seed=0)
    simulation.reset()
    model = simulation.model
    assert isinstance(model, OrganicBandit)
    events = [[(int(i), "view") for i in row if i < 10] for row in to_numpy(simulation.users.record)]
    clock, some_visits = np.zeros(users), 0
    for step in range(80):
        transition = simulation.step(full((users,), step % 10, "int64", device))
        assert transition.visit is not None
        views, clicks = to_numpy(transition.visit.items), to_numpy(transition.response.feedback)[:, 0, 0]
        for user in range(users):
            if clicks[user]:
                events[user].append((step % 10, "click"))
            events[user] += [(int(i), "view") for i in views[user] if i < 10]
        lengths = (views < 10).sum(1)
        some_visits += int((lengths > 0).sum())
        clock += 1 + lengths
        np.testing.assert_allclose(to_numpy(simulation.clock_s), clock)
        np.testing.assert_allclose(to_numpy(transition.time_s), clock - lengths)
    assert some_visits > 500
    history = simulation.history()
    items, feedback, mask = (to_numpy(part) for part in (history.items, history.feedback, history.mask))
    for user in range(users):
        kept = [
            (int(i), "click" if f[0] else "view") for i, f in zip(items[user], feedback[user], strict=True) if i < 10
        ]
        assert kept == events[user][-24:]
    times = np.where(mask, to_numpy(history.time_s), -1e9)
    assert (np.diff(times, axis=1) >= 0).all()
    assert (times[:, -1] <= clock).all()


def test_views_tell_what_is_clicked() -> None:
    """What users viewed is a good guide to what they click; with every product flipped, a bad one."""
    shares = {}
    for flips in (0, 5):
        world = task(flips=flips)

        def viewed(observation: dict[str, Array]) -> Array:
            items, seen = observation["history_items"], observation["history_feedback"][..., 1]
            counts = np.zeros((items.shape[0], 11))
            np.add.at(counts, (np.arange(items.shape[0])[:, None], items), seen)
            return counts[:, :10]

        rates = []
        policies: tuple[Any, ...] = ScoredPolicy(action_spec(world), viewed), RandomPolicy(action_spec(world))
        for policy in (*policies, OneStepOracle):
            episodes = rollout(policy, world, users=600, seeds=(0,), device="numpy").episodes
            rates.append(episodes.feedback[..., 0].sum() / episodes.length.sum())
        guided, chance, best = rates
        assert 0.007 < chance < 0.02
        shares[flips] = (guided - chance) / (best - chance)
    assert shares[0] > 0.6
    assert shares[5] < 0.4


def test_organic_rows_of_a_log_have_no_slate() -> None:
    world = task()
    log = rollout(RandomPolicy(action_spec(world)), world, users=200, seeds=(0,), record=True).to_log()
    frame = log.frame
    views = frame.filter(frame["view"] == 1)
    assert views["slate"].null_count() == views.height > 200
    assert views["propensity"].null_count() == views.height
    shown = frame.filter(frame["slate"].is_not_null())
    assert shown["view"].sum() == 0
    assert shown["propensity"].to_numpy() == pytest.approx(0.1)
    before = frame.filter(frame["time_s"] < 0)
    assert before.height == before["view"].sum()
    assert frame["session"].n_unique() == frame["user"].n_unique() == 200


def test_a_window_of_one_is_too_small_for_visits() -> None:
    world: Task = task(window=1)
    with pytest.raises(ValueError, match="need a window of at least 2, found 1"):
        Simulation(world, 2)
