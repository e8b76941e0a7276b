"""Stories: they are what a rollout does with the same users, hidden state and all, and what is said of it is true."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from recgym.agents.base import NoState, RandomPolicy
from recgym.arrays import as_float, device_of, full, to_numpy, zeros
from recgym.envs import Task, make_task
from recgym.evaluation import OneStepOracle, action_spec, rollout, stories
from recgym.types import Array, Decision, Generator
from tests.learned_fixture import small_simulator

USERS = 40


class Sums(NamedTuple):
    """A memory of three numbers a user."""

    kept: Array


class Keeper:
    """Shows item 0 and remembers what it has seen, so that its way is known."""

    def init_state(self, users: int, device: str) -> Sums:
        return Sums(zeros((users, 3), "float32", device))

    def act(self, observation: Any, state: Sums, generator: Generator, greedy: bool = False) -> tuple[Decision, Sums]:
        users, device = state.kept.shape[0], device_of(generator)
        step = full((users, 3), 1.0, "float32", device)
        return Decision(zeros((users,), "int64", device), zeros((users,), "float32", device)), Sums(state.kept + step)


def satisfaction(**settings: Any) -> Task:
    return make_task("recgym/LongTermSatisfaction-v0", settings)


@pytest.fixture(scope="module")
def short_video() -> Task:
    return make_task("recgym/ShortVideo-v0", {})


def test_a_story_is_what_the_rollout_does_with_the_same_users(short_video: Task) -> None:
    policy = RandomPolicy(action_spec(short_video))
    told = stories({"random": policy}, short_video, 3, among=USERS, seed=5)["policies"]["random"]["users"]
    steps = rollout(policy, short_video, users=USERS, seeds=(5,), record=True).steps[0]
    for number, user in enumerate(told):
        rows = steps.user == number
        assert user["steps"] == rows.sum()
        np.testing.assert_array_equal(user["slate"], steps.slate[rows])
        np.testing.assert_allclose(user["time_s"], steps.time_s[rows], rtol=1e-4)
        for index, channel in enumerate(short_video.model.schema.names):
            np.testing.assert_allclose(user["feedback"][channel], steps.feedback[rows][:, :, index], rtol=1e-4)


def test_policies_begin_with_the_same_user(short_video: Task) -> None:
    told = stories(
        {"random": RandomPolicy(action_spec(short_video)), "oracle": OneStepOracle}, short_video, among=USERS
    )["policies"]
    first, second = (told[name]["users"][0] for name in ("random", "oracle"))
    assert first["mood"]["temper"][0] == second["mood"]["temper"][0]
    assert first["constant"] == second["constant"]
    assert first["slate"] != second["slate"]


def test_the_hidden_state_is_told_from_before_the_first_step_to_after_the_last() -> None:
    task = satisfaction(choc=14)
    user = stories({"keeper": Keeper()}, task, among=4)["policies"]["keeper"]["users"][0]
    exposure, satisfied = np.array(user["parts"]["exposure"]), np.array(user["mood"]["satisfaction"])
    assert exposure.size == satisfied.size == user["steps"] + 1 == 141
    memory, sensitivity = user["constant"]["memory"], user["constant"]["sensitivity"]
    # Item 0 is of clickbait level 0: exposure' = memory * exposure + 1.
    np.testing.assert_allclose(exposure[1:], memory * exposure[:-1] + 1, rtol=2e-3)
    np.testing.assert_allclose(satisfied, 1 / (1 + np.exp(-sensitivity * exposure)), rtol=1e-3)
    assert user["left"]
    assert not user["cut"]


def test_the_memory_of_a_policy_is_told_by_its_length_and_its_main_axes() -> None:
    memory = stories({"keeper": Keeper()}, satisfaction(), among=2)["policies"]["keeper"]["users"][0]["memory"]
    steps = np.arange(1, 141)
    np.testing.assert_allclose(memory["norm"], np.sqrt(3) * steps, rtol=1e-4)
    plane = np.array(memory["plane"])
    np.testing.assert_allclose(np.abs(plane[:, 0]), np.sqrt(3) * np.abs(steps - steps.mean()), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(plane[:, 1], 0, atol=1e-3)
    assert (memory["width"], round(memory["explained"], 3)) == (3, 1.0)


def test_a_policy_without_memory_has_none_and_a_long_story_is_cut() -> None:
    task = satisfaction()
    told = stories({"random": RandomPolicy(action_spec(task))}, task, 2, among=8, steps=20)
    user = told["policies"]["random"]["users"][1]
    assert user["memory"] is None
    assert (user["steps"], user["cut"], user["left"]) == (20, True, False)
    assert len(user["seen"]["observation"][0]) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_task("recgym/InterestEvolution-v0", {}),
        lambda: make_task("recgym/Retention-v0", {"level": "retention"}),
        lambda: make_task("recgym/Relisten-v0", {}),
        lambda: make_task("recgym/InterestExploration-v0", {}),
        lambda: make_task("recgym/OrganicBandit-v0", {}),
    ],
    ids=["slates", "sessions", "nested", "unchanging", "organic"],
)
def test_every_world_can_be_told(make: Callable[[], Task]) -> None:
    task = make()
    told = stories({"random": RandomPolicy(action_spec(task))}, task, 2, among=6, steps=30, titles={0: "the first"})
    text = json.dumps(told, allow_nan=False)
    assert json.loads(text) == told
    for user in told["policies"]["random"]["users"]:
        assert len(user["slate"]) == len(user["reward"]) == user["steps"]
        assert all(len(values) == user["steps"] + 1 for values in (*user["mood"].values(), *user["parts"].values()))
    assert all(entry.get("title") == "the first" for item, entry in told["items"].items() if item == "0")


@pytest.mark.parametrize(("users", "steps", "among"), [(0, 5, 4), (1, 0, 4), (5, 5, 4)])
def test_wrong_numbers_are_refused(users: int, steps: int, among: int) -> None:
    with pytest.raises(ValueError, match=r"a story needs at least|cannot be followed among"):
        stories({"keeper": Keeper()}, satisfaction(), users, among=among, steps=steps)


def test_what_policies_see_has_no_part_in_it(short_video: Task) -> None:
    """The recorder looks into the simulation; the observation that a policy gets is that of a rollout."""
    seen: list[Any] = []

    class Watcher:
        def init_state(self, users: int, device: str) -> NoState:
            return NoState()

        def act(self, observation: Any, state: NoState, generator: Generator, greedy: bool = False) -> Any:
            seen.append({name: to_numpy(value).copy() for name, value in observation.items()})
            users, device = observation["history_items"].shape[0], device_of(generator)
            zero = as_float(zeros((users,), "float32", device))
            return Decision(zeros((users,), "int64", device), zero), state

    stories({"watcher": Watcher()}, short_video, 1, among=4, seed=1)
    told, seen[:] = list(seen), []
    rollout(Watcher(), short_video, users=4, seeds=(1,))
    for first, second in zip(told, seen, strict=False):
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_learned_users_have_items_by_their_names_in_the_log_and_no_mood() -> None:
    learned = small_simulator()
    task = make_task("recgym/LearnedUsers-v0", {"simulator": learned})
    told = stories({"random": RandomPolicy(action_spec(task))}, task, among=8, steps=15)
    assert told["items"]
    assert all(entry["title"] == str(learned.item_ids[int(item)]) for item, entry in told["items"].items())
    user = told["policies"]["random"]["users"][0]
    assert user["mood"] == {}
    assert "temper" in user["parts"] or "temper" in user["constant"]
