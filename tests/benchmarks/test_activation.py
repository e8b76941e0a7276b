"""The benchmark of activation runs and says what it measured."""

import json
from pathlib import Path

import pytest

from benchmarks.activation import main, run


def test_rows_name_what_was_timed() -> None:
    rows = run(20, 30, 50, 2)
    assert [row.what for row in rows] == ["base level", "spreading", "partial matching"]
    assert all(0 < row.ms < 1000 and (row.users, row.events, row.items) == (20, 30, 50) for row in rows)


def test_the_result_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--json", "--threads", "1", "--out", str(tmp_path / "activation.json")]) == 0
    body = json.loads((tmp_path / "activation.json").read_text())
    assert json.loads(capsys.readouterr().out) == body
    assert {row["items"] for row in body["rows"]} == {2_000, 20_000, 200}
    assert [row["what"] for row in body["rows"][-2:]] == ["epoch of PISA", "epoch of SASRec over sessions"]
    assert all(row["ms"] > 0 for row in body["rows"])
    assert body["torch_threads"] == 1
