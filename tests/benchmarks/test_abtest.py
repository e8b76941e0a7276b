"""The benchmark of A/B tests runs and says what it measured."""

import json
from pathlib import Path

import pytest

from benchmarks.abtest import AIM_S, main, run


def test_rows_name_what_was_timed() -> None:
    rows = run(50, 300, 10, (1,))
    assert [row.what for row in rows] == ["simulate", "replicate"]
    assert rows[1].user_outcomes_per_s == pytest.approx(3000 / rows[1].seconds)


def test_the_result_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--json", "--out", str(tmp_path / "abtest.json")]) == 0
    body = json.loads((tmp_path / "abtest.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == body
    assert body["aim_s"] == AIM_S == 120
