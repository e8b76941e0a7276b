import json
from pathlib import Path

import numpy as np
import pytest

from recgym.cli.main import main

KEYS = {"dataset", "fidelity", "policies", "seconds", "gate", "learning_curve"}


def write_log(path: Path) -> Path:
    """A small table of slates of 3 in which low item numbers are clicked more."""
    rng = np.random.default_rng(0)
    rows = ["user,item,time,slate,click"]
    for slate in range(1500):
        for item in rng.choice(30, size=3, replace=False):
            rows.append(f"{slate % 60},{item},{1000 + slate * 60},{slate},{int(rng.random() < 0.6 - item / 60)}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_demo_on_a_table_writes_the_agreed_keys_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = write_log(tmp_path / "log.csv"), tmp_path / "out"
    columns = "user=user,item=item,time=time:s,slate=slate,click=click"
    flags = ["--data", str(log), "--format", "table", "--columns", columns, "--out", str(out), "--quick", "--json"]
    assert main(["demo", *flags]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert set(result) >= KEYS
    assert {"auc", "ece", "baselines"} <= set(result["fidelity"]["click"])
    assert {"return", "low", "high"} <= set(result["policies"]["PPO"])
    assert result["fidelity"]["click"]["auc"] > 0.55
    assert result["seconds"]["total"] > 0
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["dataset"]["embedded"] is False


@pytest.mark.parametrize("flags", [["--data", "x.csv"], ["--format", "ebnerd"]])
def test_data_and_format_go_together(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), *flags]) == 2
    assert "--data and --format go together" in capsys.readouterr().err


def test_unwritable_output_is_told_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert main(["demo", "--out", str(tmp_path / "file" / "out")]) == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error
    assert error.count("\n") == 1
