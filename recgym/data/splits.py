"""Cutting a log in two or three for fitting and checking, without ever cutting through a slate."""

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from recgym.data.schema import InteractionLog
from recgym.seeding import make_generator

__all__ = ["LeaveOneOut", "Split", "leave_one_out", "split_by_time", "split_by_user", "split_each_user"]


class Split(NamedTuple):
    """A log in two parts with the same id maps.

    Attributes:
        train: the part to fit on.
        test: the part to check on.
    """

    train: InteractionLog
    test: InteractionLog


class LeaveOneOut(NamedTuple):
    """A log in three parts with the same id maps.

    Attributes:
        train: all that comes before the other two.
        validation: each user's last consumption but one.
        test: each user's last consumption.
    """

    train: InteractionLog
    validation: InteractionLog
    test: InteractionLog


def split_by_time(log: InteractionLog, test_fraction: float = 0.2) -> Split:
    """Cut at one moment for all users: what comes before is train, the rest test.

    The moment is the quantile ``1 - test_fraction`` of the times of the exposures (rows with a slate) if the log has
    any, else of all rows; rows at the very moment go to test. A slate whose rows have different times goes by its
    last one, so that nothing in train happened after the cut.

    Args:
        log: a log with times.
        test_fraction: about how much of the log is tested on, in (0, 1).

    Raises:
        ValueError: the fraction is outside (0, 1), a part would be empty, or the log knows only the order of events,
            which cannot be compared between users (:func:`split_each_user` can cut such a log).
    """
    _check_fraction(test_fraction)
    if log.time_unit == "order":
        raise ValueError(
            f"{log.source}: the log knows the order of events but no times, so it has no common moment to be cut at; "
            "use split_each_user, leave_one_out or split_by_user"
        )
    frame = log.frame.with_columns(moment=pl.col("time_s").max().over(_unit()))
    times = (frame.filter(pl.col("slate").is_not_null()) if log.has_slates else frame)["moment"].sort()
    cut = times[min(math.floor((1 - test_fraction) * len(times)), len(times) - 1)]
    return _split(log, (frame["moment"] >= cut))


def split_by_user(log: InteractionLog, test_fraction: float, seed: int) -> Split:
    """Put all rows of randomly drawn users into test and those of the others into train.

    Args:
        log: any log of at least two users.
        test_fraction: share of the users who have rows, in (0, 1); at least one user goes to each part.
        seed: decides which users are drawn.

    Raises:
        ValueError: the fraction is outside (0, 1), or there is only one user.
    """
    _check_fraction(test_fraction)
    users = log.frame["user"].unique().sort().to_numpy()
    generator = make_generator(seed, "split_by_user", device="numpy")
    assert isinstance(generator, np.random.Generator)
    count = min(max(round(test_fraction * len(users)), 1), len(users) - 1)
    drawn = generator.permutation(users)[:count]
    return _split(log, log.frame["user"].is_in(pl.Series(drawn, dtype=pl.Int64).implode()))


def split_each_user(log: InteractionLog, test_fraction: float = 0.2) -> Split:
    """Cut each user's own history: the last slates and rows without a slate go to test. Needs no times, only order.

    Args:
        log: any log; the order of a user's rows counts.
        test_fraction: share of each user's units (a slate, or a row without one) in (0, 1), rounded down: a user of too
            few units is all train.

    Raises:
        ValueError: the fraction is outside (0, 1), or a part would be empty.
    """
    _check_fraction(test_fraction)
    rank = pl.col("unit").rank("dense").over("user")
    count = pl.col("unit").n_unique().over("user")
    test = _with_units(log).select(test=rank > count - (count * test_fraction).floor())["test"]
    return _split(log, test)


def leave_one_out(log: InteractionLog) -> LeaveOneOut:
    """Test on each user's last consumption, validate on the one before; the usual split of sequential recommendation.

    A consumption is a row of :attr:`InteractionLog.consumed`; several in one slate count as one. Test starts at the
    slate or row of the last one, validation at that of the one before, so rows passed over go along in time order. A
    user of fewer than three consumptions is all train.

    Raises:
        ValueError: no user has three consumptions.
    """
    frame = _with_units(log).with_columns(consumed=log.consumed)
    units = frame.filter("consumed").select("user", "unit").unique()
    last = units.group_by("user").agg(pl.col("unit").top_k(3)).filter(pl.col("unit").list.len() == 3)
    if last.height == 0:
        raise ValueError(f"{log.source}: leave-one-out needs a user of at least three consumptions, found none")
    ordered = pl.col("unit").list.sort(descending=True)
    cuts = last.select("user", test=ordered.list.get(0), validation=ordered.list.get(1))
    cut = frame.select("user", "unit").join(cuts, on="user", how="left", maintain_order="left")
    in_test = (cut["unit"] >= cut["test"]).fill_null(False)
    after_train = (cut["unit"] >= cut["validation"]).fill_null(False)
    return LeaveOneOut(
        log.with_frame(log.frame.filter(~after_train)),
        log.with_frame(log.frame.filter(after_train & ~in_test)),
        log.with_frame(log.frame.filter(in_test)),
    )


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"the test fraction must be above 0 and below 1, found {fraction}")


def _unit() -> pl.Expr:
    """What must stay together: a slate, or a single row without one (numbered below 0 to keep clear of slates)."""
    return pl.coalesce(pl.col("slate"), -1 - pl.int_range(pl.len(), dtype=pl.Int64))


def _with_units(log: InteractionLog) -> pl.DataFrame:
    """The log with a column ``unit``: the first row of what must stay together, hence in the order of the log."""
    frame = log.frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64), key=_unit())
    return frame.with_columns(unit=pl.col("row").min().over("key"))


def _split(log: InteractionLog, test: pl.Series) -> Split:
    count = int(test.sum())
    if not 0 < count < log.n_rows:
        part = "train" if count else "test"
        raise ValueError(f"{log.source}: the split leaves no rows for {part} of {log.n_rows} rows in all")
    return Split(log.with_frame(log.frame.filter(~test)), log.with_frame(log.frame.filter(test)))
