"""Transitions as an interaction log, so that encoders and simulators can be fitted to what agents learn from."""

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from recgym.data.schema import InteractionLog
from recgym.data.transitions.store import TransitionStore

__all__ = ["log_from_transitions"]


def log_from_transitions(store: TransitionStore) -> InteractionLog:
    """The steps of a store as a log: what :meth:`recgym.evaluation.Rollout.to_log` makes of the same users and actions.

    Each step is a slate with the time at which it ended; the propensity of a row is that of its whole slate, null where
    unknown. What was consumed without a step that shows it, between the steps of an episode or between episodes,
    becomes rows without a slate; so does what was consumed before a user's first step, but only where users consume
    unasked later on too: otherwise it is a history that simulated users came with. Features of items and profiles at
    the start become the log's features. ``recgym ... --data DIR --format recgym`` reads it once it is saved.

    Args:
        store: of any origin; users keep their numbers as original ids.
    """
    problem, columns, steps = store.problem, store.columns, store.steps
    k = problem.slate_size
    users, first = np.unique(columns["user"][store.episodes[:, 0]], return_index=True)
    of_episode = columns["session"][store.episodes[:, 1] - 1].astype(np.int64) + 1
    first_session = np.cumsum(of_episode) - of_episode
    session = first_session[store.episode_of_step] + columns["session"][steps]
    feedback = columns["feedback"][steps].reshape(len(steps) * k, -1)
    propensity = np.exp(columns["log_propensity"][steps].astype(np.float64))
    user = np.searchsorted(users, columns["user"][steps])
    frame = pl.DataFrame(
        {
            "user": np.repeat(user, k),
            "item": columns["slate"][steps].reshape(-1).astype(np.int64),
            "time_s": np.repeat(columns["time_s"][steps], k),
            "session": np.repeat(session, k),
            "slate": np.repeat(np.arange(len(steps)), k),
            "position": np.tile(np.arange(k, dtype=np.int32), len(steps)),
            "propensity": np.repeat(propensity, k),
            **{name: feedback[:, index] for index, name in enumerate(problem.schema.names)},
        }
    ).with_columns(pl.col("propensity").fill_nan(None))
    frame = pl.concat([frame, _unasked(store, users, first_session)], how="diagonal")
    starts = store.episodes[first, 0]
    return InteractionLog(
        frame.sort("user", "time_s", maintain_order=True),
        problem.schema,
        pl.Series("id", users),
        pl.Series("id", np.arange(problem.num_items)),
        _features(columns["profile"][starts], "profile"),
        _features(store.item_features, "feature"),
        source=problem.name,
    )


def _unasked(
    store: TransitionStore, users: Int64[np.ndarray, "U"], first_session: Int64[np.ndarray, "E"]
) -> pl.DataFrame:
    """Rows of what no step explains."""
    columns, episodes = store.columns, store.episodes
    lengths = store.lengths + 1
    points = np.arange(lengths.sum()) + np.repeat(episodes[:, 0] - np.cumsum(lengths) + lengths, lengths)
    ends = np.maximum.accumulate(columns["last_event"][points])  # sessions of a log may overlap
    events = np.flatnonzero(np.isin(columns["event_point"], points[:-1], invert=True))
    # The last point that an event does not lie before; -1 and closing points have the next episode's user behind them.
    place = np.searchsorted(ends, events, side="right") - 1
    following = np.minimum(place + 1, len(points) - 1)
    closing = np.isin(points, episodes[:, 1])
    inside = (place >= 0) & ~closing[place]
    reach = columns["first_event"][points[following]]
    known = (events >= reach) & (events < ends[following])
    owner = np.where(inside, points[np.maximum(place, 0)], points[following])
    kept = inside | known
    first_of_user = np.isin(points[following], episodes[_firsts(columns["user"][episodes[:, 0]]), 0])
    before = known & ~inside & first_of_user
    if not (inside & (columns["event_point"][events] < 0)).any():
        kept &= ~before
    episode = np.repeat(np.arange(len(episodes)), lengths)
    session = first_session[episode[np.maximum(place, 0)]] + columns["session"][points[np.maximum(place, 0)]]
    session = np.where(before, first_session[episode[following]], session)
    rows = events[kept]
    feedback = columns["event_feedback"][rows]
    return pl.DataFrame(
        {
            "user": np.searchsorted(users, columns["user"][owner[kept]]),
            "item": columns["event_items"][rows].astype(np.int64),
            "time_s": columns["event_time_s"][rows],
            "session": pl.Series(session[kept], dtype=pl.Int64).set(pl.Series(~(inside | before)[kept]), None),
            **{name: feedback[:, index] for index, name in enumerate(store.problem.schema.names)},
        }
    )


def _firsts(values: Int64[np.ndarray, "E"]) -> Bool[np.ndarray, "E"]:
    """Where a value stands for the first time."""
    first = np.zeros(len(values), bool)
    first[np.unique(values, return_index=True)[1]] = True
    return first


def _features(values: np.ndarray, prefix: str) -> pl.DataFrame | None:
    if values.shape[1] == 0:
        return None
    return pl.DataFrame({f"{prefix}_{index}": np.asarray(values[:, index]) for index in range(values.shape[1])})
