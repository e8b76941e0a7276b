"""A log of users who leave with the time, of which simulated users have too little: their pauses are all the same."""

from functools import lru_cache

import numpy as np
import polars as pl

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.simulators.learned import FittedSimulator, LearnedConfig, fit

DAY = 86_400.0
SMALL = LearnedConfig(hidden=16, item_width=4, max_epochs=3, history=5, window=20, max_snapshots=500)


@lru_cache(maxsize=1)
def rushed_log(users: int = 400, sessions: int = 8, seed: int = 0) -> InteractionLog:
    """One item a slate, clicked by a coin; one pause in five lasts 3 minutes, the others 10 s.

    A session ends after a step with a chance that grows with the minutes so far. The median pause is 10 s, and that is
    how long simulated users pause: their time stands almost still.
    """
    draw = np.random.default_rng(seed)
    rows: list[tuple[float, ...]] = []
    for user in range(users):
        for session in range(sessions):
            start = time = (session + draw.random() * 0.9) * DAY
            while True:
                click = float(draw.random() < 0.5)
                rows.append((user, float(draw.integers(10)), time, user * sessions + session, len(rows), click))
                minutes = (time - start) / 60
                if draw.random() < 1 / (1 + np.exp(3.0 - 1.0 * minutes)):
                    break
                time += 180.0 if draw.random() < 0.2 else 10.0
    names = ["user", "item", "time_s", "session", "slate", "click"]
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row").sort("user", "time_s")
    frame = table.select(
        pl.col("user", "item").cast(pl.Int64), "time_s", pl.col("session", "slate").cast(pl.Int64),
        position=pl.lit(0, dtype=pl.Int32), propensity=pl.lit(None, dtype=pl.Float64),
        click=pl.col("click").cast(pl.Float32),
    )  # fmt: skip
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    return InteractionLog(frame, schema, pl.Series(range(users)), pl.Series(range(10)))


@lru_cache(maxsize=1)
def rushed() -> FittedSimulator:
    """Users learned from all of it, once a test process."""
    return fit(rushed_log(), SMALL, seed=1)
