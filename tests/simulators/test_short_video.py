"""ShortVideo keeps the contract of user models, in one world and in several, and its parts do what they say."""

import numpy as np
import pytest

from recgym.arrays import from_numpy, full, to_numpy
from recgym.envs import RecVectorEnv
from recgym.envs.short_video import task
from recgym.seeding import make_generator
from recgym.simulators import ShortVideo, ShortVideoConfig
from recgym.testing import check_user_model
from recgym.types import Response


@pytest.mark.parametrize(
    "config",
    [
        ShortVideoConfig(num_videos=100),
        ShortVideoConfig(num_videos=100, clickbait_pull=tuple(0.5 * (i % 3) for i in range(32)), patience=(9.0,) * 32),
        ShortVideoConfig.without_conflict(),
    ],
    ids=["one world", "worlds", "no conflict"],
)
def test_contract(config: ShortVideoConfig) -> None:
    check_user_model(ShortVideo(config))


def test_a_catalogue_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 video and 2 topics, found 0 and 10"):
        ShortVideo(ShortVideoConfig(num_videos=0))


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_the_visible_features_are_topics_length_and_glare(device: str) -> None:
    model = ShortVideo(device=device)
    features = to_numpy(model.item_features)
    np.testing.assert_allclose(features[:, :10].sum(1), 1, rtol=1e-6)
    assert ((features[:, :10] > 0).sum(1) == 2).all()
    facts = to_numpy(model._facts)
    np.testing.assert_allclose(np.exp(features[:, 10]) * 20, facts[:, 0], rtol=1e-5)
    glare, quality, hook = features[:, 11], facts[:, 2], facts[:, 3]
    assert np.corrcoef(glare, hook)[0, 1] == pytest.approx(0.7 / np.hypot(0.7, 0.4), abs=0.05)
    for column in features.T:
        assert abs(np.corrcoef(column, quality)[0, 1]) < 0.1, "quality is hidden"


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_a_repeated_topic_tires_and_rest_helps(device: str) -> None:
    model = ShortVideo(device=device)
    state = model.sample_users(50, make_generator(0, "users", device=device))
    slate = full((50, 1), 7, "int64", device)
    feedback = np.zeros((50, 1, 7), dtype=np.float32)
    feedback[:, 0, 0] = to_numpy(model._facts)[7, 0]  # watched to the end
    whole, generator = Response(from_numpy(feedback, device)), make_generator(1, "steps", device=device)
    before = model.expected(state, slate).feedback
    tired = model.advance(state, slate, whole, generator)
    tired = model.advance(tired, slate, whole, generator)
    topics = to_numpy(model.topics)[7]
    np.testing.assert_allclose(to_numpy(tired.fatigue), np.tile(topics * (0.15 * 0.95 + 0.15), (50, 1)), rtol=1e-5)
    same_mood = tired._replace(satisfaction=state.satisfaction)
    assert (to_numpy(model.expected(same_mood, slate).feedback)[..., 0] < to_numpy(before)[..., 0]).all()
    rested = model.come_back(tired, full((50,), 8 * 3600.0, "float64", device), generator)
    np.testing.assert_allclose(to_numpy(rested.fatigue), to_numpy(tired.fatigue) / np.e, rtol=1e-5)
    fade = np.exp(-8 / 24 / 14)
    np.testing.assert_allclose(to_numpy(rested.satisfaction), to_numpy(tired.satisfaction) * fade, rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(rested.temper), to_numpy(state.patience))


def test_worlds_differ_in_what_clickbait_does() -> None:
    model = ShortVideo(ShortVideoConfig(clickbait_pull=(0.0, 2.0) * 200), "numpy")
    state = model.sample_users(400, make_generator(0, "users", device="numpy"))
    hook = model._facts[:, 3]
    group = model.observe(state).group
    assert group is not None
    assert group.tolist() == [0, 1] * 200
    watched = [model.expected(state, np.full((400, 1), item)).feedback[:, 0, 0] for item in np.argsort(hook)[[0, -1]]]
    quiet, loud = (watched[1] / watched[0])[0::2], (watched[1] / watched[0])[1::2]
    assert np.median(loud) > 5 * np.median(quiet)


def test_time_runs_with_what_is_watched() -> None:
    model = ShortVideo(device="numpy")
    state = model.sample_users(20, make_generator(0, "users", device="numpy"))
    slate = np.tile([3, 8, 11], (20, 1))
    response = model.respond(state, slate, make_generator(1, "answers", device="numpy"))
    expected = response.feedback[:, :, 0].sum(1) + 3
    np.testing.assert_allclose(model.step_seconds(state, slate, response), expected, rtol=1e-6)


def test_worlds_by_keyword() -> None:
    env = RecVectorEnv(task(clickbait_pull=[0.0, 2.0, 0.0], patience=12), 3, seed=0)
    _, info = env.reset()
    assert info["group"].tolist() == [0, 1, 0]
    assert env.simulation.users.pull.tolist() == [0, 2, 0]
    assert isinstance(env.task.model, ShortVideo)
    assert env.task.model.config.patience == 12
