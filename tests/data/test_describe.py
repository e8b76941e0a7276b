"""Descriptions against numbers counted by hand."""

import json
from pathlib import Path

import polars as pl
import pytest

from recgym.data import LeftOut, describe, iid_log, read_log, to_frame, write_csv, zipf_popularity
from recgym.data.describe import SlateSizes
from tests.data.samples import random_log, retailrocket, write
from tests.shared import shared_data


def test_a_log_of_slates(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "u,i,t,s,c,w,sess\n1,a,0,1,1,2.5,x\n1,b,0,1,0,,x\n1,a,86400,2,1,0,y\n2,a,5,,1,1,\n2,a,5,,1,1,\n",
    )
    log = read_log(path, "table", columns="user=u,item=i,time=t,slate=s,session=sess,click=c,watch=w:duration")
    found = describe(log)
    assert (found.users, found.items, found.rows, found.exposures, found.slates, found.sessions) == (2, 2, 4, 3, 2, 2)
    assert found.slate_sizes == SlateSizes(1, 1.5, 2)
    assert (found.start, found.end) == ("1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00")
    assert found.days == 1.0
    assert found.consumptions == 3
    assert found.repeat_ratio == pytest.approx(1 / 3)
    click, watch = found.channels
    assert [click.observed, click.positive, click.mean] == pytest.approx([1.0, 2 / 3, 2 / 3])
    assert [watch.observed, watch.positive, watch.mean] == pytest.approx([2 / 3, 0.5, 1.25])
    assert found.left_out == (LeftOut("exact duplicate of another row", 1),)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["channels"][0]["name"] == "click"


def test_an_order_only_log_has_no_span(tmp_path: Path) -> None:
    found = describe(read_log(shared_data("wikipedia"), "sequences"))
    assert found.start is None
    assert found.days is None
    assert found.slate_sizes is None
    assert found.sessions is None


def test_a_clock_without_a_calendar_has_no_dates() -> None:
    log = iid_log(2, 3, zipf_popularity(3), seed=0)
    far = log.with_frame(log.frame.with_columns((pl.col("time_s") + 1) * 1e17))
    assert describe(far).start is None
    assert describe(far).days is not None


def test_export_has_the_original_ids(tmp_path: Path) -> None:
    folder = tmp_path
    log = read_log(retailrocket(folder), "retailrocket")
    assert to_frame(log)["item"].to_list() == [355908, 248676, 248676]
    write_csv(log, folder / "out" / "log.csv")
    again = read_log(
        folder / "out" / "log.csv", "table",
        columns="user=user,item=item,time=time_s,view=view,addtocart=addtocart,transaction=transaction",
    )  # fmt: skip
    assert again.frame.equals(log.frame)


def test_consumed_is_any_feedback_or_no_slate() -> None:
    log = random_log(3)
    expected = [
        row["slate"] is None or any((row[name] or 0) > 0 for name in log.schema.names)
        for row in log.frame.iter_rows(named=True)
    ]
    assert log.consumed.to_list() == expected
    assert log.consumed.dtype == pl.Boolean
