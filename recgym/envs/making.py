"""From the id of a registered environment to its task."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from recgym.envs.registration import registered
from recgym.envs.task import Task

__all__ = ["make_task"]


def make_task(env: str, settings: Mapping[str, Any] | None = None, remark: Callable[[str], None] | None = None) -> Task:
    """The task of a registered environment.

    Args:
        env: its id.
        settings: its keyword arguments; the defaults if None.
        remark: told what the environment warns of; warnings stay warnings if None.

    Raises:
        ValueError: there is no such environment, or it does not take these settings.
    """
    settings = dict(settings or {})
    if env not in registered():
        raise ValueError(f"there is no environment {env!r}; there are: {', '.join(registered())}")
    with warnings.catch_warnings(record=remark is not None) as caught:
        if remark is not None:
            warnings.simplefilter("always", UserWarning)
        try:
            made = gym.make_vec(env, num_envs=1, vectorization_mode="vector_entry_point", **settings)
        except TypeError as error:
            raise ValueError(f"{env} cannot be made with {settings or 'no settings'}: {error}") from error
    if remark is not None:
        for warning in caught or ():
            remark(str(warning.message))
    task: Task = made.unwrapped.task  # type: ignore[attr-defined]
    return task
