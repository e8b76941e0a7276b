"""What every encoder promises, and how it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.encoders import Catalogue, NextItemModel, Sequences, fit, seeded
from recgym.testing import check_encoder
from tests.encoders.cases import CASES


@pytest.mark.parametrize("name", CASES)
def test_contract(name: str) -> None:
    check_encoder(CASES[name])


def _chains(shuffled: bool) -> tuple[Sequences, Sequences]:
    """Histories in which item i is mostly followed by i + 1; and the last events of the same users, to be foretold."""
    rng = np.random.default_rng(0)
    users, length, n = 60, 13, 20
    items = (rng.integers(0, n, (users, 1)) + np.arange(length)) % n
    noise = rng.random(items.shape) < 0.05
    items = np.where(noise, rng.integers(0, n, items.shape), items)
    if shuffled:
        items = rng.permuted(items.reshape(-1)).reshape(items.shape)
    time_s = np.arange(users * (length - 1)) * 3600.0
    feedback = np.ones((users * (length - 1), 2), np.float32)
    train = Sequences(
        items[:, :-1].ravel(), np.arange(users + 1) * (length - 1), n, time_s, feedback,
        np.zeros(len(time_s), np.int64),
    )  # fmt: skip
    test = Sequences(items[:, -1].copy(), np.arange(users + 1), n)
    return train, test


def _hits(model: NextItemModel, train: Sequences, test: Sequences) -> float:
    scores = model.score(train.histories(np.arange(train.num_users), model.window))
    return float((scores.argmax(1).numpy() == test.items).mean())


@pytest.mark.parametrize("name", CASES)
def test_training_learns_what_follows_what_and_nothing_from_shuffled_labels(name: str) -> None:
    config = CASES[name]
    hits = {}
    for shuffled in (False, True):
        train, test = _chains(shuffled)
        catalogue = Catalogue.of(train)
        with seeded(1, "model"):
            model = config.build(catalogue)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        records = fit(model, train, config.stages(catalogue), seed=1)
        assert records[-1].loss < records[0].loss
        assert any(not torch.equal(before[key], value) for key, value in model.state_dict().items())
        hits[shuffled] = _hits(model, train, test)
    assert hits[False] > 0.6  # 0.9 is the ceiling that noise leaves
    assert hits[True] < 0.25  # chance is 0.05


@pytest.mark.parametrize("name", CASES)
def test_same_seed_same_model(name: str) -> None:
    config = CASES[name]
    train, _ = _chains(shuffled=False)
    catalogue = Catalogue.of(train)
    weights = []
    for _ in range(2):
        with seeded(3, "model"):
            model = config.build(catalogue)
        few = (replace(stage, config=replace(stage.config, epochs=2)) for stage in config.stages(catalogue))
        fit(model, train, tuple(few), seed=3)
        weights.append(model.state_dict())
        torch.rand(1)  # The global generator has no part in it.
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
