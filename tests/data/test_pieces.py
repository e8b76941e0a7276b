"""A log in pieces is the log."""

from pathlib import Path

import polars as pl
import pytest

from recgym.data import convert_log, iter_log, read_log, scan_log
from tests.data.samples import random_log
from tests.shared import shared_data


@pytest.mark.parametrize("rows", [1, 10, 37, 10**6])
def test_pieces_are_the_log_cut_between_users(rows: int, tmp_path: Path) -> None:
    log = random_log(7, n_users=25)
    log.save(tmp_path / "log")
    pieces = list(iter_log(tmp_path / "log", rows=rows))
    assert pl.concat([piece.frame for piece in pieces]).equals(log.frame)
    users = [set(piece.frame["user"].to_list()) for piece in pieces]
    assert sum(len(each) for each in users) == log.frame["user"].n_unique()
    assert len(pieces) == 1 if rows > log.n_rows else len(pieces) > 1
    assert all(piece.n_rows <= rows or len(each) <= 2 or rows >= 10 for piece, each in zip(pieces, users, strict=True))
    assert scan_log(tmp_path / "log").collect().equals(log.frame)


@pytest.mark.parametrize(
    ("path", "format"), [("kuairand", "kuairand"), ("yoochoose", "yoochoose"), ("wikipedia", "sequences"),
                         ("ml-100k", "movielens"), ("online-retail", "online-retail"), ("ebnerd", "ebnerd")]
)  # fmt: skip
def test_real_logs_converted_in_pieces_equal_those_read_at_once(path: str, format: str, tmp_path: Path) -> None:
    source = shared_data(path)
    convert_log(source, format, tmp_path / "out", rows=20_000)
    whole, saved = read_log(source, format), read_log(tmp_path / "out", "recgym")
    assert saved.frame.equals(whole.frame)
    assert saved.left_out == whole.left_out
    assert saved.item_ids.equals(whole.item_ids)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_saved_log_converts_to_itself(tmp_path: Path) -> None:
    log = random_log(1)
    log.save(tmp_path / "a")
    convert_log(tmp_path / "a", "recgym", tmp_path / "b")
    assert read_log(tmp_path / "b", "recgym").frame.equals(log.frame)


def test_what_is_not_a_saved_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a saved recgym log"):
        next(iter_log(tmp_path))
    random_log(1).save(tmp_path / "log")
    with pytest.raises(ValueError, match="rows must be at least 1"):
        next(iter_log(tmp_path / "log", rows=0))
    (tmp_path / "log" / "rows.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"rows\.parquet is not readable as Parquet"):
        next(iter_log(tmp_path / "log"))
