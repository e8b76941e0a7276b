"""What a rollout records step by step, and how it becomes an interaction log."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recgym.arrays import to_numpy
from recgym.data.schema import InteractionLog
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.simulators.organic import OrganicUsers, Visit

__all__ = ["OrganicEvents", "Steps", "first_visit", "joined", "joined_steps", "log_of", "visit_of"]


@dataclass(frozen=True)
class OrganicEvents:
    """What the users of one seed consumed unasked, such as in visits between recommendations.

    Attributes:
        user: user of each event.
        item: what was consumed.
        time_s: seconds since the episode began; not positive for what was on record before.
        session: which session of the episode, from 0.
        feedback: the feedback that it got.
    """

    user: Int64[np.ndarray, "n"]
    item: Int64[np.ndarray, "n"]
    time_s: Float64[np.ndarray, "n"]
    session: Int64[np.ndarray, "n"]
    feedback: np.ndarray


@dataclass(frozen=True)
class Steps:
    """Every step of every user of one seed, in the order of users and then of time.

    Attributes:
        user: user of each step.
        step: step of the episode, from 0.
        time_s: seconds since the episode began, at the end of the step.
        session: which session of the episode, from 0.
        slate: item ids shown.
        feedback: the answer.
        log_propensity: of the decision.
        profile: observable features of each user at the start.
        organic: what users consumed unasked.
    """

    user: Int64[np.ndarray, "n"]
    step: Int64[np.ndarray, "n"]
    time_s: Float64[np.ndarray, "n"]
    session: Int64[np.ndarray, "n"]
    slate: Int64[np.ndarray, "n K"]
    feedback: np.ndarray
    log_propensity: np.ndarray
    profile: np.ndarray
    organic: OrganicEvents


def first_visit(simulation: Simulation) -> OrganicEvents:
    """What users consumed unasked before the episode; what others did before is no news of them."""
    history = simulation.history()
    mask = to_numpy(history.mask) & isinstance(simulation.model, OrganicUsers)
    user, column = np.nonzero(mask)
    where = user, column
    items, times, feedback = (to_numpy(part)[where] for part in (history.items, history.time_s, history.feedback))
    return OrganicEvents(user, items, times, np.zeros_like(user), feedback)


def visit_of(visit: Visit, time_s: np.ndarray, session: np.ndarray, alive: np.ndarray) -> OrganicEvents:
    """The visits that followed one step."""
    user, column = np.nonzero(to_numpy(visit.mask) & alive[:, None])
    items, after, feedback = (to_numpy(part)[user, column] for part in (visit.items, visit.after_s, visit.feedback))
    return OrganicEvents(user, items, time_s[user] + after, session[user], feedback)


def joined(events: list[OrganicEvents], first_user: Sequence[int] | None = None) -> OrganicEvents:
    """Events one after the other; the users of each part are numbered from ``first_user`` on."""
    first = first_user or [0] * len(events)
    return OrganicEvents(
        user=np.concatenate([part.user + start for part, start in zip(events, first, strict=True)]),
        item=np.concatenate([part.item for part in events]),
        time_s=np.concatenate([part.time_s for part in events]),
        session=np.concatenate([part.session for part in events]),
        feedback=np.concatenate([part.feedback for part in events]),
    )


def joined_steps(parts: list[Steps], first_user: Sequence[int]) -> Steps:
    """Steps of several blocks of users; the users of each block are numbered from ``first_user`` on."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("step", "time_s", "session", "slate", "feedback", "log_propensity", "profile")
    }
    user = np.concatenate([part.user + start for part, start in zip(parts, first_user, strict=True)])
    return Steps(user=user, organic=joined([part.organic for part in parts], first_user), **columns)


def log_of(task: Task, steps: Steps, arrivals_s: Float64[np.ndarray, "users"] | None) -> InteractionLog:
    """The steps of one seed as an interaction log; see :meth:`recgym.evaluation.Rollout.to_log`."""
    schema, k = task.model.schema, task.slate_size
    if not np.isfinite(steps.log_propensity).all():
        raise ValueError(f"{task.name}: the policy gave no propensity for some decisions, so it cannot be logged")
    n = steps.user.size
    feedback = steps.feedback.reshape(n * k, -1)
    organic = steps.organic
    arrivals = np.zeros(steps.profile.shape[0]) if arrivals_s is None else arrivals_s
    time_s = steps.time_s + arrivals[steps.user]
    sessions = np.zeros(steps.profile.shape[0], dtype=np.int64)
    np.maximum.at(sessions, steps.user, steps.session + 1)
    first_session = np.cumsum(sessions) - sessions
    frame = pl.DataFrame(
        {
            "user": np.repeat(steps.user, k),
            "item": steps.slate.reshape(-1),
            "time_s": np.repeat(time_s, k),
            "session": np.repeat(first_session[steps.user] + steps.session, k),
            "slate": np.repeat(np.arange(n), k),
            "position": np.tile(np.arange(k, dtype=np.int32), n),
            "propensity": np.repeat(np.exp(steps.log_propensity.astype(np.float64)), k),
            **{name: feedback[:, index] for index, name in enumerate(schema.names)},
        }
    )
    if organic.user.size:
        unasked = pl.DataFrame(
            {
                "user": organic.user, "item": organic.item, "time_s": organic.time_s + arrivals[organic.user],
                "session": first_session[organic.user] + organic.session,
                **{name: organic.feedback[:, index] for index, name in enumerate(schema.names)},
            }
        )  # fmt: skip
        frame = pl.concat([frame, unasked], how="diagonal").sort("user", "time_s", maintain_order=True)
    users = steps.profile.shape[0]
    items = to_numpy(task.model.item_features)
    return InteractionLog(
        frame,
        schema,
        pl.Series("id", np.arange(users)),
        pl.Series("id", np.arange(task.model.num_items)),
        _features(steps.profile, "profile"),
        _features(items, "feature"),
        source=task.name,
    )


def _features(values: np.ndarray, prefix: str) -> pl.DataFrame | None:
    if values.shape[1] == 0:
        return None
    return pl.DataFrame({f"{prefix}_{index}": values[:, index] for index in range(values.shape[1])})
