"""The benchmark of agents that learn from logs runs, and its plain peer learns from the same windows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import offline_agents
from benchmarks.plain_dt import PlainDT, PlainWindows
from benchmarks.plain_tscac import PlainSteps, PlainTSCAC
from recgym.agents.constrained import TSCAC, BasisConfig, Responses, TSCACConfig
from recgym.agents.offline import OfflineAgent
from recgym.data.transitions import TransitionStore
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


@pytest.fixture(scope="module")
def videos() -> TransitionStore:
    return offline_agents.a_log("recgym/ShortVideo-v0")


def test_the_plain_tscac_computes_the_same_policies_and_values(videos: TransitionStore) -> None:
    config = TSCACConfig(basis=BasisConfig(Responses("watch_time", ("like", "comment"), costs=())))
    mine = OfflineAgent.of(config, videos).learner
    assert isinstance(mine, TSCAC)
    plain = PlainTSCAC(videos, (0.95, 0.0, 0.0), 1.0, 32, (64, 64), (3e-4, 1e-3), (5.0, 20.0))
    table = mine.actor.state.extractor.items.features  # type: ignore[union-attr]
    points = videos.steps[:64]
    seen, action = videos.observations(points), videos.actions(points)
    for ours, theirs in ((mine.actor, plain.actor), (mine.critics.networks[1], plain.critics[1])):
        theirs.user.items.weight.data = table
        learned = [weight for weight in theirs.parameters() if weight.requires_grad]
        for weight, value in zip(learned, ours.parameters(), strict=True):
            weight.data.copy_(value.data)
    with torch.no_grad():
        torch.testing.assert_close(plain.actor.log_prob(seen, action), mine.actor(seen).log_prob(action))
        torch.testing.assert_close(plain.critics[1](seen), mine.critics(seen)[:, 1])


def test_the_plain_tscac_learns_in_both_stages(videos: TransitionStore) -> None:
    plain = PlainTSCAC(videos, (0.9, 0.0), 1.0, 8, (16,), (1e-2, 1e-2), (5.0, 20.0))
    steps = PlainSteps(
        videos, (videos.problem.schema.index("watch_time"), videos.problem.schema.index("like")), (1, 1), 0
    )
    for stage, actor in ((1, plain.auxiliary[0]), (2, plain.actor)):
        before = [weight.clone() for weight in actor.parameters() if weight.requires_grad]
        losses = [plain.update(steps, 256, stage) for _ in range(5)]
        assert np.isfinite(losses).all()
        after = [weight for weight in actor.parameters() if weight.requires_grad]
        assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_quick_run_writes_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "offline_agents.json"
    assert offline_agents.main(["--quick", "--json", "--out", str(out)]) == 0
    body = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == body
    assert "plain PyTorch" in {ratio["peer"] for ratio in body["ratios"]}
    assert all(ratio["median"] > 0 for ratio in body["ratios"])
