"""``recgym/LearnedUsers-v0``: users fitted to a log, as an environment."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from recgym.envs.levels import Level, RetentionLimits
from recgym.envs.observations import HistoryObserver
from recgym.envs.pool import PooledCandidates
from recgym.envs.rewards import ChannelReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.learned import FittedSimulator, LearnedUsers

__all__ = ["FidelityWarning", "shown_items", "task"]


class FidelityWarning(UserWarning):
    """The simulated users failed the check against held-out behaviour."""


def task(
    simulator: FittedSimulator | Path | str | None = None,
    slate_size: int | None = None,
    num_candidates: int | None = None,
    reward: Mapping[str, float] | None = None,
    action: Literal["items", "preference"] = "items",
    horizon: int | None = 100,
    mask_consumed: bool = False,
    level: Level = "session",
    retention: RetentionLimits | None = None,
) -> Task:
    """Users fitted to a log with ``recgym simulator fit`` or :func:`recgym.simulators.learned.fit`.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1), or a preference
    vector. Observation: a dictionary, see :class:`recgym.envs.HistoryObserver`; it starts with the record of a logged
    user. Reward: the log's primary channel (such as clicks), or a weighted sum of channels. The episode ends
    (``terminated``) when the user leaves the session, and is cut (``truncated``) at the horizon. On the level of
    retention the episode goes on from session to session, and the observation has ``progress``.
    Dynamics: :class:`recgym.simulators.learned.LearnedUsers`.

    Args:
        simulator: folder of a fitted simulator, or the simulator itself.
        slate_size: K; the smallest slate of the log by default.
        num_candidates: M, drawn at each step from the items that the log knows well enough; by default 4 K, at least
            20.
        reward: channel name to weight.
        action: ``"items"`` or ``"preference"``.
        horizon: steps after which an episode is cut.
        mask_consumed: whether items in the visible history are masked.
        level: ``"request"``, ``"session"`` or ``"retention"``; see :class:`recgym.envs.Task`.
        retention: when an episode of several sessions ends; by default with 30 days away or 10 sessions.

    Raises:
        ValueError: there is no fitted simulator in the folder, or a setting does not fit it.

    Warns:
        FidelityWarning: the simulator failed its fidelity gate.

    Version history: v0, first version.
    """
    if simulator is None:
        raise ValueError(
            "recgym/LearnedUsers-v0 needs simulator=FOLDER, the folder of a fitted simulator; "
            "recgym simulator fit --data PATH --format F --out FOLDER makes one"
        )
    fitted = simulator if isinstance(simulator, FittedSimulator) else FittedSimulator.load(simulator)
    for warning in fitted.warnings:
        warnings.warn(warning, FidelityWarning, stacklevel=2)
    pool = shown_items(fitted)
    if slate_size is None:
        slate_size = max(fitted.facts.sizes[0], 1)
    if num_candidates is None:
        num_candidates = min(max(4 * slate_size, 20), pool.size)
    model = LearnedUsers(fitted)
    return Task(
        model,
        ChannelReward(model.schema, {model.schema.names[fitted.plan.primary]: 1.0} if reward is None else reward),
        HistoryObserver(progress=level == "retention"),
        slate_size=slate_size,
        candidates=PooledCandidates(num_candidates, pool),
        action=action,
        level=level,
        retention=retention or RetentionLimits(max_sessions=10),
        horizon=horizon,
        window=max(fitted.config.history, slate_size),
        mask_consumed=mask_consumed,
        name="recgym/LearnedUsers-v0",
    )


def shown_items(fitted: FittedSimulator) -> np.ndarray:
    """Ids of the items that may be offered: those with enough rows in the log to be told apart, else all it saw."""
    rows = fitted.rates.by_item[:-1, fitted.plan.primary, 0]
    known = np.flatnonzero(rows >= fitted.config.min_item_rows)
    return known if known.size >= 2 else np.flatnonzero(rows > 0)


env, vector_env = faces(task)
