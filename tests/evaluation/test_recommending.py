"""Recommendations to a log in blocks are those to the whole log."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recgym.cli.main import main
from recgym.data import markov_log, random_transitions
from recgym.encoders import SASRecConfig
from recgym.encoders.fit import FitConfig
from recgym.encoders.fitted import FittedEncoder
from recgym.evaluation.encoders import encoder_split, fit_encoder
from recgym.evaluation.recommending import recommend, recommend_saved

LOG = markov_log(90, 7, random_transitions(12, 0.2, 0), 0)


@pytest.fixture(scope="module")
def encoder() -> FittedEncoder:
    config = SASRecConfig(width=8, blocks=1, window=6, fit=FitConfig(epochs=1))
    return fit_encoder("sasrec", config, encoder_split(LOG), 0)[0]


@pytest.mark.parametrize("repeats", [False, True])
def test_blocks_are_the_whole(encoder: FittedEncoder, repeats: bool, tmp_path: Path) -> None:
    LOG.save(tmp_path / "log")
    recommend_saved(encoder, tmp_path / "log", tmp_path / "out.parquet", 9, repeats=repeats, rows=100)
    found = pl.read_parquet(tmp_path / "out.parquet")
    whole = recommend(encoder, LOG, np.arange(90), 9, repeats=repeats)
    assert found["user"].to_list() == list(range(90))
    assert found["items"].to_list() == [row[row < LOG.n_items].tolist() for row in whole]
    assert min(map(len, found["items"].to_list())) == (9 if repeats else min(12 - 7 + _repeats(), 9))
    assert {entry.name for entry in tmp_path.iterdir()} == {"log", "out.parquet"}


def _repeats() -> int:
    """How many events of the user of most distinct items repeat an item."""
    return 7 - int(LOG.frame.group_by("user").agg(pl.col("item").n_unique())["item"].max())  # type: ignore[arg-type]


def test_the_command(encoder: FittedEncoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LOG.save(tmp_path / "log")
    encoder.save(tmp_path / "encoder")
    words = [
        "encoder",
        "recommend",
        "--encoder",
        str(tmp_path / "encoder"),
        "--data",
        str(tmp_path / "log"),
        "--k",
        "3",
    ]
    assert main([*words, "--format", "recgym", "--out", str(tmp_path / "a.parquet")]) == 0
    found = pl.read_parquet(tmp_path / "a.parquet")
    assert found.height == 90
    assert found["items"].list.len().to_list() == [3] * 90
    assert main([*words, "--format", "table", "--out", str(tmp_path / "b.parquet")]) == 2
    assert "--out is for all users of a log of the format recgym" in capsys.readouterr().err
