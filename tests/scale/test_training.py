"""Encoders trained by several processes are those of one, where nothing is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.data import markov_log, random_transitions
from recgym.encoders import SASRecConfig
from recgym.encoders.fit import FitConfig
from recgym.encoders.sequences import Sequences
from recgym.evaluation.encoders import EncoderSplit, encoder_split, fit_encoder
from recgym.scale.training import Share, fit_encoder_together


def _split() -> EncoderSplit:
    return encoder_split(markov_log(150, 12, random_transitions(20, 0.1, 0), 0))


def test_shares_are_the_batch() -> None:
    log = markov_log(30, 9, random_transitions(10, 0.3, 0), 0)
    sequences = Sequences.from_log(log)
    for example in sequences.examples(5, 16, np.random.default_rng(0)):
        parts = [Share(number, 3).share(example, 10) for number in range(3)]
        assert sum(weight for _, weight in parts) == pytest.approx(1.0)
        assert sorted(torch.cat([part.users for part, _ in parts]).tolist()) == sorted(example.users.tolist())
        for number, (part, _) in enumerate(parts):
            assert torch.equal(part.targets, example.targets[number::3])
            assert torch.equal(part.inputs.items, example.inputs.items[number::3])
        few = [Share(number, 99).share(example, 10) for number in range(2)]
        assert all(part is example and weight == 1 / 99 for part, weight in few)


def test_two_processes_train_what_one_trains(local_ray: None, tmp_path: Path) -> None:
    split = _split()
    config = SASRecConfig(width=8, blocks=1, dropout=0.0, window=8, fit=FitConfig(epochs=3, batch_size=33))
    alone, epochs = fit_encoder("sasrec", config, split, 0)
    together, spread = fit_encoder_together("sasrec", config, split, 0, tmp_path / "encoder", processes=2)
    assert [epoch.loss for epoch in spread] == pytest.approx([epoch.loss for epoch in epochs], rel=1e-4)
    ours = together.model.state_dict()
    for name, weight in alone.model.state_dict().items():
        assert torch.allclose(ours[name], weight, atol=2e-4), name
    assert [entry.name for entry in tmp_path.iterdir()] == ["encoder"]
