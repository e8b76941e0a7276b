"""Cutting each user's rows into sessions."""

from dataclasses import replace

import polars as pl

from recgym.data.schema import InteractionLog, LeftOut

__all__ = ["distinct_sessions", "sessionise"]


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


def distinct_sessions(
    log: InteractionLog, gap_s: float | None = 1200.0, longest: int = 10, shortest: int = 10
) -> InteractionLog:
    """What was consumed, in sessions of a few distinct items: the form of session-level recommenders.

    Of each session the first ``longest`` distinct items stay, each where it first stands, as in "Transformers Meet
    ACT-R" (arXiv 2408.16578); sessions of fewer than ``shortest`` distinct items go. Every row that goes is counted in
    :attr:`InteractionLog.left_out`.

    Args:
        log: a log with times, or with sessions.
        gap_s: a longer pause starts a new session, in seconds (20 minutes for music, a day for retail); None keeps the
            sessions of the log.
        longest: distinct items of a session that stay.
        shortest: distinct items that a session needs.

    Raises:
        ValueError: the bounds are not ascending and positive, the log has neither times nor sessions, or nothing stays.
    """
    if not 1 <= shortest <= longest:
        raise ValueError(f"sessions need 1 <= shortest <= longest, found shortest={shortest}, longest={longest}")
    left_out = list(log.left_out)

    def keep(rows: pl.DataFrame, condition: pl.Expr, reason: str) -> pl.DataFrame:
        kept = rows.filter(condition)
        if kept.height < rows.height:
            left_out.append(LeftOut(reason, rows.height - kept.height))
        if kept.height == 0:
            raise ValueError(f"{log.source}: no row is left; the last ones went because they were {reason}")
        return kept

    frame = log.frame.with_columns(consumed=log.consumed)
    frame = keep(frame, pl.col("consumed"), "shown but not consumed").drop("consumed")
    if gap_s is not None:
        frame = sessionise(log.with_frame(frame), gap_s).frame
    frame = keep(frame, pl.col("session").is_not_null(), "in no session")
    first = pl.struct("user", "session", "item").is_first_distinct()
    frame = keep(frame, first, "of an item that the session held already")
    place = pl.int_range(pl.len()).over("user", "session")
    frame = keep(frame, place < longest, f"after the first {longest} items of the session")
    size = pl.len().over("user", "session")
    frame = keep(frame, size >= shortest, f"in a session of fewer than {shortest} items")
    return replace(log.with_frame(frame), left_out=tuple(left_out))
