"""Interest evolution against a plain-Python port of the published formulas, user by user."""

import numpy as np
import pytest
from scipy import stats

from recgym.arrays import from_numpy, to_numpy
from recgym.seeding import make_generator
from recgym.simulators import InterestEvolution, InterestEvolutionConfig
from recgym.simulators.interest_evolution import InterestState
from recgym.types import Response
from tests.simulators.recsim import User, Video

USERS, K = 60, 3


def world(device: str) -> tuple[InterestEvolution, InterestState, np.ndarray, list[User], list[list[Video]]]:
    """The model, its users and their slates, and the same in the port."""
    model = InterestEvolution(InterestEvolutionConfig(num_documents=300), device)
    state = model.sample_users(USERS, make_generator(0, "users", device=device))
    rng = np.random.default_rng(0)
    budget = rng.choice([200.0, 30.0, 2.5], size=USERS).astype(np.float32)  # some have less than a video left
    state = state._replace(budget=from_numpy(budget, device))
    slate = np.stack([rng.permutation(300)[:K] for _ in range(USERS)])
    topics, qualities = to_numpy(model.topic), to_numpy(model.quality)
    users = [User(to_numpy(state.interests)[u].tolist(), float(budget[u])) for u in range(USERS)]
    videos = [[Video(int(topics[item]), float(qualities[item])) for item in row] for row in slate]
    return model, state, slate, users, videos


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_expected_feedback_is_the_choice_and_the_minutes(device: str) -> None:
    model, state, slate, users, videos = world(device)
    found = to_numpy(model.expected(state, from_numpy(slate, device)).feedback)
    for u, (user, shown) in enumerate(zip(users, videos, strict=True)):
        chances = user.choice(shown)[:-1]
        np.testing.assert_allclose(found[u, :, 0], chances, rtol=1e-4)
        minutes = [chance * user.watch(video) for chance, video in zip(chances, shown, strict=True)]
        np.testing.assert_allclose(found[u, :, 1], minutes, rtol=1e-4)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_choices_have_the_frequencies_of_the_port(device: str) -> None:
    model, state, slate, users, videos = world(device)
    draws, generator = 3000, make_generator(1, "answers", device=device)
    rows = np.repeat(np.arange(4), draws)
    many = InterestState(*(part[from_numpy(rows, device)] for part in state))
    feedback = to_numpy(model.respond(many, from_numpy(slate[rows], device), generator).feedback)
    click, watch = feedback[..., 0], feedback[..., 1]
    assert (click.sum(axis=1) <= 1).all()
    for u in range(4):
        mine = click[rows == u].sum(axis=0)
        counts = [*mine, draws - mine.sum()]
        expected = np.array(users[u].choice(videos[u])) * draws
        assert stats.chisquare(counts, expected * (draws / expected.sum())).pvalue > 1e-4
        assert set(np.unique(watch[rows == u])) == {0.0, np.float32(users[u].watch(videos[u][0]))}


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_interests_and_budgets_move_as_in_the_port(device: str) -> None:
    model, state, slate, users, videos = world(device)
    copies, generator = 400, make_generator(2, "moves", device=device)
    clicked = np.arange(USERS) % (K + 1)  # position K: nothing is clicked
    click = (np.arange(K) == clicked[:, None]).astype(np.float32)
    watch = click * np.array(
        [[user.watch(shown[0])] for user, shown in zip(users, videos, strict=True)], dtype=np.float32
    )
    response = np.stack([click, watch], axis=-1)
    rises = np.zeros(USERS)
    for _ in range(copies):
        answer = Response(from_numpy(response, device))
        after = model.advance(state, from_numpy(slate, device), answer, generator)
        interests, budget = to_numpy(after.interests), to_numpy(after.budget)
        for u, user in enumerate(users):
            video = videos[u][clicked[u]] if clicked[u] < K else None
            assert budget[u] == pytest.approx(user.budget_after(video), rel=1e-5, abs=1e-4)
            expected = np.array(user.interests)
            if video is not None:
                _, up, down = user.moves(video)
                moved = float(interests[u, video.topic])
                rose = abs(moved - up) < 1e-5
                assert rose or abs(moved - down) < 1e-5
                rises[u] += rose
                expected[video.topic] = moved
            np.testing.assert_allclose(interests[u], expected, atol=1e-6)
    for u, user in enumerate(users):
        if clicked[u] < K and abs(user.moves(videos[u][clicked[u]])[1] - user.moves(videos[u][clicked[u]])[2]) > 1e-4:
            chance = user.moves(videos[u][clicked[u]])[0]
            assert stats.binomtest(int(rises[u]), copies, min(max(chance, 0.0), 1.0)).pvalue > 1e-5


