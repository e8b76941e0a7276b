"""What an agent that learns from a log is built for: the sizes of a store of transitions, or of a task."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from recgym.data.transitions import Problem
from recgym.envs.observations import FlatObserver, HistoryObserver, Sizes
from recgym.envs.task import Task

__all__ = ["check_served", "observation_space", "problem_of"]


def problem_of(task: Task) -> Problem:
    """What agents that learn from logs must know of a task.

    Raises:
        ValueError: the task's observation is not one that can be put together from a log.
    """
    sizes, observer = task.sizes, task.observer
    flat = 0
    if isinstance(observer, FlatObserver):
        flat = observer.space(sizes).shape[0]
    elif not isinstance(observer, HistoryObserver):
        raise ValueError(
            f"{task.name}: transitions are kept of tasks with a HistoryObserver or FlatObserver, "
            f"found {type(observer).__name__}; encode histories when they are read"
        )
    return Problem(
        task.model.schema, sizes.num_items, sizes.num_candidates, task.slate_size, sizes.window, sizes.profile,
        sizes.features, sizes.candidates_vary, task.action, task.mask_consumed,
        isinstance(observer, HistoryObserver) and observer.progress, flat, tuple(task.costs), task.name,
    )  # fmt: skip


def observation_space(problem: Problem) -> gym.Space[Any]:
    """The space of one user's observation."""
    if problem.flat:
        return gym.spaces.Box(-np.inf, np.inf, (problem.flat,), np.float32)
    sizes = Sizes(
        problem.num_items, problem.num_candidates, problem.window, len(problem.schema), problem.profile,
        problem.features, problem.candidates_vary,
    )  # fmt: skip
    return HistoryObserver(problem.progress).space(sizes)


def check_served(problem: Problem, task: Task) -> None:
    """Make sure that an agent built for a problem can serve a task.

    Costs, and how many candidates are on offer where their ids are observed, may differ.

    Raises:
        ValueError: the task has other items, feedback, actions or observations; the sentence says which.
    """
    theirs = problem_of(task)
    if problem.candidates_vary and theirs.candidates_vary:
        theirs = replace(theirs, num_candidates=problem.num_candidates)
    theirs = replace(theirs, costs=problem.costs, name=problem.name)
    for name, mine in vars(problem).items():
        if mine != getattr(theirs, name):
            raise ValueError(
                f"the agent was made for {name}={_short(mine)}, {task.name} has {name}={_short(getattr(theirs, name))}"
            )


def _short(value: Any) -> str:
    return ", ".join(value.names) if hasattr(value, "names") else repr(value)
