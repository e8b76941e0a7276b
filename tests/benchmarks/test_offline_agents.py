"""The benchmark of agents that learn from logs runs, and its plain peer learns from the same windows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import offline_agents
from benchmarks.plain_dt import PlainDT, PlainWindows
from tests.agents.offline.cases import log_of


def test_the_plain_peer_has_the_same_returns_and_does_not_look_ahead() -> None:
    store = log_of("flat")
    windows = PlainWindows(store, 4, 0)
    seen, action, to_go, mask = windows.draw(16)
    assert seen.shape == (16, 4, store.problem.flat)
    assert bool(mask[:, -1].all())
    first, closing = store.episodes[1]
    total = store.columns["reward"][first:closing].sum()
    assert windows.to_go[store.lengths[0]] == pytest.approx(float(total), rel=1e-5)
    model = PlainDT(store.problem.flat, 30, 4, 8, 2, 2, 0.0).eval()
    changed = action.clone()
    changed[:, 2:] = (changed[:, 2:] + 1) % 30
    with torch.no_grad():
        one, other = model(seen, action, to_go), model(seen, changed, to_go)
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not np.allclose(one[:, 3], other[:, 3])


def test_quick_run_writes_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "offline_agents.json"
    assert offline_agents.main(["--quick", "--json", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == body
    assert "plain PyTorch" in {ratio["peer"] for ratio in body["ratios"]}
    assert all(ratio["median"] > 0 for ratio in body["ratios"])
