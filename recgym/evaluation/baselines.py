"""The policies that every result should stand beside."""

from typing import Any

import numpy as np

from recgym.agents.base import ActionSpec, ScoredPolicy
from recgym.arrays import full, namespace
from recgym.data.schema import InteractionLog
from recgym.envs.rewards import Outcome
from recgym.envs.task import Task
from recgym.simulators.learned import FittedSimulator, ObservableScorer
from recgym.types import Array, History, Response

__all__ = ["action_spec", "greedy_by_model", "item_popularity"]


def action_spec(task: Task) -> ActionSpec:
    """The actions of a task whose actions are items."""
    return ActionSpec(task.num_candidates, task.slate_size, task.model.num_items)


def item_popularity(log: InteractionLog, channel: str) -> np.ndarray:
    """Rate of a channel (or of its values, summed) per exposure of each item, ``[N]``, shrunk by 10 rows at the mean.

    Where the log has no exposures it is the number of rows of the item.

    Args:
        log: the log.
        channel: which feedback; if the log does not have it, rows are counted.
    """
    item = log.frame["item"].to_numpy()
    rows = np.bincount(item, minlength=log.n_items).astype(np.float64)
    if channel not in log.schema.names or not log.has_slates:
        return rows
    shown = log.frame["slate"].is_not_null().to_numpy()
    value = np.nan_to_num(log.frame[channel].fill_null(0).to_numpy())
    rows = np.bincount(item[shown], minlength=log.n_items).astype(np.float64)
    total = np.bincount(item[shown], weights=value[shown], minlength=log.n_items)
    rate: np.ndarray = (total + 10 * value[shown].mean()) / (rows + 10)
    return rate


def greedy_by_model(fitted: FittedSimulator, task: Task) -> ScoredPolicy[Any]:
    """Ranks candidates by the reward that a fitted simulator expects, given only what a system sees.

    Args:
        fitted: the learned users; their log's items are the task's.
        task: gives the reward, the slate size and the observation (a :class:`recgym.envs.HistoryObserver`).
    """
    scorer = ObservableScorer(fitted, task.slate_size)

    def score(observation: Any) -> Array:
        items = observation["history_items"]
        mask = items != task.model.num_items
        gap = observation["history_gap_s"]
        history = History(items, observation["history_feedback"], -gap.double(), mask)
        profile = observation.get("profile")
        if profile is None:
            profile = full((items.shape[0], 0), 0.0, "float32", str(items.device))
        return _reward_of(task, observation["candidates"], scorer(history, profile, observation["candidates"]))

    return ScoredPolicy(action_spec(task), score)


def _reward_of(task: Task, candidates: Array, feedback: Array) -> Array:
    """Reward ``[B, M]`` of showing each candidate alone, at its expected feedback ``[B, M, F]``."""
    users, m = candidates.shape
    flat = candidates.reshape(-1, 1)
    zeros = namespace(flat).zeros_like(flat[:, 0])
    outcome = Outcome(flat, Response(feedback.reshape(users * m, 1, -1)), zeros != 0, zeros + 1)
    return task.reward(outcome).reshape(users, m)
