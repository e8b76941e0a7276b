"""Cutting each user's rows into sessions."""

import polars as pl

from recgym.data.schema import InteractionLog

__all__ = ["sessionise"]


def sessionise(log: InteractionLog, gap_s: float) -> InteractionLog:
    """Start a new session where a user was away for longer than a gap; sessions of the source are replaced.

    Args:
        log: a log with times.
        gap_s: the longest time between two rows of one session, in seconds.

    Returns:
        The same rows, each with a session id; ids run from 0 in the order of the rows and are unique over users.

    Raises:
        ValueError: the gap is not a positive number, or the log knows only the order of events.
    """
    if not gap_s > 0:
        raise ValueError(f"the session gap must be a positive number of seconds, found {gap_s}")
    if log.time_unit == "order":
        raise ValueError(
            f"{log.source}: sessions cannot be cut by a gap, as the log knows the order of events but no times"
        )
    user, time = pl.col("user"), pl.col("time_s")
    starts = (user != user.shift(1)) | (time - time.shift(1) > gap_s)
    return log.with_frame(log.frame.with_columns(session=starts.fill_null(False).cum_sum().cast(pl.Int64)))
