"""A log of users whose patience runs out slate by slate, and who stay away the longer the worse a session was."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.simulators.learned import FittedSimulator, LearnedConfig, fit

DAY = 86_400.0
DAYS = 12.0
KEPT = 0.8
SMALL = LearnedConfig(hidden=16, item_width=4, max_epochs=3, history=5, window=20, max_snapshots=500)


class Moody(NamedTuple):
    """A log, and what is true of it.

    Attributes:
        log: one item a slate, clicked by a coin: what is shown means nothing.
        leave: of each row, the probability that the session ends after it.
        patience: of each row, the patience after it.
    """

    log: InteractionLog
    leave: np.ndarray
    patience: np.ndarray


def leave_probability(patience: np.ndarray) -> np.ndarray:
    """Nobody leaves at a patience of 3, everybody at one of -3."""
    chance: np.ndarray = 1 / (1 + np.exp(1.0 + 2.0 * patience))
    return chance


def mean_gap_s(patience: np.ndarray) -> np.ndarray:
    """Mean of an exponential pause after a session that ended with this patience: half a day to eight."""
    gap: np.ndarray = DAY * 2.0 ** np.clip(1.0 - 2.0 * patience, -1, 3)
    return gap


@lru_cache(maxsize=1)
def moody(users: int = 700, seed: int = 0) -> Moody:
    """Patience begins each session at 0, keeps 0.8 of itself at each step, and gains 0.8 by a click or loses 0.8."""
    draw = np.random.default_rng(seed)
    rows: list[tuple[float, ...]] = []
    session = 0
    for user in range(users):
        time = draw.random() * DAY
        while time < DAYS * DAY:
            patience = 0.0
            while True:
                click = float(draw.random() < 0.45)
                patience = KEPT * patience + (0.8 if click else -0.8)
                chance = float(leave_probability(np.array(patience)))
                rows.append((user, float(draw.integers(10)), time, session, len(rows), click, chance, patience))
                time += 30.0
                if draw.random() < chance:
                    break
            session += 1
            time += draw.exponential(float(mean_gap_s(np.array(patience)))) + 1801.0
    names = ["user", "item", "time_s", "session", "slate", "click", "leave", "patience"]
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row")
    table = table.filter(pl.col("time_s") < DAYS * DAY)
    frame = table.select(
        pl.col("user", "item").cast(pl.Int64), "time_s", pl.col("session", "slate").cast(pl.Int64),
        position=pl.lit(0, dtype=pl.Int32), propensity=pl.lit(None, dtype=pl.Float64),
        click=pl.col("click").cast(pl.Float32),
    )  # fmt: skip
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    log = InteractionLog(frame, schema, pl.Series(range(users)), pl.Series(range(10)))
    return Moody(log, table["leave"].to_numpy(), table["patience"].to_numpy())


@lru_cache(maxsize=1)
def fitted_moody() -> FittedSimulator:
    """Users learned from the first 8 days, once a test process."""
    log = moody().log
    return fit(log.with_frame(log.frame.filter(pl.col("time_s") < 8 * DAY)), SMALL, seed=1)
