"""``recgym/LearnedUsers-v0``: users fitted to a log, as an environment."""

import math
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
from recgym.envs.uncertainty import CertainCandidates, PenalisedReward
from recgym.simulators.learned import FittedSimulator, LearnedUsers, SimulatorSet
from recgym.simulators.learned.simulator_set import is_set

__all__ = ["FidelityWarning", "shown_items", "task"]


class FidelityWarning(UserWarning):
    """The simulated users failed the check against held-out behaviour."""


def task(
    simulator: FittedSimulator | SimulatorSet | Path | str | None = None,
    slate_size: int | None = None,
    num_candidates: int | None = None,
    reward: Mapping[str, float] | None = None,
    action: Literal["items", "preference"] = "items",
    horizon: int | None = 100,
    mask_consumed: bool = False,
    level: Level = "session",
    retention: RetentionLimits | None = None,
    penalty: float = 0.0,
    certain: float = 1.0,
) -> Task:
    """Users fitted to a log with ``recgym simulator fit`` or :func:`recgym.simulators.learned.fit`.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1), or a preference
    vector. Observation: a dictionary, see :class:`recgym.envs.HistoryObserver`; it starts with the record of a logged
    user. Reward: the log's primary channel (such as clicks), or a weighted sum of channels. The episode ends
    (``terminated``) when the user leaves the session, and is cut (``truncated``) at the horizon. On the level of
    retention the episode goes on from session to session, and the observation has ``progress``.
    Dynamics: :class:`recgym.simulators.learned.LearnedUsers`; of a set of simulators
    :class:`recgym.simulators.learned.SimulatorSet`, in which each user lives in one of them for an episode
    (``info["group"]`` says which share one).

    Args:
        simulator: folder of a fitted simulator or of a set of these, or the simulator or set itself.
        slate_size: K; the smallest slate of the log by default.
        num_candidates: M, drawn at each step from the items that the log knows well enough; by default 4 K, at least
            20.
        reward: channel name to weight.
        action: ``"items"`` or ``"preference"``.
        horizon: steps after which an episode is cut.
        mask_consumed: whether items in the visible history are masked.
        level: ``"request"``, ``"session"`` or ``"retention"``; see :class:`recgym.envs.Task`.
        retention: when an episode of several sessions ends; by default with 30 days away or 10 sessions.
        penalty: of a set, standard deviations of what its members expect of the slate's reward that are taken off the
            reward.
        certain: of a set, the share of the drawn candidates that is offered: those of which its members disagree
            least. M are offered in any case, so 0.5 draws 2 M.

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
    if not 0 < certain <= 1 or penalty < 0:
        raise ValueError(
            f"certain must be above 0 and at most 1, penalty not negative; found certain={certain}, penalty={penalty}"
        )
    fitted, model = _users(simulator, follow=penalty > 0 or certain < 1)
    pool = shown_items(fitted)
    if slate_size is None:
        slate_size = max(fitted.facts.sizes[0], 1)
    if num_candidates is None:
        num_candidates = min(max(4 * slate_size, 20), pool.size)
    worth = {model.schema.names[fitted.plan.primary]: 1.0} if reward is None else reward
    total = ChannelReward(model.schema, worth)
    candidates = PooledCandidates(min(math.ceil(num_candidates / certain), max(pool.size, num_candidates)), pool)
    return Task(
        model,
        PenalisedReward(total, penalty, worth) if penalty else total,
        HistoryObserver(progress=level == "retention"),
        slate_size=slate_size,
        candidates=CertainCandidates(candidates, num_candidates, worth) if certain < 1 else candidates,
        action=action,
        level=level,
        retention=retention or RetentionLimits(max_sessions=10),
        horizon=horizon,
        window=max(fitted.config.history, slate_size),
        mask_consumed=mask_consumed,
        name="recgym/LearnedUsers-v0",
    )


def _users(
    simulator: FittedSimulator | SimulatorSet | Path | str, follow: bool
) -> tuple[FittedSimulator, LearnedUsers | SimulatorSet]:
    """The simulator, of a set its first member for what all have in common, and the users.

    Args:
        simulator: see :func:`task`.
        follow: whether the uncertainty of a set is wanted.
    """
    if not isinstance(simulator, FittedSimulator | SimulatorSet):
        simulator = (
            SimulatorSet.load(simulator, follow=follow) if is_set(simulator) else FittedSimulator.load(simulator)
        )
    members = simulator.members if isinstance(simulator, SimulatorSet) else (simulator,)
    for number, member in enumerate(members):
        for warning in member.warnings:
            which = f"member {number} of the set: " if len(members) > 1 else ""
            warnings.warn(which + warning, FidelityWarning, stacklevel=3)
    if isinstance(simulator, SimulatorSet):
        return members[0], simulator.following() if follow and not simulator.follow else simulator
    if follow:
        raise ValueError("penalty and certain need a set of simulators, found a single one")
    return simulator, LearnedUsers(simulator)


def shown_items(fitted: FittedSimulator) -> np.ndarray:
    """Ids of the items that may be offered: those with enough rows in the log to be told apart, else all it saw."""
    rows = fitted.rates.by_item[:-1, fitted.plan.primary, 0]
    known = np.flatnonzero(rows >= fitted.config.min_item_rows)
    return known if known.size >= 2 else np.flatnonzero(rows > 0)


env, vector_env = faces(task)
