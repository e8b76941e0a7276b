import numpy as np
import pytest
import torch

from recgym.data import StreamConfig, new_item_stream
from recgym.encoders import Catalogue, FitConfig, HSTUConfig, NextItemModel, Sequences, fit_stream, seeded

CONFIG = HSTUConfig(
    width=16, blocks=1, window=15, timed=False, dropout=0.0, negatives=30,
    fit=FitConfig(batch_size=32, step_size=1e-2),
)  # fmt: skip
STREAM = StreamConfig(items=60, categories=6, records=1500, length=16, interests=1)


def _catalogue(items: int) -> Catalogue:
    return Catalogue.of(Sequences(np.zeros(1, np.int64), np.array([0, 1]), items))


def _model(items: int = 60) -> NextItemModel:
    with seeded(0, "model"):
        return CONFIG.build(_catalogue(items))


def test_a_stream_is_learned_in_one_pass_and_new_items_with_it() -> None:
    records = new_item_stream(STREAM, 0)
    model = _model()
    found = fit_stream(model, records, CONFIG.stages(_catalogue(60))[0], 0, k=10, scored_from=0.9, newest=4)
    assert found.hits.shape == (len(found.record), 4)
    assert found.record[-1] == 1499
    assert 1350 <= found.record[0] < 1350 + 32
    assert len(found.loss) == -(-1500 // 32)
    assert np.mean(found.loss[-5:]) < np.mean(found.loss[:5])
    assert found.hits.mean() > 0.8  # 1 if the category, of at most 10 items, is known; 1 / 6 by chance


def test_each_record_is_foretold_before_it_is_learned_from() -> None:
    # What is drawn evenly cannot be foretold; scoring after learning would find it.
    records = np.random.default_rng(0).integers(0, 60, (96, 16))
    found = fit_stream(_model(), records, CONFIG.stages(_catalogue(60))[0], 0, k=6, scored_from=0.0, newest=8)
    assert found.hits.shape == (96, 8)
    assert abs(found.hits.mean() - 0.1) < 0.04
    changed = np.concatenate([records[:64], records[64:][::-1]])
    again = fit_stream(_model(), changed, CONFIG.stages(_catalogue(60))[0], 0, k=6, scored_from=0.0, newest=8)
    assert np.array_equal(found.hits[:64], again.hits[:64])  # What comes later has no part in it.


def test_ties_count_against_the_model() -> None:
    model = _model()
    with torch.no_grad():
        model.encoder.items.table()[:60] = 1.0
    records = np.random.default_rng(0).integers(0, 60, (32, 16))
    found = fit_stream(model, records, CONFIG.stages(_catalogue(60))[0], 0, scored_from=0.0)
    assert not found.hits.any()


def test_records_that_do_not_fit_raise() -> None:
    stage = CONFIG.stages(_catalogue(60))[0]
    with pytest.raises(ValueError, match="records of 17 events"):
        fit_stream(_model(), np.zeros((4, 17), np.int64), stage, 0)
    with pytest.raises(ValueError, match="8 events to be foretold"):
        fit_stream(_model(), np.zeros((4, 8), np.int64), stage, 0, newest=8)
    untouched = fit_stream(_model(), np.zeros((4, 8), np.int64), stage, 0, scored_from=1.0, newest=2)
    assert untouched.hits.shape == (0, 2)
