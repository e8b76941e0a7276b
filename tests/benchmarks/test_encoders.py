"""The benchmark of encoders runs, and its plain peer trains the same model on the same events."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import encoders
from benchmarks.plain_sasrec import PlainSASRec, padded_batches
from recgym.encoders import Sequences


def test_the_plain_peer_sees_each_target_once_and_does_not_look_ahead() -> None:
    sequences = Sequences(np.arange(12), np.array([0, 5, 6, 12]), 20)
    batches = list(padded_batches(sequences, 4, 2, np.random.default_rng(0)))
    targets = np.concatenate([targets.numpy().ravel() for _, targets in batches])
    assert sorted(targets[targets != 20]) == [1, 2, 3, 4, 8, 9, 10, 11]
    model = PlainSASRec(20, 8, 2, 2, 4, 0.0).eval()
    items = torch.tensor([[1, 2, 3, 4]])
    changed = torch.tensor([[1, 2, 3, 9]])
    torch.testing.assert_close(model(items)[:, :3], model(changed)[:, :3])


def test_quick_run_writes_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "encoders.json"
    flags = ["--quick", "--json", "--data", str(tmp_path / "absent"), "--out", str(out), "--threads", "1"]
    assert encoders.main(flags) == 0
    body = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == body
    assert all(row["events_per_s"] > 0 for row in body["rows"])
    assert {row["B"] for row in body["rows"] if "one step" in row["what"]} == {1, 1024}
