"""ReaRec: reasoning of every event at once against reasoning of one prefix, its terms, and what they do to paths."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders import (
    Catalogue,
    FitConfig,
    NextItemModel,
    Objective,
    SASRecConfig,
    Sequences,
    Step,
    Term,
    fit,
    seeded,
)
from recgym.encoders.batch import Where
from recgym.encoders.rearec import Ensemble, Progressive, ReaRecConfig
from recgym.encoders.reasoning import Apart, EarlierSteps, Paths, Reasoning, Steady
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.testing.encoder import encoder_sequences

BASE = SASRecConfig(width=8, window=9, heads=2, blocks=2, dropout=0.0, fit=FitConfig(epochs=3, batch_size=20))


def _model(config: ReaRecConfig, sequences: Sequences) -> tuple[NextItemModel, Reasoning]:
    with seeded(0, "model"):
        model = config.build(Catalogue.of(sequences)).eval()
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    assert isinstance(model.encoder.backbone, Reasoning)
    return model, model.encoder.backbone


def _step(model: NextItemModel, sequences: Sequences) -> Step:
    """Of all histories at once."""
    example = next(iter(sequences.examples(model.window, 100, np.random.default_rng(0))))
    states, aux = model.encoder.forward_with_aux(example.inputs)
    return Step(model, example, states, model.vectors(), torch.Generator().manual_seed(0), aux)


def _plain_path(backbone: Reasoning, inputs: Tensor) -> Tensor:
    """Of one prefix: tokens are appended one after another, and all is encoded anew each time."""
    inner, sequence, path = backbone.transformer, inputs[None], []
    count = torch.arange(len(inputs) + len(backbone.tokens))
    for k in range(len(backbone.tokens) + 1):
        states = sequence
        for block in inner.blocks:
            states = block(states, Where(count[None, : sequence.shape[1]], count[None, : sequence.shape[1]] >= 0), None)
        path.append(inner.norm(states)[:, -1])
        if k < len(backbone.tokens):
            sequence = torch.cat([sequence, (backbone.norm(path[-1]) + backbone.tokens[k])[:, None]], 1)
    return torch.cat(path)


@torch.no_grad()
def test_every_event_reasons_over_its_own_prefix_alone() -> None:
    sequences = encoder_sequences(0)
    model, backbone = _model(ReaRecConfig(BASE, steps=3), sequences)
    batch = sequences.histories(np.array([0, 3, 4]), 7)
    _, paths = model.encoder.forward_with_aux(batch)
    inputs = backbone.transformer.position.embed(model.encoder.inputs(batch), batch.where())
    for row, length in enumerate(batch.lengths.tolist()):
        for t in range(length):
            expected = _plain_path(backbone, inputs[row, : t + 1])
            torch.testing.assert_close(paths.states[row, t], expected, atol=1e-5, rtol=1e-5)
    later = _plain_path(backbone, inputs[0, :3])  # A path that knows one event more is another.
    assert (paths.states[0, 1] - later).abs().max() > 0.05


@torch.no_grad()
def test_the_state_is_the_mean_of_the_path_or_its_end() -> None:
    sequences = encoder_sequences(0)
    batch = sequences.histories(np.arange(4), 7)
    for learning in (Ensemble(), Progressive()):
        model, _ = _model(ReaRecConfig(BASE, learning=learning), sequences)
        states, paths = model.encoder.forward_with_aux(batch)
        answer = paths.states.mean(2) if isinstance(learning, Ensemble) else paths.states[:, :, -1]
        torch.testing.assert_close(states[batch.mask], answer[batch.mask])
        spread = (paths.states[:, :, 1:] - paths.states[:, :, :-1]).abs().amax(-1)[batch.mask]
        assert (spread > 1e-3).all()  # Each step goes somewhere.


def _paths(step: Step) -> Paths:
    assert isinstance(step.aux, Paths)
    return step.aux


def test_apart_is_the_mean_divergence_of_all_pairs() -> None:
    sequences = encoder_sequences(2, num_items=9)
    model, _ = _model(ReaRecConfig(BASE), sequences)
    step = _step(model, sequences)
    found = float(Apart(events=10_000)(step).detach())
    states = _paths(step).states[step.example.inputs.mask].detach()
    total, pairs = 0.0, 0
    for path in states:
        log = (path @ step.vectors.detach().T).log_softmax(1)
        for k in range(3):
            for other in range(3):
                if k != other:
                    total += float((log[k].exp() * (log[k] - log[other])).sum())
                    pairs += 1
    assert found == pytest.approx(total / pairs, rel=1e-4)
    few = [float(Apart(events=5)(step).detach()) for _ in range(200)]
    assert np.mean(few) == pytest.approx(found, rel=0.1)


def test_earlier_steps_are_taught_at_falling_temperatures() -> None:
    sequences = encoder_sequences(2, num_items=9)
    model, _ = _model(ReaRecConfig(BASE), sequences)
    with torch.no_grad():
        model.encoder.items.table().mul_(5.0)
    step = _step(model, sequences)
    known = step.example.targets != 9
    states, targets = _paths(step).states[known].detach(), step.example.targets[known]
    scores = states @ step.vectors.detach().T

    def plain(first: float, second: float) -> float:
        losses = [functional.cross_entropy(scores[:, k] / at, targets) for k, at in enumerate((first, second))]
        return float(sum(losses) / 2)

    found = float(EarlierSteps(5.0)(step).detach())
    assert found == pytest.approx(plain(25.0, 5.0), rel=1e-5)
    assert abs(found - plain(5.0, 25.0)) > 1e-3


def test_steadiness_is_a_contrast_at_one_event_of_each_history() -> None:
    sequences = encoder_sequences(2)
    model, _ = _model(ReaRecConfig(BASE), sequences)
    step = _step(model, sequences)
    found = float(Steady(noise=0.0, temperature=0.5)(step).detach())
    lengths = step.example.inputs.lengths
    event = (torch.rand(len(lengths), generator=torch.Generator().manual_seed(0)) * lengths).long()
    path = functional.normalize(_paths(step).states[torch.arange(len(lengths)), event, 1:].detach(), dim=-1)
    losses = [-torch.diag((path[:, k] @ path[:, k].T / 0.5).log_softmax(1)).mean() for k in range(2)]
    assert found == pytest.approx(float(sum(losses) / 2), rel=1e-4)  # Without noise, a path is its own partner.
    assert float(Steady(noise=3.0, temperature=0.5)(step).detach()) > found + 0.1


def _chains() -> Sequences:
    """Item i is mostly followed by i + 1."""
    rng = np.random.default_rng(0)
    items = (rng.integers(0, 20, (60, 1)) + np.arange(9)) % 20
    return Sequences(np.where(rng.random((60, 9)) < 0.1, 3, items).ravel(), np.arange(61) * 9, 20)


def _trained(config: ReaRecConfig, terms: int = 3) -> Step:
    """By the first terms of the objective."""
    sequences = _chains()
    catalogue = Catalogue.of(sequences)
    with seeded(1, "model"):
        model = config.build(catalogue)
    stages = [replace(stage, objective=Objective(stage.objective.terms[:terms])) for stage in config.stages(catalogue)]
    fit(model, sequences, stages, seed=1)
    return _step(model, sequences)


def _loss(term: Term, step: Step) -> float:
    with torch.no_grad():
        return float(term(step))


_SHORT = replace(BASE, fit=FitConfig(epochs=12, batch_size=20, step_size=1e-2))


def test_ensemble_learning_drives_steps_apart() -> None:
    against, without, driven = (
        _loss(Apart(1000), _trained(ReaRecConfig(_SHORT, learning=Ensemble(divergence))))
        for divergence in (-0.3, 0.0, 1.0)
    )
    assert against < without < driven
    assert driven > 1.3 * without


def test_progressive_learning_teaches_early_steps_and_makes_paths_steady() -> None:
    learning = Progressive(sharpening=1.0, noise=0.5)
    config = ReaRecConfig(_SHORT, learning=learning)
    last, progressive, steady = (_trained(config, terms) for terms in (1, 2, 3))
    early, contrast = EarlierSteps(learning.sharpening), Steady(0.5, learning.temperature)
    assert _loss(early, progressive) < 0.93 * _loss(early, last)
    assert _loss(contrast, steady) < 0.7 * _loss(contrast, progressive)


def test_settings_survive_json() -> None:
    for learning in (Ensemble(0.1), Progressive(noise=0.5)):
        config = ReaRecConfig(BASE, steps=4, learning=learning)
        assert settings_from_json(ReaRecConfig, settings_to_json(config)) == config


def test_no_steps() -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        ReaRecConfig(steps=0)
