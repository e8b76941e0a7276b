"""Encoders inside d3rlpy's networks; skipped where d3rlpy is not installed."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import RandomPolicy
from recgym.data import InteractionLog
from recgym.encoders import FittedEncoder, encode_log
from recgym.envs import Simulation, Task
from recgym.evaluation import action_spec, rollout
from tests.agents.sb3.tasks import ONE
from tests.agents.sb3.test_encoders import fitted

WINDOW = 12


@pytest.fixture
def d3rlpy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("d3rlpy")


def a_log(task: Task = ONE) -> InteractionLog:
    return rollout(RandomPolicy(action_spec(task)), task, users=20, seeds=(0,), max_steps=20, record=True).to_log()


def learner(d3rlpy: Any, folder: Path, trainable: bool) -> Any:
    from recgym.agents.d3rlpy import HistoryEncoderFactory

    log = a_log()
    factory = HistoryEncoderFactory(str(folder), trainable=trainable, hidden=[16])
    algorithm = d3rlpy.algos.DiscreteCQLConfig(batch_size=16, encoder_factory=factory).create(device="cpu:0")
    algorithm.build_with_dataset(dataset(d3rlpy, log))
    return algorithm


def dataset(d3rlpy: Any, log: InteractionLog) -> Any:
    from recgym.agents.d3rlpy import log_histories

    frame = log.frame
    last = (frame["user"] != frame["user"].shift(-1).fill_null(-1)).to_numpy()
    actions = np.random.default_rng(0).integers(ONE.num_candidates, size=(frame.height, 1))
    return d3rlpy.dataset.MDPDataset(
        log_histories(log, WINDOW), actions, frame["click"].to_numpy().astype(np.float32), last.astype(np.float32),
        action_size=ONE.num_candidates,
    )  # fmt: skip


def test_flat_histories_of_a_log_hold_what_encode_log_encodes(d3rlpy: Any, tmp_path: Path) -> None:
    from recgym.agents.d3rlpy import HistoryEncoderFactory, log_histories

    model: FittedEncoder = fitted(ONE)
    model.save(tmp_path)
    log = a_log()
    network = HistoryEncoderFactory(str(tmp_path), hidden=[]).create((WINDOW * 4,))
    states = torch.nn.functional.layer_norm(torch.from_numpy(encode_log(model, log)), (8,))
    torch.testing.assert_close(network(torch.from_numpy(log_histories(log, WINDOW))), states, atol=1e-5, rtol=0)


def test_flat_histories_of_an_environment(d3rlpy: Any) -> None:
    from recgym.agents.d3rlpy import flat_histories

    simulation = Simulation(ONE, 3, device="cpu", seed=0)
    simulation.reset()
    seen: Any = simulation.observation()
    flat = flat_histories(seen["history_items"], seen["history_feedback"], seen["history_gap_s"])
    assert flat.shape == (3, ONE.window * 4)
    assert (flat[:, : ONE.window] == ONE.model.num_items).all()


@pytest.mark.parametrize("trainable", [True, False])
def test_the_encoder_learns_unless_it_is_frozen(d3rlpy: Any, tmp_path: Path, trainable: bool) -> None:
    fitted(ONE).save(tmp_path / "encoder")
    algorithm = learner(d3rlpy, tmp_path / "encoder", trainable)
    network = algorithm.impl.q_function[0].encoder.states.encoder
    before = {name: part.clone() for name, part in network.state_dict().items()}
    for _ in range(5):
        algorithm.update(dataset(d3rlpy, a_log()).sample_transition_batch(16))
    changed = {name for name, part in network.state_dict().items() if not torch.equal(part, before[name])}
    assert ("items.weight" in changed) if trainable else not changed
    algorithm.save(str(tmp_path / "model.d3"))
    loaded = d3rlpy.load_learnable(str(tmp_path / "model.d3"), device="cpu:0")
    rows = dataset(d3rlpy, a_log()).episodes[0].observations
    assert np.array_equal(algorithm.predict(rows), loaded.predict(rows))


def test_errors(d3rlpy: Any, tmp_path: Path) -> None:
    from recgym.agents.d3rlpy import HistoryEncoderFactory

    fitted(ONE).save(tmp_path)
    with pytest.raises(ValueError, match="a flat history holds a multiple of 4 numbers, found 10"):
        HistoryEncoderFactory(str(tmp_path)).create((10,))


def test_without_d3rlpy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "recgym.agents.d3rlpy", raising=False)
    for name in ("d3rlpy", "d3rlpy.models", "d3rlpy.models.encoders"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'recgym\[offline\]'"):
        __import__("recgym.agents.d3rlpy")
