"""A log whose users were drawn with replacement: the bootstrap of a set's members."""

import numpy as np
import polars as pl
from jaxtyping import Int64

from recgym.data.schema import InteractionLog

__all__ = ["resample_users"]


def resample_users(log: InteractionLog, sample: Int64[np.ndarray, "draws"]) -> InteractionLog:
    """The log as if the drawn users were its users; whoever was drawn several times is several users, who act alike.

    Item ids, items and their features stay as they are. Users are numbered anew, sessions and slates too.

    Args:
        log: the log.
        sample: users of the log.

    Raises:
        ValueError: a user is not in the log, or none of them has a row.
    """
    if sample.size == 0 or not 0 <= int(sample.min()) <= int(sample.max()) < log.n_users:
        raise ValueError(f"{log.source}: a sample of users must name users 0..{log.n_users - 1}")
    drawn = np.sort(sample)
    # Which of the times that the user was drawn this is: sessions and slates of each time must be told apart.
    again = np.arange(drawn.size) - np.searchsorted(drawn, drawn)
    draws = pl.DataFrame({"user": drawn, "drawn": np.arange(drawn.size), "again": again})
    rows = log.frame.with_row_index("row").join(draws, on="user").sort("drawn", "row")
    if rows.height == 0:
        raise ValueError(f"{log.source}: none of the sampled users has a row")

    def apart(name: str) -> pl.Expr:
        numbers = log.frame[name].drop_nulls()
        return pl.col(name) + pl.col("again") * (int(numbers.to_numpy().max(initial=-1)) + 1)

    frame = rows.with_columns(apart("session"), apart("slate"), user=pl.col("drawn")).select(log.frame.columns)
    features = log.user_features
    return InteractionLog(
        frame, log.schema, pl.Series("id", np.arange(drawn.size)), log.item_ids,
        None if features is None else features[drawn], log.item_features,
        log.left_out, log.source, log.time_unit, log.notes,
    )  # fmt: skip
