"""MQSA-TED: long queries and distilled transitions, against plain sums, and what distillation does to item vectors."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.encoders import Catalogue, FitConfig, SASRecConfig, Sequences, Step, fit, seeded
from recgym.encoders.mqsa_ted import MQSATEDConfig, TwoQueries
from recgym.encoders.transformer import PlainBlock, Transformer
from recgym.encoders.transitions import DistilTransitions, Transitions
from recgym.testing.encoder import encoder_sequences

BASE = SASRecConfig(width=8, window=9, heads=2, blocks=2, dropout=0.0, fit=FitConfig(epochs=3, batch_size=20))


def _two(newest: int, share: float) -> tuple[Transformer, Transformer, TwoQueries]:
    with seeded(0, "model"):
        short, long = BASE.backbone().eval(), BASE.backbone().eval()
        for parameter in (*short.parameters(), *long.parameters()):
            parameter.data += 0.3 * torch.randn_like(parameter)
    return short, long, TwoQueries(short, long, newest, share).eval()


def _attended(block: PlainBlock, asking: Tensor, states: list[Tensor]) -> Tensor:
    """One event's state of the next level: ``asking`` looks at ``states``, by hand."""
    normed = torch.stack([block.norm(state) for state in states])
    width = len(asking)
    weight, bias = block.project.weight, block.project.bias
    query = weight[:width] @ block.norm(asking) + bias[:width]
    keys = normed @ weight[width : 2 * width].T + bias[width : 2 * width]
    values = normed @ weight[2 * width :].T + bias[2 * width :]
    size, mixed = width // block.heads, []
    for head in range(block.heads):
        of = slice(head * size, (head + 1) * size)
        weights = (keys[:, of] @ query[of] / math.sqrt(size)).softmax(0)
        mixed.append(weights @ values[:, of])
    asking = asking + block.out(torch.cat(mixed))
    return torch.as_tensor(asking + block.feed_forward(block.norm_feed(asking)))


def _plain_long(transformer: Transformer, inputs: Tensor, newest: int, divide_by_all: bool = False) -> Tensor:
    levels = list(inputs)
    for block in transformer.blocks:
        assert isinstance(block, PlainBlock)
        after = []
        for t in range(len(levels)):
            last = levels[max(0, t - newest + 1) : t + 1]
            mean = torch.stack(last).sum(0) / (newest if divide_by_all else len(last))
            after.append(_attended(block, mean, levels[: t + 1]))
        levels = after
    return torch.as_tensor(transformer.norm(torch.stack(levels)))


@torch.no_grad()
def test_long_queries_are_means_of_the_events_there_are() -> None:
    short, long, both = _two(3, 0.25)
    vectors = torch.randn(1, 7, 8, generator=torch.Generator().manual_seed(0))
    where = encoder_sequences(0).histories(np.array([0]), 7).where()
    inputs = short.position.embed(vectors, where)[0]
    expected = 0.25 * short(vectors, where)[0] + 0.75 * _plain_long(long, inputs, 3)
    torch.testing.assert_close(both(vectors, where)[0], expected, atol=1e-5, rtol=1e-5)
    wrong = 0.25 * short(vectors, where)[0] + 0.75 * _plain_long(long, inputs, 3, divide_by_all=True)
    assert (both(vectors, where)[0] - wrong).abs()[:2].max() > 0.01


