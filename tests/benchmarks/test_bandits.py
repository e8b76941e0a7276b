"""The benchmark of bandits runs, and its rounds are the same everywhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bandits
from benchmarks.peers.run_bandits import PEER_ROUNDS, rounds
from recgym.agents.bandits import BanditSpec, Context, LinUCB


def test_quick_run_writes_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bandits, "BANDITS", {"LinUCB": LinUCB()})
    out = tmp_path / "bandits.json"
    assert bandits.main(["--quick", "--json", "--peers", str(tmp_path), "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == body
    assert [row["replications"] for row in body["rows"]] == [1, 256]
    assert all(row["rounds_per_s"] > 0 for row in body["rows"])


def test_rounds_depend_on_the_seed_alone() -> None:
    features, clicks = rounds(3, 2, 5)
    assert np.array_equal(features, rounds(3, 2, 5)[0])
    assert features[0].round(6).tolist() == rounds(3, 2, 9)[0][0].round(6).tolist()
    assert set(np.unique(clicks)) <= {0.0, 1.0}


def test_agreement_tells_the_best_arm_from_others() -> None:
    features, clicks = rounds(bandits.ARMS, bandits.WIDTH, PEER_ROUNDS)
    bandit = LinUCB(1.0)
    state, chosen = bandit.init_state(BanditSpec(bandits.ARMS, bandits.WIDTH)), []
    for step in range(40):
        context = Context(features[step][None, None])
        action = bandit.choose(state, context, np.random.default_rng(0))
        state = bandit.update(state, context, action, clicks[step, action])
        chosen.append(int(action[0, 0]))
    assert bandits.agreement(bandit, chosen) == 1
    assert bandits.agreement(bandit, [0] * 40) < 0.3
