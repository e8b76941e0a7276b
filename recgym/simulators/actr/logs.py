"""Synthetic logs of people who come back to what they know."""

import numpy as np
import polars as pl
import torch

from recgym.data.schema import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.actr.making import ACTRConfig, make_items, make_people, make_times
from recgym.simulators.actr.sessions import Taken, draw_calendar, live

__all__ = ["actr_log", "log_of"]


def actr_log(config: ACTRConfig, users: int, sessions: int, seed: int) -> InteractionLog:
    """The log of people who start without any memory and consume by themselves, by the law of :class:`ACTRMemory`.

    Sessions hold distinct items; rows have no slates. The config decides the world; the seed what happens in it.

    Args:
        config: the world; its ``people`` and ``past_sessions`` are not looked at.
        users: how many people.
        sessions: of each.
        seed: of the draws.

    Raises:
        ValueError: there is no user or session.
    """
    if users < 1 or sessions < 1:
        raise ValueError(f"at least one user and one session are needed, found {users} users and {sessions} sessions")
    items, times = make_items(config), make_times(config)
    people = make_people(config, items, users)
    generator = make_generator(seed, "actr log")
    assert isinstance(generator, torch.Generator)
    calendar = draw_calendar(times, people.pace, sessions, generator)
    # Users begin within a week of each other, so that a common cut in time leaves some sessions of each on both sides.
    start = 7 * 86_400.0 * torch.rand(users, generator=generator, dtype=torch.float64)
    calendar = calendar._replace(time_s=calendar.time_s + start[:, None, None])
    taken = live(config.memory, items, people, calendar, config.window, generator)
    return log_of(taken, users, items.num_items, "ACT-R users")


def log_of(taken: Taken, users: int, num_items: int, source: str) -> InteractionLog:
    """What people took, as a log with sessions and one channel, ``listen``."""
    new = np.ones(len(taken.user), dtype=bool)
    new[1:] = (np.diff(taken.user) != 0) | (np.diff(taken.session) != 0)
    empty = {"slate": pl.Int64, "position": pl.Int32, "propensity": pl.Float64}
    frame = pl.DataFrame(
        {"user": taken.user, "item": taken.item, "time_s": taken.time_s, "session": np.cumsum(new) - 1}
    ).with_columns(
        *(pl.lit(None, dtype=dtype).alias(name) for name, dtype in empty.items()),
        listen=pl.lit(1.0, dtype=pl.Float32),
    )
    order = ["user", "item", "time_s", "session", "slate", "position", "propensity", "listen"]
    schema = FeedbackSchema((Channel("listen", ChannelKind.BINARY),))
    ids = [pl.Series("id", np.arange(count)) for count in (users, num_items)]
    return InteractionLog(frame.select(order), schema, ids[0], ids[1], source=source)
