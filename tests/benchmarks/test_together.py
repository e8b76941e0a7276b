import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import together
from recgym.cli.main import main


def _claim(holds: bool) -> dict[str, Any]:
    return {"claim": "x", "value": 1.0, "low": 1.0, "high": 1.0, "reference": 1.0, "holds": holds}


@pytest.mark.parametrize(("holds", "status"), [(True, 0), (False, 1)])
def test_claims_are_gathered(
    holds: bool, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def run(name: str, quick: bool, out: Path) -> dict[str, Any]:
        asked.append((name, quick))
        return {"name": name, "seconds": 1.0, "process_peak_gib": 0.5, "claims": [_claim(holds)]}

    monkeypatch.setattr(together, "run", run)
    out = tmp_path / "bench.json"
    assert together.main(["ope", "abtest", "--quick", "--json", "--out", str(out)]) == status
    body = json.loads(capsys.readouterr().out)
    assert body == json.loads(out.read_text())
    assert asked == [("ope", True), ("abtest", True)]
    assert [claim["benchmark"] for claim in body["claims"]] == ["ope", "abtest"]


def test_a_benchmark_that_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'no such peer' >&2\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    assert together.main(["ope", "abtest", "--quick"]) == 1
    assert capsys.readouterr().out.count("no such peer") == 2


def test_benchmarks_beside_d3rlpy_run_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / ".venv-gym10" / "bin" / "python"
    monkeypatch.setattr(together, "_ROOT", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert together.interpreter("d3rlpy_bridge") == sys.executable  # there is no such environment
    other.parent.mkdir(parents=True)
    other.touch()
    assert together.interpreter("d3rlpy_bridge") == str(other)
    assert together.interpreter("encoder_loop") == sys.executable
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert together.interpreter("d3rlpy_bridge") == sys.executable


def test_from_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--quick", "--json", "--only", "million_items"]) in (0, 1)
    body = json.loads(capfd.readouterr().out)
    assert body["rows"][0]["name"] == "million_items"
    assert {claim["benchmark"] for claim in body["claims"]} == {"million_items"}


def test_an_unknown_benchmark_is_wrong_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "speed"]) == 2
    assert "there is no benchmark speed" in capfd.readouterr().err
