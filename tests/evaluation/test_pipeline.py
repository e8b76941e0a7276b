from pathlib import Path

import pytest

from recgym.data import read_log
from recgym.evaluation.embedded import embedded_log
from recgym.evaluation.pipeline import PipelineConfig, Truth, run_pipeline
from recgym.simulators.learned import FittedSimulator, LearnedConfig, refine

POLICIES = {"random", "popularity", "greedy by model", "PPO", "one-step oracle"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> PipelineConfig:
    monkeypatch.setattr(refine, "LEAVE_ROUNDS", 1)
    learned = LearnedConfig(hidden=16, item_width=8, max_epochs=1)
    return PipelineConfig(learned=learned, train_steps=3000, num_envs=16, users=20, seeds=(0, 1))


def test_whole_way_with_a_known_truth(tmp_path: Path, small: PipelineConfig) -> None:
    log, truth = embedded_log(users=150)
    said: list[str] = []
    result = run_pipeline(log, tmp_path, small, Truth(truth, "Known."), said.append)
    assert set(result["policies"]) == set(result["truth"]["policies"]) == POLICIES
    for summary in result["policies"].values():
        assert summary["low"] <= summary["return"] <= summary["high"]
    assert set(result["fidelity"]) == {"click", "watch_time"}
    assert -1 <= result["truth"]["kendall_tau"] <= 1
    assert result["truth"]["text"].startswith("Known.")
    assert result["learning_curve"][-1]["steps"] >= 3000
    assert {"fit", "check", "train", "evaluate", "truth"} == set(result["seconds"])
    assert len(said) == 5
    fitted = FittedSimulator.load(tmp_path / "simulator")
    assert list(fitted.gate_failed) == result["gate"]["failures"]
    assert (tmp_path / "agent" / "checkpoint").is_dir()


def test_same_seed_same_result(tmp_path: Path, small: PipelineConfig) -> None:
    log, _ = embedded_log(users=100)
    first, second = (run_pipeline(log, tmp_path / name, small) for name in "ab")
    assert first["policies"] == second["policies"]
    assert first["fidelity"] == second["fidelity"]


def test_log_that_knows_the_order_of_events_only(tmp_path: Path, small: PipelineConfig) -> None:
    lines = "".join(f"{user} {(user * 7 + step * (1 + user % 3)) % 30}\n" for user in range(60) for step in range(20))
    (tmp_path / "clicks.txt").write_text(lines, encoding="utf-8")
    result = run_pipeline(read_log(tmp_path / "clicks.txt", "sequences"), tmp_path, small)
    assert set(result["policies"]) == POLICIES
    assert any("IMPUTED" in warning for warning in result["warnings"])
