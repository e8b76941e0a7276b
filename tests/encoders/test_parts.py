"""Item modules, event inputs, scorers, heads and settings."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from recgym.encoders import (
    Catalogue,
    Cosine,
    Dot,
    EventConfig,
    EventInputs,
    FeatureItems,
    FeedbackScale,
    FitConfig,
    IdItems,
    LastState,
    MeanState,
    SASRecConfig,
    TextItems,
)
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.testing.encoder import encoder_sequences


def test_padding_has_no_vector_and_never_gets_one() -> None:
    items = IdItems(5, 3, specials=2)
    items.table()[[0, 5, 6]].sum().backward()  # type: ignore[no-untyped-call]
    assert items.weight.grad is not None
    assert not items.table()[5].any()
    assert not items.weight.grad[5].any()
    assert items.weight.grad[[0, 6]].all()


def test_warm_start_takes_vectors_of_the_right_shape_only() -> None:
    items = IdItems(5, 3)
    items.warm_start(torch.ones(5, 3))
    assert items.table()[:5].eq(1).all()
    with pytest.raises(ValueError, match=r"shape \(5, 3\), found \(4, 3\)"):
        items.warm_start(torch.ones(4, 3))


def test_items_of_equal_features_are_alike_without_vectors_of_their_own() -> None:
    features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]], np.float32)
    table = TextItems(features, 4).table()
    assert torch.equal(table[0], table[1])
    assert not torch.equal(table[0], table[2])
    own = FeatureItems(features, 4).table()
    assert not torch.equal(own[0], own[1])
    assert not own[3].any()


def test_features_must_be_finite() -> None:
    with pytest.raises(ValueError, match="found nan at item 1, column 0"):
        FeatureItems(np.array([[0.0], [np.nan]], np.float32), 2)


def test_event_inputs_begin_by_adding_nothing_and_ask_for_what_they_need() -> None:
    inputs = EventInputs(4, FeedbackScale((1.0, 2.0)), gaps=True)
    vectors, feedback, gap = torch.randn(2, 3, 4), torch.rand(2, 3, 2), torch.rand(2, 3)
    assert torch.equal(inputs(vectors, feedback, gap), vectors)
    with pytest.raises(ValueError, match="takes feedback of 2 channels, found none"):
        inputs(vectors, None, gap)
    with pytest.raises(ValueError, match="without times"):
        inputs(vectors, feedback, None)


def test_feedback_is_scaled_to_one_over_a_log() -> None:
    feedback = torch.tensor([[1.0, 100.0], [0.0, 300.0], [1.0, 0.0]])
    scale = torch.tensor(FeedbackScale.of(feedback).scale)
    torch.testing.assert_close((feedback.log1p() / scale).square().mean(0), torch.ones(2))
    assert FeedbackScale.of(torch.zeros(3, 1)).scale == (1.0,)
    blocks = FeedbackScale.of_blocks((feedback[:2], feedback[2:])).scale
    assert torch.allclose(torch.tensor(blocks), scale)


def test_a_catalogue_refuses_what_the_log_lacks() -> None:
    sequences = encoder_sequences(0)
    catalogue = Catalogue.of(sequences)
    assert catalogue.counts.sum() == len(sequences.items)
    untimed = Catalogue(40, catalogue.counts, FeedbackScale(()), timed=False)
    with pytest.raises(ValueError, match="knows only their order"):
        untimed.events(EventConfig(gaps=True), 4)
    with pytest.raises(ValueError, match="without feedback channels"):
        untimed.events(EventConfig(feedback=True), 4)


@pytest.mark.parametrize("scorer", [Dot(), Cosine(0.05)])
def test_factors_and_scores_agree(scorer: Dot | Cosine) -> None:
    queries, table = torch.randn(4, 3), torch.randn(6, 3)
    left, right = scorer.factors(queries, table)
    torch.testing.assert_close(left @ right.T, scorer.scores(queries, table))
    each = scorer.scores(queries, table[torch.arange(8).reshape(4, 2) % 6])
    torch.testing.assert_close(each[1], (left @ right.T)[1, [2, 3]])


def test_heads_look_at_the_past_alone_and_final_is_the_newest() -> None:
    batch = encoder_sequences(0).histories(np.arange(6), 8)
    states = torch.randn(6, 8, 3) * batch.mask[..., None]
    some = batch.lengths > 0
    for head in (LastState(), MeanState()):
        queries, final = head.queries(states, batch), head.final(states, batch)
        newest = queries[torch.arange(6), (batch.lengths - 1).clamp(min=0)]
        torch.testing.assert_close(final[some], newest[some])
    torch.testing.assert_close(MeanState().queries(states, batch)[0, 2, 0], states[0, :3].mean(0))


@dataclass(frozen=True)
class One:
    size: int = 1


@dataclass(frozen=True)
class Two:
    size: int = 2


@dataclass(frozen=True)
class Either:
    part: One | Two = field(default_factory=One)
    parts: tuple[float, ...] = (1.0,)
    inner: FitConfig = field(default_factory=FitConfig)


def test_settings_survive_json() -> None:
    for config in (Either(Two(5), (3.0, 4.0), FitConfig(epochs=3)), Either(), SASRecConfig(width=8)):
        assert settings_from_json(type(config), settings_to_json(config)) == config


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="here: part: found the kind 'Evil', expected one of One, Two"):
        settings_from_json(Either, {"part": {"kind": "Evil"}}, "here")
    with pytest.raises(ValueError, match="here: One has no setting 'colour'; it has size"):
        settings_from_json(One, {"colour": 1}, "here")
