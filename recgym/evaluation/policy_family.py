"""Policies of a spread of quality, made from what a platform has on record: its log and a simulator fitted to it."""

from dataclasses import replace
from typing import Any

import numpy as np

from recgym.agents.base import Policy, RandomPolicy, ScoredPolicy, popularity_scores
from recgym.arrays import from_numpy, namespace
from recgym.data.schema import InteractionLog
from recgym.envs.task import Task
from recgym.evaluation.baselines import action_spec, greedy_by_model, item_popularity
from recgym.simulators.learned import FittedSimulator
from recgym.types import Array

__all__ = ["policy_family"]

_SOFT = 0.5


def policy_family(fitted: FittedSimulator, log: InteractionLog, task: Task, channel: str) -> dict[str, Policy[Any]]:
    """Twelve policies for a task whose actions are items.

    ======================  ============================================================================================
    random                  uniform
    popular                 highest rate of the primary channel in the log
    popular, half random    the same, and uniform with probability 1/2
    unpopular               lowest rate of the primary channel
    much watched            highest mean of ``channel`` per exposure
    little watched          lowest mean of ``channel`` per exposure
    familiar                features most like those of the items in the user's visible history
    familiar, half random   the same, and uniform with probability 1/2
    strange                 features least like those
    model                   highest reward that the fitted simulator expects, given what a system sees
    soft model              a draw in proportion to the exponential of twice that, in standard deviations of a slate's
    model, half random      the first of the three, and uniform with probability 1/2
    ======================  ============================================================================================

    Args:
        fitted: learned users.
        log: the log that they were learned from.
        task: gives the actions and the reward; observations are those of :class:`recgym.envs.HistoryObserver`.
        channel: the feedback that counts, such as a watch time.
    """
    spec = action_spec(task)
    primary = fitted.schema.names[fitted.plan.primary]
    rate, amount = (popularity_scores(item_popularity(log, name)) for name in (primary, channel))
    alike = _Alike(fitted.items.encode(log.item_features, log.n_items))
    model = greedy_by_model(fitted, task)
    return {
        "random": RandomPolicy(spec),
        "popular": ScoredPolicy(spec, rate),
        "popular, half random": ScoredPolicy(spec, rate, mix=0.5),
        "unpopular": ScoredPolicy(spec, lambda seen: -rate(seen)),
        "much watched": ScoredPolicy(spec, amount),
        "little watched": ScoredPolicy(spec, lambda seen: -amount(seen)),
        "familiar": ScoredPolicy(spec, alike),
        "familiar, half random": ScoredPolicy(spec, alike, mix=0.5),
        "strange": ScoredPolicy(spec, lambda seen: -alike(seen)),
        "model": model,
        "soft model": ScoredPolicy(spec, lambda seen: _standard(model.score(seen)), temperature=_SOFT),
        "model, half random": replace(model, mix=0.5),
    }


def _standard(scores: Array) -> Array:
    """Scores of each user's candidates in their standard deviations."""
    mean = scores.mean(-1)[:, None]
    sd = ((scores - mean) ** 2).mean(-1)[:, None] ** 0.5
    standard: Array = (scores - mean) / (sd + 1e-9)
    return standard


class _Alike:
    """Scores candidates by the cosine between their features and the mean of those in the visible history.

    A user with no history likes all items equally.
    """

    def __init__(self, features: np.ndarray) -> None:
        centred = features - features.mean(0, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        unit = centred / np.where(length > 0, length, 1.0)
        self._features = np.concatenate([unit, np.zeros_like(unit[:1])]).astype(np.float32)  # the last is padding

    def __call__(self, observation: Any) -> Array:
        history = observation["history_items"]
        device = "numpy" if isinstance(history, np.ndarray) else str(history.device)
        features = from_numpy(self._features, device)
        taste = features[history].sum(1)
        xp = namespace(features)
        length = (taste**2).sum(-1)[:, None] ** 0.5
        taste = taste / xp.where(length > 0, length, xp.ones_like(length))
        if "candidates" in observation:
            scores: Array = (features[observation["candidates"]] * taste[:, None, :]).sum(-1)
            return scores
        return taste @ features[:-1].T
