"""Sessions of a few distinct items, and the count of all that is left out."""

import polars as pl
import pytest

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog, LeftOut, distinct_sessions, read_log
from tests.shared import shared_data


def small_log(rows: list[tuple[int, int, float]], clicks: list[float] | None = None) -> InteractionLog:
    """A log of (user, item, minute); rows with clicks given are exposures of a slate each."""
    user, item, minute = zip(*rows, strict=True)
    slates = list(range(len(rows))) if clicks else [None] * len(rows)
    frame = pl.DataFrame(
        {
            "user": user, "item": item, "time_s": [60.0 * m for m in minute], "session": [None] * len(rows),
            "slate": slates, "position": [None] * len(rows), "propensity": [None] * len(rows),
            "click": clicks or [1.0] * len(rows),
        },
        schema={
            "user": pl.Int64, "item": pl.Int64, "time_s": pl.Float64, "session": pl.Int64, "slate": pl.Int64,
            "position": pl.Int32, "propensity": pl.Float64, "click": pl.Float32,
        },
    )  # fmt: skip
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    return InteractionLog(frame, schema, pl.Series("id", ["a", "b"]), pl.Series("id", list("uvwxyz")))


ROWS = [
    (0, 0, 0.0), (0, 1, 5.0), (0, 0, 10.0), (0, 2, 29.0), (0, 3, 30.0),  # one session: 19 minutes are no gap
    (0, 4, 51.0), (0, 5, 52.0),  # 21 minutes later
    (1, 2, 52.0),  # another user
]  # fmt: skip


def test_first_distinct_items_of_sessions_that_are_long_enough() -> None:
    log = distinct_sessions(small_log(ROWS), longest=3, shortest=2)
    assert log.frame.select("user", "item").rows() == [(0, 0), (0, 1), (0, 2), (0, 4), (0, 5)]
    assert log.frame["session"].to_list() == [0, 0, 0, 1, 1]
    assert log.left_out == (
        LeftOut("of an item that the session held already", 1),
        LeftOut("after the first 3 items of the session", 1),
        LeftOut("in a session of fewer than 2 items", 1),
    )
    assert log.n_rows + sum(entry.rows for entry in log.left_out) == len(ROWS)


def test_another_gap_and_the_sessions_of_the_log() -> None:
    whole = distinct_sessions(small_log(ROWS), gap_s=86_400.0, longest=10, shortest=1)
    assert whole.frame["session"].n_unique() == 2
    halves = whole.with_frame(whole.frame.with_columns(session=pl.col("item") // 3 + 2 * pl.col("user")))
    kept = distinct_sessions(halves, gap_s=None, longest=10, shortest=2)
    assert kept.frame["session"].unique().sort().to_list() == [0, 1]


def test_what_was_only_shown_does_not_count() -> None:
    clicks = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    log = distinct_sessions(small_log(ROWS, clicks), longest=3, shortest=2)
    assert log.frame["item"].to_list() == [4, 5]
    assert log.left_out[0] == LeftOut("shown but not consumed", 4)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="found shortest=4, longest=3"):
        distinct_sessions(small_log(ROWS), longest=3, shortest=4)
    with pytest.raises(ValueError, match="no row is left; the last ones went because they were in a session of fewer"):
        distinct_sessions(small_log(ROWS), longest=10, shortest=9)
    with pytest.raises(ValueError, match="they were in no session"):
        distinct_sessions(small_log(ROWS), gap_s=None)


@pytest.mark.data
def test_invoices_of_a_shop() -> None:
    log = read_log(shared_data("online-retail"), "online-retail")
    baskets = distinct_sessions(log, gap_s=86_400.0, longest=10, shortest=2)
    sizes = baskets.frame.group_by("user", "session").len()["len"]
    assert (sizes.min(), sizes.max()) == (2, 10)
    new = baskets.left_out[len(log.left_out) :]
    assert baskets.n_rows + sum(entry.rows for entry in new) == log.n_rows
