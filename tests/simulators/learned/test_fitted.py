import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_series_equal

from recgym.simulators.learned import FittedSimulator, LearnedUsers, fit, predict, record_gate
from tests.simulators.learned.known import SMALL, fitted, known, plain_log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fitted().save(tmp_path / "simulator")
    return tmp_path / "simulator"


def test_a_loaded_simulator_is_the_same_simulator(folder: Path) -> None:
    loaded = FittedSimulator.load(folder)
    for name in ("config", "plan", "users", "items", "facts", "report", "gate_failed"):
        assert getattr(loaded, name) == getattr(fitted(), name), name
    assert_series_equal(loaded.item_ids, fitted().item_ids, check_names=False)
    first, second = predict(fitted(), known().log), predict(loaded, known().log)
    np.testing.assert_array_equal(first.positive, second.positive)
    np.testing.assert_array_equal(first.leave, second.leave)
    for name in first.baselines:
        np.testing.assert_array_equal(first.baselines[name], second.baselines[name])


def test_loaded_users_step_the_same(folder: Path) -> None:
    slate = torch.arange(4).repeat(8, 1)

    def play(simulator: FittedSimulator) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        users = LearnedUsers(simulator)
        state = users.sample_users(8, generator)
        response = users.respond(state, slate, generator)
        state = users.advance(state, slate, response, generator)
        gaps = users.return_gap(state, generator)
        return torch.cat([response.feedback.flatten(), state.temper, gaps.float()])

    assert torch.equal(play(fitted()), play(FittedSimulator.load(folder)))


def test_logs_without_times_survive_the_way_through_a_folder(tmp_path: Path) -> None:
    simulator = fit(plain_log(timed=False), SMALL, seed=0)
    simulator.save(tmp_path / "s")
    loaded = FittedSimulator.load(tmp_path / "s")
    assert loaded.context is None
    assert loaded.sessions.leave_probability == simulator.sessions.leave_probability
    assert loaded.facts == simulator.facts


def test_the_folder_holds_data_only(folder: Path) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors", ".parquet"}


def test_a_failed_gate_is_remembered_and_warned_of(folder: Path) -> None:
    assert FittedSimulator.load(folder).warnings == ()
    record_gate(folder, ("ECE of click is 0.2",))
    warnings = FittedSimulator.load(folder).warnings
    assert len(warnings) == 1
    assert "ECE of click is 0.2" in warnings[0]
    record_gate(folder, ())
    assert FittedSimulator.load(folder).warnings == ()


def test_a_folder_that_is_no_simulator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a fitted simulator"):
        FittedSimulator.load(tmp_path)
    (tmp_path / "simulator.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="does not describe"):
        FittedSimulator.load(tmp_path)
    (tmp_path / "simulator.json").write_text("{")
    with pytest.raises(ValueError, match="not readable as JSON"):
        FittedSimulator.load(tmp_path)


def test_another_version_is_refused(folder: Path) -> None:
    meta = json.loads((folder / "simulator.json").read_text())
    for version in (1, 99):
        (folder / "simulator.json").write_text(json.dumps({**meta, "version": version}))
        with pytest.raises(ValueError, match=rf"version {version} of the format, expected 3: fit it again"):
            FittedSimulator.load(folder)


@pytest.mark.parametrize("part", ["weights.safetensors", "tables.safetensors", "users.parquet", "items.parquet"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_part_is_one_sentence(folder: Path, part: str, damage: str) -> None:
    path = folder / part
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="missing or damaged"):
        FittedSimulator.load(folder)


def test_saving_replaces_an_older_simulator_as_a_whole(folder: Path) -> None:
    (folder / "stray").write_text("x")
    fitted().save(folder)
    assert not (folder / "stray").exists()
    assert pl.read_parquet(folder / "items.parquet").height == fitted().n_items
