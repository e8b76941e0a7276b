"""Attention with dropout of its weights."""

import pytest
import torch

from recgym.agents.decision_transformer.mixing import DroppedSoftmax, kept_weights
from recgym.encoders.transformer import Softmax
from recgym.seeding import seeded


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_weights_are_kept_at_the_rate_and_independent_of_their_neighbours(rate: float) -> None:
    with seeded(0, "dropout"):
        kept = kept_weights((500, 801), rate)
    torch.testing.assert_close(kept[kept != 0], torch.full_like(kept[kept != 0], 1 / (1 - rate)))
    gone = (kept == 0).float()
    assert float(gone.mean()) == pytest.approx(rate, abs=4 * (rate * (1 - rate) / gone.numel()) ** 0.5)
    for apart in (1, 2, 3, 4):
        both = (gone[:, apart:] * gone[:, :-apart]).mean()
        assert float(both) == pytest.approx(rate**2, abs=4 * (rate**2 * (1 - rate**2) / gone.numel()) ** 0.5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_mean_over_draws_is_attention_without_dropout(masked: bool) -> None:
    with seeded(1, "inputs"):
        queries, keys, values = torch.randn(3, 2, 2, 5, 4).unbind(0)
    seen = torch.ones(2, 5, 5, dtype=torch.bool).tril() if masked else None
    mixer = DroppedSoftmax()
    with seeded(2, "dropout"):
        draws = torch.stack([mixer(queries, keys, values, None, seen, 0.2) for _ in range(3000)])
    plain = Softmax()(queries, keys, values, None, seen, 0.0)
    torch.testing.assert_close(draws.mean(0), plain, atol=0.06, rtol=0.0)
    assert float(draws.std(0).max()) > 0.1
    torch.testing.assert_close(mixer(queries, keys, values, None, seen, 0.0), plain)
