"""A fitted encoder described without its weights, and built again."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from recgym.encoders import MODELS, Catalogue, FittedEncoder, seeded
from recgym.testing.encoder import encoder_sequences
from tests.encoders.cases import CASES


@pytest.mark.parametrize("case", CASES)
def test_built_again_from_its_description_it_takes_the_weights(case: str) -> None:
    sequences, config = encoder_sequences(0), CASES[case]
    catalogue, models = Catalogue.of(sequences), dict(MODELS)
    name = next((name for name, kind in models.items() if isinstance(config, kind)), None)
    if name is None:
        pytest.skip(f"{type(config).__name__} has no name yet")
    with seeded(0, "model"):
        model = config.build(catalogue).eval()
    ids = pl.Series("id", np.arange(catalogue.num_items))
    fitted = FittedEncoder(name, config, catalogue, model, ids, ("a", "b"))
    before = torch.get_rng_state()
    again = FittedEncoder.unfitted(json.loads(json.dumps(fitted.description())), models)
    assert torch.equal(before, torch.get_rng_state())
    assert again.config == config
    assert again.channels == fitted.channels
    again.model.load_state_dict(model.state_dict())
    batch = sequences.histories(np.arange(sequences.num_users), config.window)
    with torch.no_grad():
        assert torch.equal(again.model.encoder.final(batch), model.encoder.final(batch))


def test_a_model_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no model 'other'; there are: "):
        FittedEncoder.unfitted({"model": "other", "items": 3}, dict(MODELS))
