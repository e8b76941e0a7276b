"""The check of episodes and sessions finds what it is there to find."""

from typing import Any

import numpy as np
import pytest

from recgym.envs import RecVectorEnv, RetentionLimits, Task
from recgym.envs.retention import task as retention
from recgym.testing import environment_checks
from tests.testing import tasks


def short_stays() -> Task:
    """Users who stay away for a day are gone."""
    return retention(retention=RetentionLimits(churn_after_s=86_400.0, max_sessions=5))


class EndsWithTheSession(RecVectorEnv):
    """Ends the episode with each session."""

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, terminated | info["session_ended"], truncated, info


class StandsStill(RecVectorEnv):
    """Forgets the time that users were away."""

    def step(self, actions: Any) -> Any:
        before = self.simulation.clock_s.copy()
        result = super().step(actions)
        self.simulation.clock_s = before + 30.0
        return result


class CountsLeavers(RecVectorEnv):
    """Counts a session for those who do not come back as well."""

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, terminated, truncated, {**info, "session": info["session"] + terminated}


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (EndsWithTheSession, "ends for others than those who stay away for too long"),
        (StandsStill, "the clock does not move on by the time away"),
        (CountsLeavers, "sessions are not counted by those who come back"),
    ],
)
def test_each_broken_promise_is_found(broken: type[RecVectorEnv], sentence: str) -> None:
    with tasks.registered(short_stays) as env_id:
        checks = {check.name: check for check in environment_checks(env_id)}
        checks["episodes and sessions"].run()
    with tasks.registered(short_stays, vector=broken) as env_id:
        checks = {check.name: check for check in environment_checks(env_id)}
        with pytest.raises(AssertionError, match=sentence):
            checks["episodes and sessions"].run()


class GoesOn(RecVectorEnv):
    """Never ends."""

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, np.zeros_like(terminated), truncated, info


def one_request() -> Task:
    return retention(level="request")


def test_a_request_that_goes_on_is_found() -> None:
    with tasks.registered(one_request, vector=GoesOn) as env_id:
        checks = {check.name: check for check in environment_checks(env_id)}
        with pytest.raises(AssertionError, match="an episode of one request goes on"):
            checks["episodes and sessions"].run()
