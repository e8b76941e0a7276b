"""ICSRec: its two contrasts, against plain sums, and what they do to the states."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders import Batch, Catalogue, FitConfig, NextItemModel, SASRecConfig, Sequences, Step, fit, seeded
from recgym.encoders.icsrec import ICSRecConfig
from recgym.encoders.intents import SameIntent, SameTarget
from recgym.testing.encoder import encoder_sequences

BASE = SASRecConfig(width=16, window=8, blocks=1, fit=FitConfig(epochs=8, batch_size=20, step_size=1e-2))


def _model(sequences: Sequences) -> NextItemModel:
    with seeded(0, "model"):
        return BASE.build(Catalogue.of(sequences)).eval()


def _step(model: NextItemModel, sequences: Sequences) -> Step:
    """Of all histories at once."""
    example = next(iter(sequences.examples(BASE.window, 100, np.random.default_rng(0))))
    states = model.encoder(example.inputs)
    return Step(model, example, states, model.vectors(), torch.Generator().manual_seed(0))


def _prepared(term: SameTarget | SameIntent, model: NextItemModel, sequences: Sequences) -> torch.Generator:
    generator = torch.Generator().manual_seed(1)
    term.on_epoch_start(model, sequences, 1, generator)
    return generator


def test_partners_precede_the_same_item_and_are_of_other_users() -> None:
    sequences = encoder_sequences(3, users=40, num_items=25)
    term = SameTarget()
    _prepared(term, _model(sequences), sequences)
    owner = np.repeat(np.arange(sequences.num_users), np.diff(sequences.start))
    targets = np.repeat(np.arange(25), 300)
    users = np.random.default_rng(0).integers(0, 40, len(targets))
    found = term.partners(targets, users, np.random.default_rng(1).random(len(targets), dtype=np.float32))
    np.testing.assert_array_equal(sequences.items[found], targets)
    assert (found > sequences.start[owner[found]]).all()  # Something came before it.
    for item in range(25):
        there = {int(e) for e in np.flatnonzero(sequences.items == item) if e > sequences.start[owner[e]]}
        assert set(found[targets == item]) == there
    once = np.bincount(owner[found], minlength=40)
    assert once.max() < 4 * len(found) / 40  # No user stands for all.
    repeated = np.array([len({int(u) for u in owner[sequences.items == item]}) for item in targets]) < 3
    assert (owner[found] != users)[~repeated].mean() > 0.97  # Repeats of a user's item are the rest.


def test_states_of_partners_are_those_of_the_histories_before() -> None:
    sequences = encoder_sequences(3, users=40)
    model, term = _model(sequences), SameTarget()
    _prepared(term, model, sequences)
    events = term.events[::7]
    found = term.encode(model, events)
    for row, event in enumerate(events):
        first = sequences.start[term.owner[event]]
        history = torch.from_numpy(sequences.items[max(first, event - BASE.window) : event].copy())[None]
        plain = model.encoder.final(Batch(history, torch.ones_like(history, dtype=torch.bool)))
        torch.testing.assert_close(found[row], plain[0], atol=1e-5, rtol=1e-5)


def _plain_info_nce(first: Tensor, second: Tensor, same: list[list[bool]]) -> float:
    total = 0.0
    for left, right, alike in ((first, second, same), (second, first, [list(row) for row in zip(*same, strict=True)])):
        for i in range(len(left)):
            others = [j for j in range(len(left)) if j == i or not alike[i][j]]
            scores = torch.stack([left[i] @ right[j] for j in others])
            total -= float(scores.log_softmax(0)[others.index(i)]) / (2 * len(left))
    return total


def test_coarse_loss_is_the_plain_sum_without_false_negatives() -> None:
    sequences = encoder_sequences(5, users=30, num_items=6)
    model, term = _model(sequences), SameTarget(pairs=40)
    _prepared(term, model, sequences)
    step = _step(model, sequences)
    seen: dict[str, Tensor] = {}
    encode = term.encode

    def record(inner: NextItemModel, events: np.ndarray) -> Tensor:
        seen["second"] = encode(inner, events)
        seen["items"] = torch.from_numpy(sequences.items[events])
        return seen["second"]

    term.encode = record  # type: ignore[method-assign, assignment]
    loss = float(term(step).detach())
    known = step.example.targets != model.num_items
    drawn = torch.randperm(int(known.sum()), generator=torch.Generator().manual_seed(0))[:40]
    first, targets = step.states[known][drawn].detach(), step.example.targets[known][drawn]
    assert torch.equal(targets, seen["items"])
    same = [[bool(a == b) for b in targets] for a in targets]
    assert loss == pytest.approx(_plain_info_nce(first, seen["second"].detach(), same), rel=1e-4)
    unmasked = [[False] * 40 for _ in range(40)]
    assert abs(loss - _plain_info_nce(first, seen["second"].detach(), unmasked)) > 0.05


def test_fine_loss_is_the_plain_sum_over_nearest_centres() -> None:
    sequences = encoder_sequences(5, users=30)
    model, term = _model(sequences), SameIntent(intents=5)
    _prepared(term, model, sequences)
    states = _step(model, sequences).states.flatten(0, 1)[:30].detach()
    nearest = [int(((state - term.centres) ** 2).sum(1).argmin()) for state in states]
    second = functional.normalize(term.centres[nearest], dim=-1)
    same = [[a == b for b in nearest] for a in nearest]
    assert float(term.contrast(states)) == pytest.approx(_plain_info_nce(states, second, same), rel=1e-4)
    assert 1 < len(set(nearest)) <= 5


def test_intents_are_means_of_their_states_and_follow_the_model() -> None:
    sequences = encoder_sequences(5, users=60)
    model, term = _model(sequences), SameIntent(intents=6, iterations=100)
    generator = _prepared(term, model, sequences)
    first, states = term.centres, term.sample(model, sequences, generator)
    assert len(states) == int((np.diff(sequences.start) - 1).clip(min=0).sum())  # No more than wanted: all of them.
    owner = torch.cdist(states, first).argmin(1)
    for intent in range(6):
        torch.testing.assert_close(states[owner == intent].mean(0), first[intent], atol=1e-4, rtol=1e-4)
    assert not model.training
    again = SameIntent(intents=6, iterations=100)
    _prepared(again, model, sequences)
    assert torch.equal(again.centres, first)
    with torch.no_grad():
        model.encoder.items.table().mul_(-1.0)
    term.on_epoch_start(model, sequences, 2, generator)
    assert not torch.equal(term.centres, first)


def test_fewer_states_than_intents_are_their_own_centres() -> None:
    sequences = Sequences(np.array([0, 1, 2, 1]), np.array([0, 4]), 3)
    model, term = _model(sequences), SameIntent(intents=50)
    _prepared(term, model, sequences)
    assert len(term.centres) == 3


def _groups() -> Sequences:
    """Two ways to each of ten items: what leads to an item is either of two items that have nothing else in common."""
    rng = np.random.default_rng(0)
    target, way = rng.integers(0, 10, 300), rng.integers(0, 2, 300)
    items = np.stack([rng.integers(30, 34, 300), 10 + 2 * target + way, target], 1)
    return Sequences(items.ravel(), np.arange(301) * 3, 34)


def _closeness(config: ICSRecConfig) -> float:
    """How much nearer states are that the same item followed by another way than states in general (cosines)."""
    sequences = _groups()
    catalogue = Catalogue.of(sequences)
    with seeded(1, "model"):
        model = config.build(catalogue)
    fit(model, sequences, config.stages(catalogue), seed=1)
    ways = torch.arange(10, 30).reshape(10, 2)
    items = torch.stack([torch.full((20,), 30), ways.flatten()], 1)
    states = functional.normalize(model.encoder.final(Batch(items, torch.ones_like(items, dtype=torch.bool))), dim=-1)
    pairs = states.reshape(10, 2, -1)
    return float(((pairs[:, 0] * pairs[:, 1]).sum(-1).mean() - (states @ states.T).mean()).detach())


def test_coarse_term_brings_states_before_the_same_item_together() -> None:
    short = replace(BASE, fit=FitConfig(epochs=8, batch_size=50, step_size=5e-3))
    without = _closeness(ICSRecConfig(short, coarse=0.0, fine=0.0))
    coarse = _closeness(ICSRecConfig(short, coarse=0.3, fine=0.0))
    against = _closeness(ICSRecConfig(short, coarse=-0.3, fine=0.0))
    assert coarse > without + 0.05
    assert against < without - 0.3


def test_fine_term_gathers_states_around_their_intents() -> None:
    def confusion(fine: float) -> float:
        """The contrast of all states with centres found afresh."""
        short = replace(BASE, fit=FitConfig(epochs=3, batch_size=50, step_size=5e-3))
        config = ICSRecConfig(short, coarse=0.0, fine=fine, intents=8)
        sequences = _groups()
        catalogue = Catalogue.of(sequences)
        with seeded(1, "model"):
            model = config.build(catalogue)
        fit(model, sequences, config.stages(catalogue), seed=1)
        term = SameIntent(intents=8, iterations=30)
        return float(term.contrast(term.sample(model, sequences, _prepared(term, model, sequences))))

    without = confusion(0.0)
    assert confusion(1.0) < 0.7 * without
    assert confusion(-0.3) > without


@pytest.mark.parametrize("wrong", [{"intents": 1}, {"pairs": 1}, {"temperature": 0.0}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 2 intents"):
        ICSRecConfig(**wrong)  # type: ignore[arg-type]
