"""What an experiment counts: one number a user, from the episode that an arm served."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from recgym.envs.task import Task
from recgym.evaluation.rollout import Episodes

__all__ = ["Metric", "metrics_of", "pick_metrics"]


@dataclass(frozen=True)
class Metric:
    """A number for each user.

    Attributes:
        name: how results call it.
        of: from episodes to one number a user, in the shape of ``episodes.reward``.
    """

    name: str
    of: Callable[[Episodes], Float64[np.ndarray, "seeds users"]]


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """All that can be counted in an environment.

    ``return``, ``length`` (steps), and each feedback channel summed over the episode; where an episode has several
    sessions also ``sessions``, ``days`` (from the first step to the last), ``came_back`` (1 if there was a second
    session), ``days_between_sessions`` (0 for users with one session), and the channels and the length ``per session``.
    Those are means over users of each user's own ratio, so that users stay the units.
    """
    made = [Metric("return", lambda e: e.reward), Metric("length", lambda e: e.length.astype(np.float64))]
    names = task.model.schema.names
    made += [Metric(name, _channel(index)) for index, name in enumerate(names)]
    if task.level == "retention":
        made += [
            Metric("sessions", lambda e: e.sessions.astype(np.float64)),
            Metric("days", lambda e: e.days),
            Metric("came_back", lambda e: (e.sessions > 1).astype(np.float64)),
            Metric(
                "days_between_sessions", lambda e: np.where(e.sessions > 1, e.days / np.maximum(e.sessions - 1, 1), 0.0)
            ),
            Metric("length per session", lambda e: e.length / e.sessions),
            *(Metric(f"{name} per session", _per_session(_channel(index))) for index, name in enumerate(names)),
        ]
    return tuple(made)


def pick_metrics(task: Task, names: tuple[str, ...]) -> tuple[Metric, ...]:
    """The metrics of these names; all if none is named.

    Raises:
        ValueError: the environment has no such metric.
    """
    known = {metric.name: metric for metric in metrics_of(task)}
    for name in names:
        if name not in known:
            raise ValueError(f"{task.name} has no metric {name!r}; its metrics are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else tuple(known.values())


def _channel(index: int) -> Callable[[Episodes], Float64[np.ndarray, "seeds users"]]:
    def of(episodes: Episodes) -> Float64[np.ndarray, "seeds users"]:
        return episodes.feedback[:, :, index]

    return of


def _per_session(of: Callable[[Episodes], np.ndarray]) -> Callable[[Episodes], Float64[np.ndarray, "seeds users"]]:
    def ratio(episodes: Episodes) -> Float64[np.ndarray, "seeds users"]:
        per: np.ndarray = of(episodes) / episodes.sessions
        return per

    return ratio
