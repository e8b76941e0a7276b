"""The interaction log refuses rows that break its rules, and survives saving."""

import json
from pathlib import Path

import polars as pl
import pytest

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog, LeftOut, iid_log, zipf_popularity
from recgym.files import write_json
from tests.data.samples import random_log

LOG = iid_log(2, 3, zipf_popularity(4), seed=0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (pl.lit(9, dtype=pl.Int64).alias("item"), r"row 0, column 'item': found 9, expected an id in 0\.\.3"),
        (pl.lit(None, dtype=pl.Int64).alias("user"), r"column 'user': found None, expected an id in 0\.\.1"),
        (pl.lit(float("nan")).alias("time_s"), r"column 'time_s': found nan, expected a finite time"),
        ((-pl.col("time_s")).alias("time_s"), r"row 1, column 'time_s'.*sorted by user and then by time"),
        (pl.lit(0.0).alias("time_s"), r"such row was expected once"),
        (pl.lit(1.5).alias("propensity"), r"column 'propensity': found 1\.5, expected a probability"),
        (pl.lit(0.5, dtype=pl.Float32).alias("click"), r"column 'click': found 0\.5, expected 0 or 1"),
        (pl.lit(float("inf"), dtype=pl.Float32).alias("click"), r"column 'click': found inf, expected 0 or 1"),
        (pl.col("item").cast(pl.Int32), r"column 'item' has type Int32, expected Int64"),
        (pl.lit(1).alias("extra"), r"columns \['extra'\] are neither log columns nor feedback channels"),
    ],
)
def test_rows_that_break_the_rules(change: pl.Expr, sentence: str) -> None:
    frame = LOG.frame
    if "once" in sentence:
        change, frame = change, frame.with_columns(item=pl.lit(1, dtype=pl.Int64))
    with pytest.raises(ValueError, match=sentence):
        LOG.with_frame(frame.with_columns(change))


def test_a_missing_column_and_an_empty_log() -> None:
    with pytest.raises(ValueError, match="column 'slate' is missing; found user, item"):
        LOG.with_frame(LOG.frame.drop("slate"))
    with pytest.raises(ValueError, match="the log is empty"):
        LOG.with_frame(LOG.frame.clear())
    with pytest.raises(ValueError, match="user_features has 1 rows, expected 2"):
        InteractionLog(LOG.frame, LOG.schema, LOG.user_ids, LOG.item_ids, user_features=pl.DataFrame({"age": [1]}))


def test_channels_say_what_is_wrong_with_them() -> None:
    with pytest.raises(ValueError, match="is taken by a column"):
        Channel("slate", ChannelKind.BINARY)
    with pytest.raises(ValueError, match="low must be below high"):
        Channel("stars", ChannelKind.RATING, low=5, high=1)
    with pytest.raises(ValueError, match="no name twice"):
        FeedbackSchema((Channel("a", ChannelKind.COUNT), Channel("a", ChannelKind.COUNT)))
    with pytest.raises(ValueError, match="there is no feedback channel 'like'; there are: click, watch"):
        random_log(0).schema.index("like")


def test_a_saved_log_comes_back_whole(tmp_path: Path) -> None:
    log = random_log(1)
    full = InteractionLog(
        log.frame, log.schema, log.user_ids, log.item_ids, pl.DataFrame({"age": range(log.n_users)}),
        pl.DataFrame({"title": [f"t{i}" for i in range(log.n_items)]}), (LeftOut("why", 3),), "here", "s", ("a note",),
    )  # fmt: skip
    full.save(tmp_path / "log")
    back = InteractionLog.load(tmp_path / "log")
    assert back.frame.equals(full.frame)
    assert back.schema == full.schema
    assert back.user_features is not None
    assert back.user_features.equals(pl.DataFrame({"age": range(log.n_users)}))
    assert back.item_features is not None
    assert back.item_features["title"][2] == "t2"
    assert (back.left_out, back.source, back.time_unit, back.notes) == (full.left_out, "here", "s", ("a note",))
    assert back.user_ids.equals(full.user_ids)
    assert FeedbackSchema.from_json(full.schema.to_json()) == full.schema


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"log\.json does not exist"):
        InteractionLog.load(tmp_path)
    write_json(tmp_path / "log.json", {"format": "other"})
    with pytest.raises(ValueError, match="does not describe a saved recgym log"):
        InteractionLog.load(tmp_path)


def test_bounds_that_are_infinite_survive_json() -> None:
    schema = FeedbackSchema((Channel("engagement", ChannelKind.DURATION, low=-float("inf")),))
    assert FeedbackSchema.from_json(json.loads(json.dumps(schema.to_json(), allow_nan=False))) == schema
