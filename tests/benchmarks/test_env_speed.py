import json
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import recgym  # noqa: F401  registers the environments
from benchmarks import env_speed
from benchmarks.env_speed import CASES, Case, measure
from benchmarks.measure import Face
from recgym.envs import AutoresetMode, RecVectorEnv

LTS = CASES[0]
HORIZON = 140


def _vector(users: int, mode: AutoresetMode) -> RecVectorEnv:
    env = gym.make_vec(LTS.env_id, num_envs=users, vectorization_mode="vector_entry_point", autoreset_mode=mode)
    assert isinstance(env, RecVectorEnv)
    return env


@pytest.mark.parametrize(("mode", "resets"), [(AutoresetMode.NEXT_STEP, 1), (AutoresetMode.SAME_STEP, 0)])
def test_steps_that_only_reset_are_not_counted(mode: AutoresetMode, resets: int) -> None:
    env = _vector(3, mode)
    call = env_speed._vector_step(env, env_speed._random_slates(env.simulation, "numpy"))
    assert sum(call() for _ in range(HORIZON + 2)) == 3 * (HORIZON + 2 - resets)


def test_the_core_puts_new_users_in() -> None:
    simulation = _vector(3, AutoresetMode.NEXT_STEP).simulation
    call = env_speed._core_step(simulation)
    assert sum(call() for _ in range(HORIZON + 2)) == 3 * (HORIZON + 2)
    assert simulation.steps.tolist() == [2, 2, 2]


def test_one_user_is_reset_at_the_end() -> None:
    env = gym.make(LTS.env_id)
    call = env_speed._single_step(env)
    assert sum(call() for _ in range(HORIZON + 2)) == HORIZON + 2


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_random_slates_are_distinct_and_even(device: str) -> None:
    env = gym.make_vec("recgym/InterestEvolution-v0", num_envs=500, vectorization_mode="vector_entry_point")
    assert isinstance(env, RecVectorEnv)
    draw = env_speed._random_slates(env.simulation, device)
    slates = np.concatenate([np.asarray(draw()) for _ in range(20)])
    assert slates.shape == (10_000, 2)
    assert (slates[:, 0] != slates[:, 1]).all()
    for position in slates.T:
        # 1000 expected in each of 10 cells, standard deviation 30.
        assert np.abs(np.bincount(position, minlength=10) - 1000).max() < 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("face", ["gymnasium", "core"])
@pytest.mark.parametrize("users", [1, 4])
def test_every_case_is_measured(case: Case, users: int, face: Face) -> None:
    assert measure(case, users, face, seconds=0.01) > 0


@pytest.fixture
def one_case(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(env_speed, "CASES", (LTS,))
    monkeypatch.setattr(env_speed, "BATCHES", (1, 4))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_case")
def test_json_and_file_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "speed.json"
    assert env_speed.main(["--quick", "--json", "--peers", str(tmp_path / "none"), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    body = json.loads(captured.out)
    assert body == json.loads(out.read_text())
    assert {(row["env"], row["face"], row["B"]) for row in body["rows"]} == {
        ("recgym/LongTermSatisfaction-v0", "gymnasium", 1),
        ("recgym/LongTermSatisfaction-v0", "gymnasium", 4),
        ("recgym/LongTermSatisfaction-v0", "core", 1),
        ("recgym/LongTermSatisfaction-v0", "core", 4),
        ("gymnasium/CartPole-v1", "gymnasium", 1024),
    }
    assert all(set(row) == {"env", "face", "B", "steps_per_s"} for row in body["rows"])
    assert body["ratios"] == []
    assert "the peers of recsim are left out" in captured.err


@pytest.mark.usefixtures("one_case")
def test_the_table_has_a_line_per_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert env_speed.main(["--quick", "--peers", str(tmp_path / "none")]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 1 + 5


def test_no_threads_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        env_speed.main(["--threads", "0"])
    assert stopped.value.code == 2
    assert "--threads must be at least 1, found 0" in capsys.readouterr().err
