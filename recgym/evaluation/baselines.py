"""The policies that every result should stand beside."""

from typing import Any

import numpy as np
import torch

from recgym.agents.base import ActionSpec, ScoredPolicy
from recgym.arrays import device_of, full, namespace, to_numpy
from recgym.data.schema import InteractionLog
from recgym.envs.rewards import Outcome
from recgym.envs.task import Task
from recgym.simulators.learned import FittedSimulator, ObservableScorer
from recgym.types import Array, History, Response

_MASKED = -1e9

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


def greedy_by_model(fitted: FittedSimulator, task: Task, device: str = "cpu") -> ScoredPolicy[Any]:
    """Ranks candidates by the reward that a fitted simulator expects, given only what a system sees.

    Args:
        fitted: the learned users; their log's items are the task's.
        task: gives the reward, the slate size and the observation (a :class:`recgym.envs.HistoryObserver`).
        device: torch device that scores; observations may live anywhere.
    """
    scorer = ObservableScorer(fitted, task.slate_size, device)

    def score(observation: Any) -> Array:
        given = observation["history_items"]
        seen = {name: torch.as_tensor(value, device=device) for name, value in observation.items()}
        items = seen["history_items"]
        users, n = items.shape[0], task.model.num_items
        candidates = seen.get("candidates", torch.arange(n, device=device).expand(users, n))
        profile = seen.get("profile", torch.zeros(users, 0, device=device))
        # Times count back from now.
        history = History(items, seen["history_feedback"], -seen["history_gap_s"].double(), items != n)
        scores = _reward_of(task, candidates, scorer(history, profile, candidates))
        if task.mask_consumed:
            consumed = (candidates[:, :, None] == items[:, None, :]).any(-1)
            scores = torch.where(consumed, _MASKED, scores)
        return to_numpy(scores) if isinstance(given, np.ndarray) else scores.to(given.device)

    return ScoredPolicy(action_spec(task), score)


def _reward_of(task: Task, candidates: Array, feedback: Array) -> Array:
    """Reward ``[B, M]`` of showing each candidate alone, at its expected feedback ``[B, M, F]``."""
    users, m = candidates.shape
    flat = candidates.reshape(-1, 1)
    zeros = namespace(flat).zeros_like(flat[:, 0])
    no_gap = full((users * m,), float("nan"), "float64", device_of(flat))
    outcome = Outcome(flat, Response(feedback.reshape(users * m, 1, -1)), zeros != 0, zeros + 1, no_gap)
    return task.reward(outcome).reshape(users, m)
