"""Training: the settings, the warm start, and that ACT-R's weights learn what means do not."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch
from scipy import sparse

from recgym.data import InteractionLog
from recgym.encoders import Epoch
from recgym.encoders.pisa import PISA, PISAConfig, SessionHistories, fit_pisa
from recgym.encoders.pisa.training import item_factors, user_counts
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.simulators.actr import ACTRConfig, actr_log
from tests.encoders.pisa.examples import SMALL, histories, small_log, small_model


def test_the_same_seed_gives_the_same_model() -> None:
    again, other = fit_pisa(SMALL, small_log(), seed=0), fit_pisa(SMALL, small_log(), seed=1)
    for name, part in small_model().network.state_dict().items():
        assert torch.equal(part, again.network.state_dict()[name])
    assert not torch.equal(small_model().network.items.weight, other.network.items.weight)


def test_fitting_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    fit_pisa(SMALL, small_log(), seed=0)
    assert torch.equal(torch.rand(3), wanted)


def test_the_best_epoch_is_kept_and_training_ends_without_progress() -> None:
    values = iter([0.1, 0.5, 0.3, 0.2])
    weights: list[torch.Tensor] = []
    epochs: list[Epoch] = []

    def validate(model: PISA) -> float:
        weights.append(model.network.items.weight.detach().clone())
        return next(values)

    config = dataclasses.replace(SMALL, epochs=9, patience=2)
    model = fit_pisa(config, small_log(), 0, validate, epochs.append)
    assert [epoch.best for epoch in epochs] == [True, True, False, False]
    assert torch.equal(model.network.items.weight, weights[1])


def test_factors_are_singular_vectors_of_logarithms() -> None:
    counts = user_counts(histories(small_log()))
    dense = np.log1p(counts.toarray())
    frame = small_log().frame
    assert counts.sum() == frame.height
    assert counts[[29], [int(frame["item"][-1])]] >= 1
    _, values, right = np.linalg.svd(dense)
    wanted = right[:6].T * np.sqrt(values[:6])
    found = item_factors(counts, 6)
    there = counts.sum(0) > 0
    np.testing.assert_allclose(np.linalg.norm(found[there], axis=1), 1, rtol=1e-5)
    assert not found[~there].any()
    wanted[there] /= np.linalg.norm(wanted[there], axis=1, keepdims=True)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-4)
    assert item_factors(sparse.csr_array((3, 4)), 6).shape == (4, 6)
    assert not item_factors(counts, 50)[:, 29:].any()


def test_settings_are_checked_and_survive_json() -> None:
    config = PISAConfig.session_sasrec()
    assert not config.needs_levels
    assert settings_from_json(PISAConfig, settings_to_json(config)) == config
    for change, message in (
        ({"window": 0}, "window must be at least 1, found 0"),
        ({"width": 9}, "a width of 9 is not a positive multiple of 2 heads"),
        ({"task": 1.5}, "task must be a share"),
        ({"l2": -1.0}, "l2 must not be negative"),
        ({"gap_s": 0.0}, "gap_s must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(config, **change)


def test_a_log_without_two_sessions_of_a_user_is_refused() -> None:
    log = small_log()
    first = pl.col("session") == pl.col("session").min().over("user")
    with pytest.raises(ValueError, match="found no user of two sessions"):
        fit_pisa(SMALL, log.with_frame(log.frame.filter(first)), 0)


def _ndcg(model: PISA, past: InteractionLog, whole: SessionHistories) -> float:
    """NDCG@10 of each user's last session."""
    last = whole.first_session[1:] - 1
    scores = model.score_sessions(SessionHistories.from_log(past, 10), whole.start_s[last])
    hits = (scores.topk(10).indices[:, :, None] == whole.held[last][:, None]).any(2).float()
    discount = 1 / torch.log2(torch.arange(10) + 2.0)
    return float((hits @ discount).mean() / discount.sum())


def test_weights_by_activation_beat_means() -> None:
    """On people who come back to what they know, by at least a tenth, with the same settings of training."""
    world = ACTRConfig(num_items=300, num_topics=6, session=(10, 10), window=200)
    log = actr_log(world, users=200, sessions=14, seed=2)
    last = pl.col("session") == pl.col("session").max().over("user")
    past = log.with_frame(log.frame.filter(~last))
    config = PISAConfig(width=32, epochs=12, batch_size=128, stride=3)
    bare = PISAConfig.session_sasrec()
    plain = dataclasses.replace(bare, width=32, epochs=12, batch_size=128, stride=3)
    found = {name: _ndcg(fit_pisa(one, past, 0), past, histories(log, 10)) for name, one in
             (("pisa", config), ("sasrec", plain))}  # fmt: skip
    assert found["pisa"] > 1.1 * found["sasrec"]
    assert found["sasrec"] > 0.1
