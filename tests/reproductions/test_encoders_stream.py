"""HSTU's parts on the stream: arms differ in their blocks alone, and what is scored is of users that arms share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.data import StreamConfig
from recgym.encoders import Catalogue, Cosine, FeedbackScale, FitConfig, HSTUConfig, NextItemModel, seeded
from reproductions.encoders import runs, stream
from reproductions.encoders.models import Run
from reproductions.encoders.stream import ARMS, PlainBlocks

SMALL = StreamConfig(items=60, categories=6, records=600, length=16, interests=1)


def _models() -> dict[str, NextItemModel]:
    found = {}
    for name, config in ARMS.items():
        with seeded(0, "encoder weights"):
            found[name] = config.build(Catalogue(50, np.ones(50, np.int64), FeedbackScale(()), timed=False))
    return found


def test_arms_differ_in_their_blocks_alone() -> None:
    made = _models()
    items = {name: model.vectors().detach() for name, model in made.items()}
    assert torch.equal(items["transformer"], items["hstu"])
    assert all(float(vectors.std()) == pytest.approx(0.02, rel=0.1) for vectors in items.values())
    for model in made.values():
        assert isinstance(model.scorer, Cosine)
        assert (model.scorer.temperature, model.window) == (0.05, 63)
    assert len({type(model.encoder.backbone.blocks[0]) for model in made.values()}) == 2  # type: ignore[index]
    assert {config.around.fit if isinstance(config, PlainBlocks) else config.fit for config in ARMS.values()} == {
        FitConfig(batch_size=128, step_size=2e-3)
    }


def test_a_pass_is_kept_with_its_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = HSTUConfig(
        width=16,
        blocks=1,
        window=15,
        timed=False,
        dropout=0.0,
        negatives=30,
        fit=FitConfig(batch_size=32, step_size=1e-2),
    )
    monkeypatch.setattr(stream, "STREAM", SMALL)
    monkeypatch.setattr(stream, "NEWEST", 4)
    plain = ARMS["transformer"]
    assert isinstance(plain, PlainBlocks)
    monkeypatch.setitem(ARMS, "hstu", small)
    monkeypatch.setitem(ARMS, "transformer", PlainBlocks(small, replace(plain.blocks, width=16, blocks=1, window=15)))
    for arm in ("hstu", "transformer"):
        row = runs.run_one(Run("stream", arm, 0), tmp_path, tmp_path, 1)
        values = runs.per_query(Run("stream", arm, 0), tmp_path, "hr@10")
        assert values is not None
        assert len(values) == row["users_scored"] == 600 - 480
        assert row["events_scored"] == 4 * 120
        assert values.mean() == pytest.approx(row["hr@10"]["mean"])
        assert row["hr@10"]["mean"] > 2 * 10 / 60
    assert (tmp_path / "stream_hstu_0.json").exists()
