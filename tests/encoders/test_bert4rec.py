"""BERT4Rec's equations written out plainly, and what it sees in training and when it is asked."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders import BERT4RecConfig, Catalogue, NextItemModel, Sequences, fit, seeded
from recgym.encoders.fit import FitConfig
from recgym.testing.encoder import encoder_sequences
from recgym.types import History

LOG = encoder_sequences(0)
TOKEN = LOG.num_items + 1


def _model(pre_norm: bool = False) -> NextItemModel:
    config = BERT4RecConfig(width=16, blocks=2, heads=2, window=10, pre_norm=pre_norm)
    with seeded(0, "model"):
        model = config.build(Catalogue.of(LOG)).eval()
        for parameter in model.parameters():  # Away from norms that do nothing and vectors that are almost 0.
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def _norm(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = states - states.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def _slow(model: NextItemModel, items: list[int], pre_norm: bool) -> Tensor:
    """The states of one history, without padding, equations 1 to 7 of the paper."""
    w = {name.removeprefix("encoder.backbone."): part for name, part in model.state_dict().items()}
    h = w["encoder.items.weight"][items] + w["position.table"][: len(items)]
    for number in range(2):
        p = {name.removeprefix(f"blocks.{number}."): part for name, part in w.items()}

        def attend(x: Tensor, p: dict[str, Tensor] = p) -> Tensor:
            queries, keys, values = torch.split(x @ p["project.weight"].T + p["project.bias"], 16, -1)
            heads = []
            for k in range(2):
                q, key, value = (part[:, 8 * k : 8 * k + 8] for part in (queries, keys, values))
                heads.append(functional.softmax(q @ key.T / 8**0.5, -1) @ value)
            return torch.cat(heads, -1) @ p["out.weight"].T + p["out.bias"]

        def feed(x: Tensor, p: dict[str, Tensor] = p) -> Tensor:
            inner = x @ p["feed_forward.layers.0.weight"].T + p["feed_forward.layers.0.bias"]
            assert inner.shape[-1] == 64
            inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
            return inner @ p["feed_forward.layers.3.weight"].T + p["feed_forward.layers.3.bias"]

        one, two = (p["norm.weight"], p["norm.bias"]), (p["norm_feed.weight"], p["norm_feed.bias"])
        if pre_norm:
            h = h + attend(_norm(h, *one))
            h = h + feed(_norm(h, *two))
        else:
            h = _norm(h + attend(h), *one)
            h = _norm(h + feed(h), *two)
    first = 0
    if pre_norm:
        h, first = _norm(h, w["norm.0.weight"], w["norm.0.bias"]), 1
    h = functional.gelu(h @ w[f"norm.{first}.weight"].T + w[f"norm.{first}.bias"])
    return _norm(h, w[f"norm.{first + 2}.weight"], w[f"norm.{first + 2}.bias"])


@pytest.mark.parametrize("pre_norm", [False, True])
def test_equations(pre_norm: bool) -> None:
    model = _model(pre_norm)
    batch = LOG.histories(np.arange(LOG.num_users), 10)
    with torch.no_grad():
        states = model.encoder(batch)
        for row in range(LOG.num_users):
            items = batch.items[row][batch.mask[row]].tolist()
            if items:
                torch.testing.assert_close(
                    states[row, : len(items)], _slow(model, items, pre_norm), rtol=1e-4, atol=1e-5
                )


def test_the_token_is_asked_after_the_newest_events() -> None:
    model = _model()
    history = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]])
    given = History(history, torch.zeros(1, 11, 2), torch.zeros(1, 11).double(), torch.ones(1, 11).bool())
    with torch.no_grad():
        scores = model.scores(torch.zeros(1).long(), given)
        state = _slow(model, [*range(7, 16), TOKEN], False)[-1]  # Nine events and the token fill the window of ten.
        torch.testing.assert_close(scores[0], model.vectors() @ state, rtol=1e-4, atol=1e-5)
        at_newest = _slow(model, list(range(6, 16)), False)[-1]
        assert not torch.allclose(scores[0], model.vectors() @ at_newest, atol=1e-2)


def test_events_see_both_sides() -> None:
    model = _model()
    assert not model.encoder.capabilities.causal
    assert not model.encoder.capabilities.incremental
    batch = LOG.histories(np.array([0]), 10)
    changed = batch.items.clone()
    changed[0, -1] = (changed[0, -1] + 1) % LOG.num_items
    with torch.no_grad():
        moved = model.encoder(batch) - model.encoder(type(batch)(changed, batch.mask))
    assert bool((moved.abs().amax(-1) > 1e-6).all())


def test_training_hides_what_it_asks_for() -> None:
    config = BERT4RecConfig(window=10, ratio=0.4, last_only=0.0)
    (stage,) = config.stages(Catalogue.of(LOG))
    assert stage.transform is not None
    for example in LOG.examples(10, 4, np.random.default_rng(0)):
        masked = stage.transform(example, torch.Generator().manual_seed(0))
        asked = masked.targets != LOG.num_items
        assert torch.equal(asked, masked.inputs.items == TOKEN)
        assert masked.inputs.lengths.max() <= 10


def test_what_stands_on_both_sides_is_used() -> None:
    """The item in the middle tells of both its neighbours, so that one of them alone leaves it even odds."""
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 6, (400, 2))
    middle = 6 + 2 * (sides[:, 0] >= 3) + (sides[:, 1] >= 3)
    items = np.stack([sides[:, 0], middle, 12 + sides[:, 1]], 1)
    log = Sequences(items.ravel(), np.arange(401) * 3, 18)
    config = BERT4RecConfig(
        width=32, blocks=1, window=3, dropout=0.0, ratio=0.34, last_only=0.0, pre_norm=True,
        fit=FitConfig(epochs=25, batch_size=50, step_size=5e-3, warmup=20),
    )  # fmt: skip
    with seeded(0, "model"):
        model = config.build(Catalogue.of(log))
    fit(model, log, config.stages(Catalogue.of(log)), seed=0)
    asked = torch.from_numpy(items).clone()
    asked[:, 1] = log.num_items + 1
    with torch.no_grad():
        batch = log.gather(log.start[:-1], log.start[1:])
        states = model.encoder(type(batch)(asked, batch.mask))
        found = (states[:, 1] @ model.vectors().T).argmax(1).numpy()
    assert (found == middle).mean() > 0.9  # The left neighbour alone gives 0.5.
