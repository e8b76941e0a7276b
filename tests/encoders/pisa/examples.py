"""Small logs and fitted models that the tests of PISA share."""

from functools import lru_cache

import polars as pl
import torch

from recgym.data import InteractionLog
from recgym.encoders.pisa import PISA, PISAConfig, SessionHistories, fit_pisa
from recgym.simulators.actr import ACTRConfig, actr_log
from recgym.types import History

DAY = 86_400.0
SMALL = PISAConfig(width=8, blocks=1, window=4, session=5, favourites=3, epochs=2, batch_size=16, stride=2)


@lru_cache
def small_log() -> InteractionLog:
    """30 users of up to 9 sessions of 3 to 7 items; the first users have fewer sessions, down to none."""
    log = actr_log(ACTRConfig(num_items=40, num_topics=4, session=(3, 7)), users=30, sessions=9, seed=1)
    number = pl.col("session").rank("dense").over("user")
    return log.with_frame(log.frame.filter(number <= pl.col("user")))


@lru_cache
def small_model() -> PISA:
    return fit_pisa(SMALL, small_log(), seed=0)


def histories(log: InteractionLog, longest: int = SMALL.session) -> SessionHistories:
    return SessionHistories.from_log(log, longest)


def history_of(log: InteractionLog) -> History:
    """All that each user consumed, right-aligned."""
    counts = log.frame["user"].to_numpy()
    length = max(int((counts == user).sum()) for user in range(log.n_users))
    items = torch.full((log.n_users, length), log.n_items)
    time_s = torch.zeros((log.n_users, length), dtype=torch.float64)
    for user in range(log.n_users):
        rows = log.frame.filter(pl.col("user") == user)
        if rows.height:
            items[user, -rows.height :] = torch.tensor(rows["item"].to_list())
            time_s[user, -rows.height :] = torch.tensor(rows["time_s"].to_list(), dtype=torch.float64)
    mask = items < log.n_items
    return History(items, mask[..., None].float(), time_s, mask)


def end_of(log: InteractionLog) -> torch.Tensor:
    """A day after the log ends, for each user."""
    return torch.full((log.n_users,), float(log.frame["time_s"].max()) + DAY, dtype=torch.float64)  # type: ignore[arg-type]
