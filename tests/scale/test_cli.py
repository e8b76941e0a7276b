"""``--ray`` and ``--workers`` change who works, not what comes out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.cli.main import main
from recgym.data import markov_log, random_transitions, read_log
from recgym.data.transitions import TransitionStore
from recgym.encoders import load_encoder

ENV = "recgym/InterestEvolution-v0"


def _result(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {name: value for name, value in printed.items() if name != "seconds"}


def test_evaluate(local_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "--env", "recgym/LongTermSatisfaction-v0", "--users", "1030", "--seeds", "2")
    alone = _result(capsys, *words)
    assert _result(capsys, *words, "--ray", "auto") == alone


def test_record(local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores = []
    for number, flags in enumerate(((), ("--ray", "auto"), ("--workers", "2"))):
        out = tmp_path / str(number)
        words = ("record", "--env", ENV, "--out", str(out), "--steps", "9000", "--max-steps", "4", "--quiet")
        _result(capsys, *words, *flags)
        stores.append(TransitionStore.open(out))
    for store in stores[1:]:
        for name, column in stores[0].columns.items():
            assert np.array_equal(column, store.columns[name], equal_nan=True), name


def test_abtest(local_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "abtest", "--env", ENV, "--arm", "a=random", "--arm", "b=oracle", "--users", "1200", "--replications", "70",
        "--looks", "5", "--max-steps", "5", "--metric", "return", "--quiet",
    )  # fmt: skip
    alone = _result(capsys, *words)
    assert _result(capsys, *words, "--ray", "auto") == alone


def test_many_files_become_one_log(local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for part in range(3):
        rows = [f"u{user},{(user * part) % 7},{part * 100 + user}" for user in range(20)]
        (raw / f"{part}.csv").write_text("\n".join(["who,what,when", *rows]), encoding="utf-8")
    words = ["data", "convert", str(raw), "--columns", "user=who,item=what,time=when", "--out", str(tmp_path / "log")]
    assert main([*words, "--format", "table", "--ray", "auto", "--parts", "2"]) == 0
    log = read_log(tmp_path / "log", "recgym")
    assert (log.n_users, log.n_items, log.n_rows) == (20, 7, 60)
    assert main([*words, "--format", "kuairand", "--ray", "auto"]) == 2
    assert "--ray brings files of the format table together by --columns" in capsys.readouterr().err


def test_encoder_fit(local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    markov_log(150, 12, random_transitions(20, 0.1, 0), 0).save(tmp_path / "log")
    words = (
        "encoder", "fit", "--data", str(tmp_path / "log"), "--format", "recgym", "--width", "8", "--blocks", "1",
        "--window", "8", "--dropout", "0", "--epochs", "2", "--batch-size", "33", "--quiet",
    )  # fmt: skip
    curves = []
    for number, flags in enumerate(((), ("--ray", "auto", "--workers", "2"))):
        out = tmp_path / str(number)
        _result(capsys, *words, *flags, "--out", str(out))
        curves.append([point["loss"] for point in json.loads((out / "epochs.json").read_text(encoding="utf-8"))])
        assert load_encoder(out).catalogue.num_items == 20
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["0", "1", "log"]


def test_a_sweep_stops_what_does_badly(local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The better ones come first: whoever is compared is held against those that were there before, and workers differ
    # in speed, so that in another order each might be the best so far.
    words = (
        "sweep", "--env", "recgym/LongTermSatisfaction-v0", "--steps", "840", "--stretch", "280", "--num-envs", "8",
        "--n-steps", "35", "--grid", "gamma=0.95,0.99,0.9,0.999", "--seeds", "0", "--users", "16",
        "--out", str(tmp_path),
    )  # fmt: skip
    found = _result(capsys, *words)
    assert [row["gamma"] for row in found["trials"]] == [0.95, 0.99, 0.9, 0.999]
    steps = [row["steps"] for row in found["trials"]]
    assert max(steps) == 840
    assert min(steps) < 840
    assert [row["finished"] for row in found["settings"]] == [int(row["finished"]) for row in found["trials"]]
    assert found["settings"][0]["low"] is None
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["trials"] == found["trials"]


def test_wrong_usage_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--env", ENV, "--workers", "0"]) == 2
    assert "at least 1 worker is needed, found 0" in capsys.readouterr().err
    assert main(["sweep", "--env", ENV, "--agent", "bc"]) == 2
    assert "no agent 'bc' that learns online" in capsys.readouterr().err