@torch.no_grad()
def test_queries_of_one_event_make_an_ordinary_transformer() -> None:
    short, _, both = _two(1, 1.0)
    where = encoder_sequences(0).histories(np.arange(5), 9).where()
    vectors = torch.randn(5, 9, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(both(vectors, where), short(vectors, where), atol=1e-5, rtol=1e-5)


def test_transitions_are_counted_within_users() -> None:
    sequences = encoder_sequences(4, users=30, num_items=7)
    counts = np.zeros((7, 7))
    for user in range(30):
        items = sequences.items[sequences.start[user] : sequences.start[user + 1]]
        for first, second in pairwise(items):
            counts[first, second] += 1
    found = np.zeros((7, 7))
    transitions = Transitions.of(sequences)
    entries, owner = transitions.rows(torch.arange(7))
    found[owner, transitions.items[entries]] = transitions.shares[entries]
    np.testing.assert_allclose(found, counts / counts.max(1, keepdims=True), rtol=1e-6)


def test_transitions_of_a_log_without_any() -> None:
    transitions = Transitions.of(Sequences(np.array([2, 0]), np.array([0, 1, 1, 2]), 3))
    assert len(transitions.items) == 0
    assert len(transitions.rows(torch.tensor([0, 2]))[0]) == 0


def _plain_divergence(shares: Tensor, queries: Tensor, vectors: Tensor, temperature: float) -> Tensor:
    teacher = (shares / temperature).log_softmax(1)
    return (teacher.exp() * (teacher - (queries @ vectors.T / temperature).log_softmax(1))).sum(1).mean()


def test_divergence_and_its_gradient_are_those_of_the_whole_matrix() -> None:
    sequences = encoder_sequences(4, users=30, num_items=11)
    term = DistilTransitions(temperature=0.3)
    term.transitions = Transitions.of(sequences)
    items = torch.tensor([3, 5, 3, 0, 10])
    dense = torch.zeros(11, 11)
    entries, owner = term.transitions.rows(torch.arange(11))
    dense[owner, term.transitions.items[entries]] = term.transitions.shares[entries]
    vectors = (0.3 * torch.randn(11, 8, generator=torch.Generator().manual_seed(0))).requires_grad_()
    found = term.divergence(items, 2.0 * vectors[items], vectors)
    expected = _plain_divergence(dense[items], 2.0 * vectors[items], vectors, 0.3)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(loss, vectors)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
    summed = dense / dense.sum(1, keepdim=True)  # The other way to norm a row.
    wrong = _plain_divergence(summed[items], 2.0 * vectors[items], vectors, 0.3)
    assert abs(float(found.detach() - wrong.detach())) > 0.05


def _groups() -> Sequences:
    """Six groups of five items; any item of the user's group follows, but not the same again."""
    rng = np.random.default_rng(0)
    nth = rng.integers(1, 5, (80, 8)).cumsum(1) % 5
    return Sequences((5 * rng.integers(0, 6, (80, 1)) + nth).ravel(), np.arange(81) * 8, 30)


def _divergence(weight: float, epochs: int = 15) -> float:
    """Over all items, after training."""
    sequences = _groups()
    config = MQSATEDConfig(replace(BASE, fit=FitConfig(epochs=epochs, batch_size=20, step_size=3e-3)), weight=weight)
    catalogue = Catalogue.of(sequences)
    with seeded(1, "model"):
        model = config.build(catalogue)
    fit(model, sequences, config.stages(catalogue), seed=1)
    term = DistilTransitions()
    term.on_epoch_start(model, sequences, 1, torch.Generator())
    vectors = model.vectors().detach()
    return float(term.divergence(torch.arange(30), vectors * model.encoder.scale, vectors))


def test_distillation_brings_item_vectors_to_the_transitions() -> None:
    without, a_little, much = (_divergence(weight) for weight in (0.0, 0.1, 1.0))
    assert much < 0.8 * without
    assert much < a_little < without
    assert much < 0.7 * _divergence(1.0, epochs=1)


def test_rows_are_of_the_batch_and_are_bounded() -> None:
    sequences = _groups()
    config = MQSATEDConfig(BASE)
    with seeded(1, "model"):
        model = config.build(Catalogue.of(sequences))
    example = next(iter(sequences.examples(9, 10, np.random.default_rng(0))))
    seen: list[Tensor] = []

    class Recorded(DistilTransitions):
        def divergence(self, items: Tensor, queries: Tensor, vectors: Tensor) -> Tensor:
            seen.append(items)
            return super().divergence(items, queries, vectors)

    term = Recorded(rows=16)
    term.on_epoch_start(model, sequences, 1, torch.Generator())
    states = model.encoder(example.inputs)
    loss = term(Step(model, example, states, model.vectors(), torch.Generator().manual_seed(0)))
    assert len(seen[0]) == 16
    assert set(seen[0].tolist()) <= set(example.inputs.items[example.inputs.mask].tolist())
    assert float(loss.detach()) > 0


@pytest.mark.parametrize("wrong", [{"newest": 0}, {"share": 1.5}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected newest of at least 1"):
        MQSATEDConfig(**wrong)  # type: ignore[arg-type]


def test_temperature_out_of_range() -> None:
    with pytest.raises(ValueError, match="temperature above 0"):
        DistilTransitions(temperature=0.0)
