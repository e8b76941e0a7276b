"""Two numbers can be compared if and only if their protocols are one."""

from dataclasses import replace

import polars as pl
import pytest

from recgym.data import InteractionLog
from recgym.evaluation import NegativeLaw, RankingProtocol, SampledNegatives, SeenItems
from recgym.evaluation.ranking import log_digest
from tests.data.samples import random_log

BASE = RankingProtocol("0123", "leave-one-out test")


def test_every_field_changes_the_digest() -> None:
    others = [
        replace(BASE, data="0124"),
        replace(BASE, split="time split"),
        replace(BASE, candidates=SampledNegatives(100)),
        replace(BASE, candidates=SampledNegatives(101)),
        replace(BASE, candidates=SampledNegatives(100, NegativeLaw.POPULARITY)),
        replace(BASE, candidates=SampledNegatives(100, seed=1)),
        replace(BASE, seen=SeenItems.KEPT),
        replace(BASE, query_time_visible=True),
    ]
    assert len({protocol.digest() for protocol in [BASE, *others]}) == len(others) + 1
    assert replace(BASE).digest() == BASE.digest()


def test_json_says_what_sampling_does() -> None:
    value = replace(BASE, candidates=SampledNegatives(7)).to_json()
    assert value["candidates"]["consistent_with_full_ranking"] is False
    assert BASE.to_json()["candidates"] == "all"
    assert BASE.to_json()["ties"] == "ties count against the model"


def test_no_negatives_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one sampled negative is needed, found 0"):
        SampledNegatives(0)


def test_log_digest_is_fixed() -> None:
    """A changed value means that every committed protocol names another log than it did."""
    assert log_digest(random_log(0)) == "97cb495778527ec2"


def test_log_digest_follows_rows_and_ids() -> None:
    log = random_log(0)
    frame = log.frame
    other = [
        log.with_frame(frame.head(-1)),
        log.with_frame(frame.with_columns(session=pl.lit(0, dtype=pl.Int64))),
        log.with_frame(frame.with_columns(watch=pl.col("watch").fill_null(0.0))),
        log.with_frame(frame.with_columns(time_s=pl.col("time_s") + 1)),
        _renamed(log, pl.Series("id", [f"v{user}" for user in range(log.n_users)])),
        _renamed(log, pl.Series("id", ["u0u", *(f"{user}u" for user in range(1, log.n_users - 1)), "11"])),
    ]
    assert len({log_digest(each) for each in [log, *other]}) == len(other) + 1
    assert log_digest(replace(log, source="elsewhere", notes=("x",))) == log_digest(log)


def _renamed(log: InteractionLog, users: pl.Series) -> InteractionLog:
    return replace(log, user_ids=users)
