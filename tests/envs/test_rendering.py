"""Rendering: every mode of every hand-made environment, by Gymnasium's own check; agents see none of it."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import recgym  # noqa: F401 - registers the environments
from recgym.encoders import Catalogue, FeedbackScale, SASRecConfig, seeded
from recgym.envs import EncodedObservation, RecVectorEnv, SB3VecEnv, make_task, registered
from recgym.envs.rendering import Scene, picture, print_scene, terminal_text
from recgym.testing import environment_checks
from recgym.testing.checks import assert_same

IDS = [name for name in registered() if name not in ("recgym/LearnedUsers-v0", "recgym/OpenBandit-v0")]
MODES = ("human", "ansi", "rgb_array")
SATISFACTION = "recgym/LongTermSatisfaction-v0"


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("mode", [None, *MODES])
def test_gymnasium_checks_every_mode(name: str, mode: str | None, recwarn: pytest.WarningsRecorder) -> None:
    env = gym.make(name, render_mode=mode)
    recwarn.clear()
    check_env(env.unwrapped, skip_render_check=mode is None)
    kind = {None: type(None), "human": type(None), "ansi": str, "rgb_array": np.ndarray}[mode]
    env.reset(seed=0)
    for _ in range(3):
        assert isinstance(env.render(), kind)
        env.step(env.action_space.sample())
    assert [str(entry.message) for entry in recwarn if "ender" in str(entry.message)] == []


def test_text_shows_the_slate_the_choice_and_the_mood_as_they_are() -> None:
    env: Any = gym.make("recgym/ShortVideo-v0", render_mode="ansi").unwrapped
    env.reset(seed=3)
    assert "a new user has come" in env.render()
    for _ in range(4):
        _, reward, _, _, info = env.step(env.action_space.sample())
    text = env.render()
    assert f"item {info['slate'][0]}" in text
    assert f"watch_time {info['feedback']['watch_time'][0]:.3g} s" in text
    assert f"satisfaction {float(env.simulation.users.satisfaction[0]):.3g}" in " ".join(text.split())
    assert f"reward {reward:.3g}" in text
    assert "step 4" in text


def test_human_prints_each_step_and_returns_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    env = gym.make(SATISFACTION, render_mode="human")
    env.reset(seed=0)
    assert "a new user has come" in capsys.readouterr().out
    env.step(4)
    said = capsys.readouterr().out
    assert "item 4" in said
    assert "satisfaction" in said
    assert env.render() is None


def test_a_picture_is_drawn_and_moves() -> None:
    env = gym.make("recgym/InterestEvolution-v0", render_mode="rgb_array")
    env.reset(seed=0)
    first: Any = env.render()
    env.step(env.action_space.sample())
    second: Any = env.render()
    assert first.shape == second.shape == (360, 640, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()


def test_agents_see_the_same_with_and_without_it() -> None:
    plain = gym.make_vec("recgym/ShortVideo-v0", num_envs=5, device="cpu")
    shown = gym.make_vec("recgym/ShortVideo-v0", num_envs=5, device="cpu", render_mode="rgb_array")
    assert_same(plain.reset(seed=1), shown.reset(seed=1), "reset differs")
    for step in range(40):
        actions = np.full(5, step % 7)
        assert_same(plain.step(actions), shown.step(actions), f"step {step} differs")
        shown.render()


def test_a_vector_shows_each_user_and_a_new_one_when_the_old_has_left() -> None:
    env = gym.make_vec(SATISFACTION, num_envs=3, render_mode="ansi")
    env.reset(seed=0)
    for _ in range(140):
        env.step(np.array([1, 2, 3]))
    texts: Any = env.render()
    assert [f"item {number}" in text for number, text in enumerate(texts, start=1)] == [True] * 3
    assert all("the episode has ended" in text for text in texts)
    env.step(np.array([1, 2, 3]))  # the step of the reset
    texts = env.render()
    assert all("a new user has come" in text for text in texts)


def test_sessions_are_counted_and_branches_forget_the_past() -> None:
    env: Any = gym.make("recgym/Retention-v0", render_mode="ansi", level="retention").unwrapped
    env.reset(seed=0)
    state = env.get_state()
    while int(env.simulation.session[0]) == 0:
        env.step(env.action_space.sample())
    assert "session 2" in env.render()
    env.set_state(state)
    assert "step 0" in env.render()


def test_stable_baselines_tiles_the_pictures_of_all_users() -> None:
    env = SB3VecEnv(make_task(SATISFACTION, {}), 4, seed=0, render_mode="rgb_array")
    env.reset()
    first = env.render()
    env.step(np.array([1, 2, 3, 4]))
    second = env.render()
    assert first is not None
    assert second is not None
    assert first.shape == second.shape == (2 * 360, 2 * 640, 3)
    assert (first != second).any()
    assert SB3VecEnv(make_task(SATISFACTION, {}), 2).get_images() == [None, None]


def test_stable_baselines_prints_the_first_user(capsys: pytest.CaptureFixture[str]) -> None:
    env = SB3VecEnv(make_task(SATISFACTION, {}), 4, seed=0, render_mode="human")
    env.reset()
    env.step(np.array([5, 2, 3, 4]))
    assert "item 5" in capsys.readouterr().out
    assert env.render() is None
    assert capsys.readouterr().out == ""


def test_an_encoder_in_between_leaves_the_view_as_it_is() -> None:
    env = gym.make_vec("recgym/ShortVideo-v0", num_envs=2, render_mode="ansi").unwrapped
    assert isinstance(env, RecVectorEnv)
    items, channels = env.task.sizes.num_items, env.task.sizes.channels
    catalogue = Catalogue(items, np.ones(items, np.int64), FeedbackScale((1.0,) * channels), timed=True)
    with seeded(0, "test"):
        encoder = SASRecConfig(width=8, heads=1).build(catalogue).encoder
    encoded: Any = EncodedObservation(env, encoder)
    encoded.reset(seed=0)
    encoded.step(encoded.action_space.sample())
    assert all("step 1" in text for text in encoded.render())


def test_wrong_use_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="found render_mode 'ansi', expected human, rgb_array or None"):
        SB3VecEnv(make_task(SATISFACTION, {}), 2, render_mode="ansi")
    with pytest.raises(ValueError, match="found render_mode 'film', expected one of human, ansi, rgb_array, or None"):
        gym.make_vec(SATISFACTION, render_mode="film")
    env = gym.make(SATISFACTION, render_mode="ansi").unwrapped
    with pytest.raises(ValueError, match=r"reset\(\) must be called before render\(\)"):
        env.render()
    vector = gym.make_vec(SATISFACTION, num_envs=2, render_mode="ansi")
    with pytest.raises(ValueError, match=r"reset\(\) must be called before render\(\)"):
        vector.render()
    assert gym.make_vec(SATISFACTION, num_envs=2).render() is None


def scene(items: int, **changes: Any) -> Scene:
    shown = tuple((number, "click 1, watch_time 123 s" if number % 2 else "") for number in range(items))
    moods = {"a": (0.5,), "b": (1.0, 1.0, 1.0), "c": (3.0, -1.0, 2.0)}
    settings: dict[str, Any] = {
        "world": "w" * 40, "user": 0, "step": 3, "session": 1, "seconds": 62.0, "shown": shown, "reward": "1",
        "moods": moods, "ended": True,
    }  # fmt: skip
    return Scene(**{**settings, **changes})


@pytest.mark.parametrize("items", [1, 2, 10, 40])
def test_slates_of_any_size_fit(items: int, capsys: pytest.CaptureFixture[str]) -> None:
    one = scene(items)
    assert picture(one).shape == (360, 640, 3)
    text = terminal_text(one)
    assert text.count("item ") == min(items, 10)
    assert ("more" in text) == (items > 10)
    print_scene(one)
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("part", ["hidden state: intervention", "hidden state: values", "branching from a state"])
def test_the_contract_holds_while_somebody_looks(part: str) -> None:
    checks = {check.name: check for check in environment_checks("recgym/ShortVideo-v0", render_mode="ansi")}
    checks[part].run()