def test_a_user_alone_moves_as_in_the_port() -> None:
    """One user is the case that numpy arrays are slow for, and may take another way through the same formulas."""
    model, state, slate, users, videos = world("numpy")
    generator = make_generator(3, "moves", device="numpy")
    for u, (user, shown) in enumerate(zip(users, videos, strict=True)):
        one, offered = InterestState(*(part[u : u + 1] for part in state)), slate[u : u + 1]
        np.testing.assert_allclose(model.expected(one, offered).feedback[0, :, 0], user.choice(shown)[:-1], rtol=1e-4)
        response = model.respond(one, offered, generator)
        clicked = np.flatnonzero(response.feedback[0, :, 0])
        video = shown[clicked[0]] if clicked.size else None
        after = model.advance(one, offered, response, generator)
        assert after.budget[0] == pytest.approx(user.budget_after(video), rel=1e-5, abs=1e-4)
        expected = np.array(user.interests)
        if video is not None:
            assert response.feedback[0, clicked[0], 1] == pytest.approx(user.watch(video))
            moved = float(after.interests[0, video.topic])
            assert min(abs(moved - interest) for interest in user.moves(video)[1:]) < 1e-5
            expected[video.topic] = moved
        np.testing.assert_allclose(after.interests[0], expected, atol=1e-6)


def test_the_catalogue_has_the_published_qualities() -> None:
    model = InterestEvolution(InterestEvolutionConfig(num_documents=40_000))
    topics, quality = to_numpy(model.topic), to_numpy(model.quality)
    means = np.concatenate([np.linspace(-3, 0, 14), np.linspace(0, 3, 6)])
    for topic in range(20):
        mine = quality[topics == topic]
        assert mine.mean() == pytest.approx(means[topic], abs=0.02)
        assert mine.std() == pytest.approx(0.1, abs=0.01)
    assert stats.chisquare(np.bincount(topics, minlength=20)).pvalue > 1e-4
    np.testing.assert_array_equal(to_numpy(model.item_features).argmax(axis=1), topics)
    assert (to_numpy(model.item_features).sum(axis=1) == 1).all()


def test_users_start_with_uniform_interests_and_the_same_budget() -> None:
    model = InterestEvolution(InterestEvolutionConfig(num_documents=10))
    state = model.sample_users(5000, make_generator(0, "users"))
    assert stats.kstest(to_numpy(state.interests).ravel()[::7], "uniform", args=(-1, 2)).pvalue > 1e-4
    assert (to_numpy(state.budget) == 200).all()
    assert not to_numpy(model.has_left(state)).any()
    assert to_numpy(model.has_left(state._replace(budget=state.budget - 200))).all()


def test_the_documents_depend_on_the_seed_alone() -> None:
    first, again, other = (
        InterestEvolution(InterestEvolutionConfig(50, seed=seed), device)
        for seed, device in ((1, "cpu"), (1, "numpy"), (2, "cpu"))
    )
    np.testing.assert_array_equal(to_numpy(first.quality), to_numpy(again.quality))
    assert (to_numpy(first.quality) != to_numpy(other.quality)).any()


@pytest.mark.parametrize("config", [InterestEvolutionConfig(num_documents=0), InterestEvolutionConfig(num_topics=1)])
def test_a_world_that_cannot_be_is_refused(config: InterestEvolutionConfig) -> None:
    with pytest.raises(ValueError, match="a catalogue needs at least 1 document and 2 topics"):
        InterestEvolution(config)
