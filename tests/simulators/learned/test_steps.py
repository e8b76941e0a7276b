import numpy as np
import polars as pl

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.simulators.learned.sessions import SessionFacts, leave_labels
from recgym.simulators.learned.steps import Behaviour, exposure_source, ranges
from tests.simulators.learned.known import plain_log, released_log


def small_log() -> InteractionLog:
    """User 0 reads 4, is shown (0, 1) and takes 1, then (1, 2) and takes nothing; user 1 is shown 3 and takes it."""
    rows = [
        (0, 4, 0.0, None, None, 1.0),
        (0, 0, 10.0, 0, 0, 0.0), (0, 1, 10.0, 0, 1, 1.0),
        (0, 1, 70.0, 1, 0, 0.0), (0, 2, 70.0, 1, 1, 0.0),
        (1, 3, 5000.0, 2, 0, 1.0),
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["user", "item", "time_s", "slate", "position", "click"], orient="row").select(
        pl.col("user", "item").cast(pl.Int64), pl.col("time_s").cast(pl.Float64),
        pl.lit(None, dtype=pl.Int64).alias("session"), pl.col("slate").cast(pl.Int64),
        pl.col("position").cast(pl.Int32), pl.lit(None, dtype=pl.Float64).alias("propensity"),
        pl.col("click").cast(pl.Float32),
    )  # fmt: skip
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    return InteractionLog(frame, schema, pl.Series([0, 1]), pl.Series(range(5)))


def behaviour(log: InteractionLog, negatives: int = 3) -> Behaviour:
    return Behaviour.of(log, exposure_source(log), negatives, 1800.0, np.random.default_rng(0))


def test_a_log_becomes_events_exposures_and_rows() -> None:
    b = behaviour(small_log())
    assert b.taken_item.tolist() == [4, 1, 3]
    assert b.event_time.tolist() == [0.0, 10.0, 5000.0]
    np.testing.assert_array_equal(b.event_gap, [np.nan, 10.0, np.nan])
    assert b.user_event_start.tolist() == [0, 2, 3]
    assert b.step_user.tolist() == [0, 0, 1], "an organic read is an event, not an exposure"
    assert b.step_events.tolist() == [1, 2, 2]
    assert b.step_taken.tolist() == [True, False, True]
    assert b.step_size.tolist() == [2, 2, 1]
    assert b.row_item.tolist() == [0, 1, 1, 2, 3]
    assert b.rows_of(np.array([2, 0])).tolist() == [4, 0, 1]


def test_sessions_are_cut_at_long_pauses_and_their_ends_labelled() -> None:
    b = behaviour(small_log())
    assert b.step_index.tolist() == [0, 1, 0]
    labels = leave_labels(b, end_time=5000.0, session_gap_s=1800.0)
    assert labels.last.tolist() == [False, True, True]
    assert labels.known.tolist() == [True, True, False], "the last session may go on after the log"


def test_the_window_holds_what_was_taken_before_and_only_by_the_same_user() -> None:
    b = behaviour(small_log())
    recent = b.recent_items(np.arange(3), 3)
    items = np.where(recent >= 0, b.taken_item[recent], -1)
    assert items.tolist() == [[-1, -1, 4], [-1, 4, 1], [-1, -1, -1]]
    assert b.repeats(3).tolist() == [0, 0, 1, 0, 0]


def test_imputed_rows_are_marked_unobserved_but_for_the_gate_and_never_taken_ones() -> None:
    log = plain_log()
    b = behaviour(log)
    assert b.schema.names == ("consumed", "rating")
    real = b.row_real
    assert real.sum() == log.n_rows
    assert 2.5 < (~real).sum() / real.sum() <= 3.0
    assert bool((b.row_labels[~real] == 0).all())
    assert bool(b.row_observed[~real, 0].all())
    assert not b.row_observed[~real, 1].any()
    taken = set(zip(b.row_step[real].tolist(), b.row_item[real].tolist(), strict=True))
    assert not taken & set(zip(b.row_step[~real].tolist(), b.row_item[~real].tolist(), strict=True))
    assert bool((b.step_size == 0).all())


def test_no_item_is_passed_over_or_explained_before_it_was_seen() -> None:
    log = released_log()
    b = behaviour(log)
    first = np.full(log.n_items, np.inf)
    np.minimum.at(first, log.frame["item"].to_numpy(), log.frame["time_s"].to_numpy())
    seen = first[b.row_item] < b.step_time[b.row_step]
    assert seen[~b.row_real].all()
    assert (b.row_observed.all(1) == seen).all(), "a first appearance would give itself away by being one"
    assert (~seen).sum() == np.unique(log.frame["item"].to_numpy()).size
    assert b.taken_item.size == log.n_rows, "it is history all the same"
    negatives = np.bincount(b.row_step[~b.row_real], minlength=b.n_steps)
    assert not negatives[b.row_step[~seen]].any()
    youngest = b.row_item[~b.row_real][b.step_time[b.row_step[~b.row_real]] > 95 * 86400]
    assert np.unique(youngest).size > 50, "late steps draw from nearly all items"


def test_items_seen_by_earlier_behaviour_can_be_passed_over_from_the_start() -> None:
    log = released_log()
    earlier = np.full(log.n_items, -1.0)
    b = Behaviour.of(log, exposure_source(log), 3, 1800.0, np.random.default_rng(0), earlier)
    assert b.row_observed.all()
    day = b.step_time[b.row_step] < 10 * 86400
    assert np.unique(b.row_item[day & ~b.row_real]).size > 50


def test_what_is_recorded_at_the_time_of_an_exposure_is_no_history_of_it() -> None:
    log = small_log()
    twice = log.frame.head(1).with_columns(item=pl.lit(1, dtype=pl.Int64), time_s=pl.lit(10.0))
    b = behaviour(log.with_frame(pl.concat([log.frame, twice]).sort("user", "time_s", maintain_order=True)))
    assert b.taken_item.tolist() == [4, 1, 1, 3]
    assert b.step_events.tolist() == [1, 3, 3]
    assert b.step_after.tolist() == [3, 3, 4]
    assert b.repeats(3).tolist() == [0, 0, 2, 0, 0], "item 1 of the slate at 10 s is not a repeat of itself"


def test_steps_of_unknown_sessions_are_not_of_one_session() -> None:
    log = small_log()
    session = pl.when(pl.col("user") == 1).then(0).cast(pl.Int64)
    facts = SessionFacts.of(behaviour(log.with_frame(log.frame.with_columns(session=session))), True, 10.0)
    assert facts.base_step_s == 1.0, "60 s lie between two steps that may be of different sessions"


def test_the_clock_and_the_pauses_are_read_off_the_log() -> None:
    facts = SessionFacts.of(behaviour(plain_log()), True, 10.0)
    assert facts.base_step_s == 600.0
    assert set(facts.gaps_s.tolist()) == {7800.0}
    unknown = SessionFacts.of(behaviour(plain_log(timed=False)), False, 10.0)
    assert (unknown.base_step_s, unknown.leave_probability, unknown.gaps_s.size) == (1.0, 0.1, 0)


def test_ranges_run_through_each_interval() -> None:
    assert ranges(np.array([3, 0, 7]), np.array([5, 0, 10])).tolist() == [3, 4, 7, 8, 9]
    assert ranges(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).tolist() == []
