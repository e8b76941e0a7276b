"""The contract check of environments passes on all of ours, and finds each broken promise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recgym.envs import RecEnv, RecVectorEnv, Task
from recgym.envs import registered as ours
from recgym.testing import check_environment, environment_checks
from tests.testing import tasks

NEEDS_FILES = ("recgym/LearnedUsers-v0", "recgym/OpenBandit-v0")


@pytest.mark.parametrize("env_id", [env_id for env_id in ours() if env_id not in NEEDS_FILES])
def test_registered_environments(env_id: str) -> None:
    check_environment(env_id)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_settings_reach_the_environment(device: str) -> None:
    parts = {part.name: part for part in environment_checks("recgym/LongTermSatisfaction-v0", choc=6.0, device=device)}
    parts["determinism under a seed"].run()
    parts["branching from a state"].run()


@pytest.mark.parametrize(
    "make_task",
    [tasks.masked, tasks.masked_catalogue, tasks.preference, tasks.vector_reward, tasks.shuffled],
    ids=lambda make_task: make_task.__name__,
)
def test_every_part_of_a_task(make_task: Callable[[], Task]) -> None:
    with tasks.registered(make_task) as env_id:
        check_environment(env_id)


def leaky() -> Task:
    return tasks.small(observer=tasks.BudgetObserver())


def unbounded() -> Task:
    def reward(outcome: Any) -> Any:
        return tasks.clicks(outcome) + np.inf

    return tasks.small(reward=reward)


@pytest.mark.parametrize(
    ("part", "broken", "sentence"),
    [
        ("hidden state: values", tasks.BudgetInInfo, r"'info.patience' shows the hidden field 'budget \(before"),
        ("determinism under a seed", tasks.UnseededActions, r"draws from numpy's global generator"),
        ("determinism under a seed", tasks.ForgetsSeed, r"two runs with seed 3 differ: 0\.observation"),
        ("actions outside the space", tasks.ClipsActions, r"an action outside the space \(-1\) was taken"),
        ("arrays of the caller's own", tasks.SharesState, r"writing into arrays that were returned changes step \d"),
        ("branching from a state", tasks.ForgetsGenerator, r"going on from a saved state once more gives other steps"),
        ("spaces, types and ends", tasks.BothEnds, r"a user is both terminated and truncated"),
        ("autoreset: next step", tasks.RewardsReset, r"the step after an end has reward \[1\."),
        ("autoreset: next step", tasks.ActsOnReset, r"the step after an end depends on the action of that row"),
        ("autoreset: same step", tasks.FinalIsFirst, r"'final_obs' of row \d is not its last observation"),
        ("autoreset: disabled", tasks.ResetsAll, r"a reset of some rows changes the observation of another row"),
        ("autoreset: disabled", tasks.GoesOn, r"a step after an end was taken"),
        ("B = 1 and B = 64 agree", tasks.Generous, r"are not of one distribution"),
        ("gym.make and gym.make_vec agree", tasks.Doubles, r"with one user differ in step \d+: 1 is"),
        ("Stable-Baselines3 agrees", tasks.Doubles, r"step \d+ is not RecVectorEnv's: 1 differs"),
    ],
)
def test_each_broken_promise_of_a_vector_environment_is_found(
    part: str, broken: type[RecVectorEnv], sentence: str
) -> None:
    with tasks.registered(vector=broken) as env_id:
        parts = {check.name: check for check in environment_checks(env_id)}
        with pytest.raises(AssertionError, match=sentence):
            parts[part].run()


@pytest.mark.parametrize(
    ("part", "make_task", "sentence"),
    [
        (
            "hidden state: intervention",
            leaky,
            r"after \d+ steps: the observation or info depends on the hidden field 'budget'",
        ),
        ("hidden state: values", leaky, r"'observation.profile' shows the hidden field 'budget' of every user"),
        ("spaces, types and ends", unbounded, r"the reward is not finite"),
    ],
)
def test_each_broken_promise_of_a_task_is_found(part: str, make_task: Callable[[], Task], sentence: str) -> None:
    with tasks.registered(make_task) as env_id:
        parts = {check.name: check for check in environment_checks(env_id)}
        with pytest.raises(AssertionError, match=sentence):
            parts[part].run()


def test_stale_masks_are_found() -> None:
    with tasks.registered(tasks.masked, vector=tasks.StaleMasks) as env_id:
        parts = {check.name: check for check in environment_checks(env_id)}
        with pytest.raises(AssertionError, match="info 'action_mask' is not that of the users there now"):
            parts["autoreset: next step"].run()


def test_a_single_environment_of_its_own_kind_is_found() -> None:
    with tasks.registered(single=tasks.BudgetInSingleInfo) as env_id:
        parts = {check.name: check for check in environment_checks(env_id)}
        with pytest.raises(AssertionError, match=r"in step 1: 4\.patience is missing in the first"):
            parts["gym.make and gym.make_vec agree"].run()


def test_a_step_limit_in_the_registry_is_found() -> None:
    with tasks.registered(max_episode_steps=10) as env_id, pytest.raises(AssertionError, match="max_episode_steps=10"):
        check_environment(env_id)


class Loud(RecEnv):
    """Its space has no bounds, of which Gymnasium warns."""

    def __init__(self, task: Task, **settings: Any) -> None:
        super().__init__(task, **settings)
        for box in self.observation_space.values():  # type: ignore[attr-defined]
            box.high = np.full_like(box.high, np.inf) if box.dtype == np.float32 else box.high


def test_warnings_of_gymnasium_are_found() -> None:
    with tasks.registered(single=Loud) as env_id, pytest.raises(AssertionError, match=r"check_env warns: .*infinity"):
        check_environment(env_id)
