from pathlib import Path
from typing import Any

import pytest

from recgym.agents import Sim2RecConfig
from reproductions.sim2rec.arms import ARMS, Job, worlds_of
from reproductions.sim2rec.satisfaction import bounds, run_job, serve
from reproductions.sim2rec.summary import claims, rows


def test_settings_leave_out_the_target_and_its_neighbours() -> None:
    assert worlds_of("alpha=4") == (6, 7, 8, 9, 10, 18, 19, 20, 21)
    assert worlds_of("alpha=6") == (6, 7, 8, 20, 21)
    assert worlds_of("from=10") == tuple(range(10, 22))


def test_arms_differ_in_what_they_know_alone() -> None:
    configs = {}
    for arm in ("sim2rec", "dr_osi", "dr_uni"):
        made: Any = Job("alpha=4", arm, 0, 1000).agent().config
        configs[arm] = made.policy if isinstance(made, Sim2RecConfig) else made
    assert configs["sim2rec"] == configs["dr_osi"]
    assert {**vars(configs["dr_uni"]), "memory": 64} == vars(configs["dr_osi"])
    assert Job("alpha=4", "direct_transfer", 0, 1000).worlds() == (8,)
    assert ARMS["direct"].only == 14


def test_a_run_is_kept_and_taken_up_again(tmp_path: Path) -> None:
    job = Job("alpha=4", "dr_uni", 0, 130_000)
    first = run_job(job, tmp_path, users=60, tests=(14,))
    assert run_job(job, tmp_path, users=60, tests=(14,)) == first
    (tmp_path / f"{job.key}.json").unlink()
    again = run_job(job, tmp_path, users=60, tests=(14,))  # from the last checkpoint: nothing is left to learn
    assert again["tests"] == first["tests"]
    assert again["steps"] == first["steps"] >= 130_000


def test_scores_lie_between_random_and_the_oracle(tmp_path: Path) -> None:
    bound = bounds(14, 100, tmp_path)
    assert bound["random"] == pytest.approx(651, rel=0.06)
    assert bound["oracle"] == pytest.approx(781, rel=0.06)
    assert bound == bounds(14, 100, tmp_path)
    assert serve(None, 14.0, 100).mean() == pytest.approx(bound["random"])


def made_up(arm: str, seed: int, score: float) -> dict[str, Any]:
    tests = {str(choc): {"return": 0.0, "score": score, "of_oracle": score} for choc in (14, 6, 8)}
    run = {"setting": "alpha=4", "arm": arm, "seed": seed, "steps": 1, "seconds": 1.0, "tests": tests}
    return run | ({"alone": 0.1, "probe": {"rmse_by_step": {"0": 0.3, "70": 0.5}}} if arm == "sim2rec" else {})


def test_claims_follow_the_runs() -> None:
    means = {"sim2rec": 0.9, "dr_osi": 0.5, "dr_uni": 0.4, "direct_transfer": -0.3}
    runs = [made_up(arm, seed, mean + 0.01 * seed) for arm, mean in means.items() for seed in range(3)]
    assert all(claim.holds for claim in claims(runs))
    assert len(claims(runs)) >= 6
    turned = [made_up({"sim2rec": "dr_uni", "dr_uni": "sim2rec"}.get(r["arm"], r["arm"]), r["seed"],
                      r["tests"]["14"]["score"]) for r in runs]  # fmt: skip
    failing = [claim.claim for claim in claims(turned) if not claim.holds]
    assert any("sim2rec minus dr_uni" in claim for claim in failing)
    assert any("target" in claim for claim in failing)
    assert {row["arm"] for row in rows(runs)} == set(means)


def test_one_seed_decides_nothing() -> None:
    assert claims([made_up(arm, 0, 0.5) for arm in ("sim2rec", "dr_uni")]) == []
