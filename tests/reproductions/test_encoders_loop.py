"""An encoder in the loop: what each arm is given of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recgym.arrays import to_numpy
from recgym.encoders import FitConfig
from recgym.envs import make_task
from reproductions.encoders import loop, runs
from reproductions.encoders.models import Run


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEPS", 1)  # one rollout and its update
    monkeypatch.setattr(loop, "LOGGED_USERS", 40)
    monkeypatch.setattr(loop, "TEST_USERS", 20)
    monkeypatch.setattr(loop, "ENCODER", replace(loop.ENCODER, width=8, fit=FitConfig(epochs=1)))


def test_arms_of_a_seed_share_encoder_and_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {arm: runs.run_one(Run("loop", arm, 0), tmp_path, tmp_path, 1) for arm in ("random", "sasrec-state")}
    monkeypatch.setattr(loop, "fit", None)  # what is kept is not fitted again
    rows["mean-pool-vectors"] = runs.run_one(Run("loop", "mean-pool-vectors", 0), tmp_path, tmp_path, 1)
    assert rows["sasrec-state"]["steps"] == rows["mean-pool-vectors"]["steps"] > 0
    assert rows["mean-pool-vectors"]["settings"]["encoder"]["width"] == 8
    assert "steps" not in rows["random"]
    for arm, row in rows.items():
        values = runs.per_query(Run("loop", arm, 0), tmp_path, "return")
        assert values is not None
        assert len(values) == row["test_users"] == 20 * len(loop.TEST_SEEDS)
        assert values.mean() == pytest.approx(row["return"]["mean"])


def test_vectors_stand_beside_the_features_of_items(tmp_path: Path) -> None:
    task = make_task(loop.ENVIRONMENT, {})
    encoder = loop._fitted(task, 0, tmp_path / "encoder")
    known = loop.with_vectors(task, encoder)
    features, both = (to_numpy(one.model.item_features) for one in (task, known))
    assert np.array_equal(both[:, : features.shape[1]], features)
    assert np.array_equal(both[:, features.shape[1] :], encoder.model.vectors().detach().numpy())
    assert known.observer == task.observer  # users are seen as ever
