"""A log whose every probability is known, and the small settings that learn it in seconds."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog, split_by_time
from recgym.simulators.learned import FittedSimulator, LearnedConfig, fit

ITEMS, USERS, SLATE = 20, 240, 4
LEAVE = {True: 0.15, False: 0.45}
SMALL = LearnedConfig(hidden=32, item_width=8, max_epochs=8, batch_windows=16, history=8, window=20, max_snapshots=500)
SCHEMA = FeedbackSchema(
    (
        Channel("click", ChannelKind.BINARY),
        Channel("watch", ChannelKind.DURATION, "s"),
        Channel("stars", ChannelKind.RATING, "", 0, 5),
    )
)


class Known(NamedTuple):
    """A log and, for each of its rows, the probability of a click."""

    log: InteractionLog
    probability: np.ndarray


def click_probability(group: np.ndarray, item: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Users of group 0 like items of even id, those of group 1 items of odd id; lower positions are clicked less."""
    logit = -1.0 + 2.0 * (item % 2 == group) - 0.3 * position + 0.05 * (item - ITEMS / 2)
    probability: np.ndarray = 1 / (1 + np.exp(-logit))
    return probability


def known_log(seed: int = 0, users: int = USERS, sessions: int = 10) -> Known:
    """Clicks are independent given group, item and position; a session ends with 0.15 after a click, else 0.45."""
    generator = np.random.default_rng(seed)
    group = np.arange(users) % 2
    rows: list[tuple[float, ...]] = []
    slate = 0
    for session in range(sessions):
        for user in range(users):
            time = session * 86_400.0 + float(generator.integers(40_000))
            while True:
                items = generator.choice(ITEMS, SLATE, replace=False)
                chance = click_probability(group[user], items, np.arange(SLATE))
                click = generator.random(SLATE) < chance
                watch = np.exp(generator.normal(2.0, 0.5, SLATE)) * click
                stars = np.clip(np.round(generator.normal(3.5, 1.0, SLATE), 1), 1, 5)
                for k in range(SLATE):
                    value = float(stars[k]) if click[k] else float("nan")
                    rows.append(
                        (user, items[k], time, session * users + user, slate, k, click[k], watch[k], value, chance[k])
                    )
                slate += 1
                time += 20.0 + float(watch.sum())
                if generator.random() < LEAVE[bool(click.any())]:
                    break
    names = ["user", "item", "time_s", "session", "slate", "position", "click", "watch", "stars", "chance"]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row").sort("user", "time_s", "position")
    chance = frame["chance"].to_numpy()
    frame = frame.select(
        pl.col("user", "item").cast(pl.Int64), "time_s", pl.col("session", "slate").cast(pl.Int64),
        pl.col("position").cast(pl.Int32), propensity=pl.lit(None, dtype=pl.Float64),
        click=pl.col("click").cast(pl.Float32), watch=pl.col("watch").cast(pl.Float32),
        stars=pl.col("stars").fill_nan(None).cast(pl.Float32),
    )  # fmt: skip
    log = InteractionLog(
        frame, SCHEMA, pl.Series([f"u{i}" for i in range(users)]), pl.Series([f"i{i}" for i in range(ITEMS)]),
        user_features=pl.DataFrame({"group": [["even", "odd"][g] for g in group]}),
    )  # fmt: skip
    return Known(log, chance)


@lru_cache(maxsize=1)
def known() -> Known:
    """The log, made once a test process."""
    return known_log()


@lru_cache(maxsize=1)
def fitted() -> FittedSimulator:
    """Users learned from the first 80 % of the log in time, once a test process."""
    return fit(split_by_time(known().log, 0.2).train, SMALL, seed=1)


def plain_log(n_users: int = 60, length: int = 30, timed: bool = True, rated: bool = True) -> InteractionLog:
    """Consumption without slates: users walk up the items in steps of 1, now and then jumping to a random one."""
    generator = np.random.default_rng(3)
    jump = generator.random((n_users, length)) < 0.2
    walk = (generator.integers(ITEMS, size=(n_users, 1)) + np.arange(length)) % ITEMS
    items = np.where(jump, generator.integers(ITEMS, size=walk.shape), walk)
    n = items.size
    time = np.tile(np.arange(length) * 600.0 + (np.arange(length) // 5) * 7200.0, (n_users, 1))
    channel = Channel("rating", ChannelKind.RATING, "", 1, 5) if rated else Channel("event", ChannelKind.BINARY)
    value = 1.0 + (items % 5) if rated else np.ones_like(items)
    none = pl.repeat(None, n, dtype=pl.Int64, eager=True)
    frame = pl.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), length), "item": items.ravel(),
            "time_s": time.ravel() if timed else np.tile(np.arange(float(length)), n_users),
            "session": none, "slate": none, "position": none.cast(pl.Int32), "propensity": none.cast(pl.Float64),
            channel.name: pl.Series(value.ravel(), dtype=pl.Float32),
        }
    )  # fmt: skip
    return InteractionLog(
        frame, FeedbackSchema((channel,)), pl.Series(range(n_users)), pl.Series(range(100, 100 + ITEMS)),
        time_unit="s" if timed else "order",
    )  # fmt: skip


def released_log(n_users: int = 80, length: int = 25, n_items: int = 60, days: int = 100) -> InteractionLog:
    """Nothing to learn: items come out one by one, and users take any of those that are out, all equally likely."""
    generator = np.random.default_rng(11)
    day = np.sort(generator.random((n_users, length)) * days, axis=1)
    out = np.linspace(0, days, n_items)
    out[:5] = 0.0
    item = (generator.random(day.shape) * np.searchsorted(out, day, side="right")).astype(np.int64)
    # Ids must not tell the order in which items came out.
    item = generator.permutation(n_items)[item]
    n = item.size
    none = pl.repeat(None, n, dtype=pl.Int64, eager=True)
    frame = pl.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), length), "item": item.ravel(),
            "time_s": np.floor(day.ravel() * 86400), "session": none, "slate": none,
            "position": none.cast(pl.Int32), "propensity": none.cast(pl.Float64),
            "event": pl.Series(np.ones(n), dtype=pl.Float32),
        }
    )  # fmt: skip
    schema = FeedbackSchema((Channel("event", ChannelKind.BINARY),))
    return InteractionLog(frame, schema, pl.Series(range(n_users)), pl.Series(range(n_items)))
