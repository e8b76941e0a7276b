from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import RandomPolicy
from recgym.agents.decision_transformer import DT4IERConfig, Linear
from recgym.envs import make_task
from recgym.envs.levels import RetentionLimits
from recgym.evaluation import OneStepOracle, action_spec
from reproductions.dt4ier import runs as runs_module
from reproductions.dt4ier.arms import ABLATIONS, ARMS, Job, Size
from reproductions.dt4ier.data import behaviour, serve, task
from reproductions.dt4ier.runs import against, cells, chosen_cell, levels, nearest, run_job
from reproductions.dt4ier.summary import claims, gain, rows

TINY = Size(width=8, heads=2, batch=8, updates=2, log_steps=1, users=6, validation=2)


def test_glitter_gets_clicks_and_its_lack_brings_users_back() -> None:
    where = task()
    policies = behaviour(where)
    found = {name: serve(policies[name], where, 100, 1)[0].mean(0) for name in ("glitter +1", "glitter +0", "random")}
    assert found["glitter +1"][0] > 1.2 * found["glitter +0"][0] > 1.2 * found["random"][0]
    assert found["glitter +0"][1] > 1.2 * found["glitter +1"][1]


def test_the_users_of_a_seed_are_the_same_whoever_serves_them() -> None:
    where = task()
    one = serve(RandomPolicy(action_spec(where)), where, 20, 3)
    assert np.array_equal(one, serve(RandomPolicy(action_spec(where)), where, 20, 3))
    oracle = serve(OneStepOracle, where, 20, 3)  # what it is told to raise has nothing to do with a click
    assert oracle.shape == (1, 20, 2)


def test_arms_differ_in_one_thing_each() -> None:
    configs: dict[str, Any] = {arm: Job(arm, 0, Size()).config() for arm in ARMS}
    full_config = configs["dt4ier"]
    assert isinstance(full_config, DT4IERConfig)
    for arm, name, value in (
        ("no_balance", "balance", False), ("no_buckets", "embedding", Linear()), ("no_contrast", "contrastive", 0.0),
    ):  # fmt: skip
        assert {**vars(configs[arm]), name: getattr(full_config, name)} == vars(full_config)
        assert getattr(configs[arm], name) == value
    assert configs["dt"].core == configs["dt_sum"].core == full_config.core
    assert {len({Job(arm, 0, Size()).key for arm in ARMS}), len(ARMS)} == {7}


def test_prompts_lie_among_what_happened() -> None:
    rng = np.random.default_rng(0)
    episodes = rng.standard_normal((2000, 2)) * [30, 2] + [60, 10]
    for axis in (0, 1):
        asks = levels(episodes, axis)
        assert (np.diff(asks[:, axis]) > 0).all()
        np.testing.assert_allclose(asks[:, 1 - axis], episodes[:, 1 - axis].mean())
        assert nearest(episodes, asks) < 0.3
    grid = cells(episodes)
    assert grid.shape == (21, 2)
    assert nearest(episodes, grid) < 0.3
    assert nearest(episodes, np.array([[60.0, 30.0]])) > 3


def test_the_prompt_that_is_better_in_both_parts_is_chosen() -> None:
    ours = {"cells_found": [[100.0, 8.0], [70.0, 10.5], [64.0, 10.9], [40.0, 11.0]]}
    assert chosen_cell(ours, {"validation": [60.0, 10.4]}) == 2
    assert chosen_cell(ours, {"validation": [90.0, 7.9]}) == 0


def made_up(arm: str, seed: int, test: list[float]) -> dict[str, Any]:
    run: dict[str, Any] = {"arm": arm, "seed": seed, "test": test, "cpu_seconds": 1.0, "prompt": [1.0]}
    axis = {"spearman": 0.9, "nearest": 0.1, "prompts": [], "found": []}
    return run | ({"nearest": 0.2, "axis 0": axis, "axis 1": axis} if arm == "dt4ier" else {})


def test_claims_follow_the_runs() -> None:
    runs = [made_up(arm, seed, [50.0 + seed, 10.0]) for arm in ("dt", "dt4ier", *ABLATIONS) for seed in range(3)]

    def duels(factor: float) -> list[dict[str, Any]]:
        return [
            {"seed": s, "rival": "dt", "prompt": [1.0], "test": [60.0 + s, 10.0 * factor - 0.01 * s],
             "theirs": [50.0, 10.0]} for s in range(3)
        ]  # fmt: skip

    assert [claim.holds for claim in claims(runs, duels(0.99))] == [True] * 5
    failing = [claim.claim for claim in claims(runs, duels(0.9)) if not claim.holds]
    assert len(failing) == 1
    assert "return frequency, per cent, not below -2" in failing[0]
    table = rows(runs, [], duels(0.99))
    assert {row["arm"] for row in table if "arm" in row} == {"dt", "dt4ier", *ABLATIONS, "dt4ier against dt"}
    assert not any(row["told_from_zero"] for row in table if "comparison" in row)
    assert gain([110.0, 110.0], [100.0, 100.0])[0] == pytest.approx(10.0)


def test_one_seed_decides_nothing() -> None:
    assert claims([made_up("dt4ier", 0, [1.0, 1.0])], []) == []


def test_runs_are_kept_and_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    short = make_task("recgym/Retention-v0", {"window": 30, "retention": RetentionLimits(max_sessions=2)})
    monkeypatch.setattr(runs_module, "task", lambda: short)
    job = Job("dt4ier", 0, TINY)
    first = run_job(job, tmp_path)
    assert run_job(job, tmp_path) == first
    assert first["updates"] == 2
    assert len(first["cells_found"]) == 21
    (tmp_path / f"{job.key}.json").unlink()
    again = run_job(job, tmp_path)  # from the last checkpoint: nothing is left to learn
    assert again["test"] == first["test"]
    duel = against(job, "dt_sum", tmp_path)
    assert duel["prompt"] in first["cells"]
    assert duel["theirs"] == run_job(Job("dt_sum", 0, TINY), tmp_path)["test"]
