"""The parts of the reproduction of bandits, at a small size."""

import json
from pathlib import Path

import numpy as np
import pytest

from recgym.agents.bandits import EpsilonGreedy, LinTS, LinUCB
from recgym.simulators.bandit_clustered import ClusteredBandit
from recgym.simulators.bandit_contextual import ContextualBandit, ContextualBanditConfig
from reproductions.bandits import __main__ as command
from reproductions.bandits.regret import Regret, regret, slopes
from reproductions.bandits.same_rounds import play, regret_of, theirs
from reproductions.bandits.summary import clusters, drift, peers, stationary

WORLD = ContextualBandit(ContextualBanditConfig(5, 3))


def test_regret_of_random_arms_is_that_of_random_arms() -> None:
    found = regret(EpsilonGreedy(1.0), WORLD, 400, 40, 0)
    assert found.total.shape == (len(found.steps), 40)
    assert found.share_of_random.mean() == pytest.approx(1, abs=0.03)
    assert slopes(found, 100).mean() == pytest.approx(1, abs=0.05)
    assert regret(LinUCB(), WORLD, 400, 40, 0).share_of_random.mean() < 0.5


def test_every_bandit_meets_the_same_visitors() -> None:
    one, other = (regret(bandit, WORLD, 60, 5, 3).random for bandit in (LinUCB(), LinTS()))
    assert np.array_equal(one, other)
    assert regret(EpsilonGreedy(0.1), ClusteredBandit(), 60, 5, 3).total.shape[1] == 5


def test_slopes_are_those_of_powers() -> None:
    steps = np.array([10, 100, 1000, 10_000])
    total = np.stack([steps**0.5, 3.0 * steps**0.8], 1)
    assert slopes(Regret(steps, total, total, 0.0), 100).tolist() == pytest.approx([0.5, 0.8])


def made(total: float, share: float = 0.05, slope: float = 0.5) -> Regret:
    """Regret of 10 replications that ends near a number."""
    steps = np.array([10_000, 30_000, 100_000])
    ends = total * (1 + 0.01 * np.arange(10))
    curve = (steps / steps[-1])[:, None] ** slope * ends
    return Regret(steps, curve, curve / share, 1.0)


def test_claims_fail_where_they_should() -> None:
    good = {("stationary", name): made(100.0) for name in ("LinUCB", "LinTS")}
    assert all(claim.holds for claim in stationary(good, 10_000))
    bad = {("stationary", name): made(100.0, 0.2, 0.9) for name in ("LinUCB", "LinTS")}
    assert not any(claim.holds for claim in stationary(bad, 10_000))
    names = ("LinUCB", "LinTS", "TVUCB", "TVTP", "DiscountedLinUCB", "SlidingLinUCB")
    plain = {(part, name): made(100.0) for part in ("drifting", "staying") for name in names}
    assert [claim.holds for claim in drift(plain)] == [False] * 4 + [True] * 2
    better = plain | {("drifting", name): made(70.0) for name in names[2:]}
    assert all(claim.holds for claim in drift(better))
    dear = better | {("staying", "TVUCB"): made(120.0)}
    assert [claim.holds for claim in drift(dear)][-2:] == [False, True]
    same = {
        (part, name): made(100.0) for part in ("clustered", "without clusters") for name in ("ClusterTS", "GaussianTS")
    }
    assert [claim.holds for claim in clusters(same)] == [False, True]
    assert not clusters(same | {("without clusters", "ClusterTS"): made(50.0)})[1].holds


def test_peers_regret_is_told_from_another() -> None:
    reference = theirs()
    chosen = play(LinUCB(1.0), 2, 300)
    assert chosen[:, 0].tolist() == reference["MABWiser LinUCB: first arms"], "MABWiser's arms, one by one"
    assert regret_of(chosen).shape == (2,)
    regrets = np.asarray(reference["obp LinTS"])
    assert peers({"obp LinTS": regrets}, reference)[0].holds
    assert not peers({"obp LinTS": regrets + np.arange(len(regrets)) + 20.0}, reference)[0].holds


def test_quick_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "QUICK", {"drift": 120, "clusters": 120, "replications": 3})
    monkeypatch.setattr(command, "OURS", {})
    out = tmp_path / "bandits.json"
    assert command.main(["--quick", "--out", str(out)]) in (0, 1)
    body = json.loads(out.read_text())
    assert body["name"] == "bandits"
    assert {row["part"] for row in body["rows"]} == {"drifting", "staying", "clustered", "without clusters"}
    assert len(body["claims"]) == 8
