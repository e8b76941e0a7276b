import numpy as np
import polars as pl
import pytest
import torch

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.learned.cells import CellsHead
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.heads import BinaryHead, RestHead
from recgym.simulators.learned.lengths import item_lengths

SCHEMA = FeedbackSchema(
    (Channel("like", ChannelKind.BINARY), Channel("click", ChannelKind.BINARY), Channel("watch", ChannelKind.DURATION))
)


def labels() -> np.ndarray:
    generator = np.random.default_rng(0)
    click = generator.random(500) < 0.5
    return np.stack([click & (generator.random(500) < 0.3), click, click * generator.random(500)], 1).astype(np.float32)


def test_the_gate_is_the_channel_without_which_nothing_else_happens() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    assert plan.gate == 1
    stray = labels()
    stray[np.flatnonzero(stray[:, 1] == 0)[0], 2] = 3.0
    assert ResponsePlan.fit(SCHEMA, stray, np.ones((500, 3), dtype=bool)).gate is None


def test_behind_the_gate_only_open_rows_are_explained_and_means_are_multiplied() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    value, seen = torch.from_numpy(labels()), torch.ones(500, 3, dtype=torch.bool)
    use = plan.modelled(value, seen)
    assert bool(use[:, 1].all())
    assert torch.equal(use[:, 2], value[:, 1] > 0)
    parameters = torch.randn(7, plan.width)
    given, mean = plan.given_gate(parameters), plan.mean(parameters)
    torch.testing.assert_close(mean[:, 2], given[2] * given[1])
    torch.testing.assert_close(mean[:, 1], given[1])


def test_training_begins_at_the_rates_of_the_log() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    value, seen = torch.from_numpy(labels()), torch.ones(500, 3, dtype=torch.bool)
    start = plan.mean(plan.marginal(value, seen)[None])[0]
    torch.testing.assert_close(start, value.mean(0), atol=2e-3, rtol=2e-2)


def test_a_plan_survives_json_and_a_channel_without_values_is_refused() -> None:
    plan = ResponsePlan.fit(SCHEMA, labels(), np.ones((500, 3), dtype=bool))
    assert ResponsePlan.from_json(plan.to_json()) == plan
    unseen = np.ones((500, 3), dtype=bool)
    unseen[:, 2] = False
    with pytest.raises(ValueError, match="'watch' has no value"):
        ResponsePlan.fit(SCHEMA, labels(), unseen)


REACTIONS = FeedbackSchema(tuple(Channel(name, ChannelKind.BINARY) for name in ("like", "share", "hate", "laugh")))


def reactions(complete: bool, n: int = 2000) -> np.ndarray:
    """Like, hate and (unless ``complete``) neither: never both. A share is independent of all."""
    draw = np.random.default_rng(1)
    mood = draw.choice(3, n, p=[0.6, 0.4, 0.0] if complete else [0.4, 0.3, 0.3])
    return np.stack(
        [mood == 0, draw.random(n) < 0.3, mood == 1, (mood == 2) & (draw.random(n) < 0.5)], 1
    ).astype(np.float32)  # fmt: skip


def test_channels_that_are_never_1_together_are_drawn_so_and_keep_their_rates() -> None:
    labels, seen = reactions(complete=False), np.ones((2000, 4), dtype=bool)
    plan = ResponsePlan.fit(REACTIONS, labels, seen)
    assert plan.excluded_by == ((), (), (0,), (0, 2))
    value = torch.from_numpy(labels)
    start = plan.marginal(value, torch.from_numpy(seen))
    drawn = plan.sample(start.expand(100_000, plan.width), torch.Generator().manual_seed(0))
    assert drawn[:, [0, 2, 3]].sum(1).max() == 1
    torch.testing.assert_close(drawn.mean(0), value.mean(0), atol=0.01, rtol=0)
    torch.testing.assert_close(plan.mean(start[None])[0], value.mean(0), atol=2e-3, rtol=0)
    torch.testing.assert_close(torch.stack(plan.positive(start[None]), 1)[0], value.mean(0), atol=2e-3, rtol=0)


def test_of_two_complements_only_one_is_learned() -> None:
    labels, seen = reactions(complete=True)[:, [0, 2]], np.ones((2000, 2), dtype=bool)
    plan = ResponsePlan.fit(FeedbackSchema(REACTIONS.channels[::2]), labels, seen)
    assert [type(head) for head in plan.heads] == [BinaryHead, RestHead]
    parameters = torch.randn(500, plan.width, generator=torch.Generator().manual_seed(1))
    drawn = plan.sample(parameters, torch.Generator().manual_seed(2))
    assert bool((drawn.sum(1) == 1).all())
    torch.testing.assert_close(plan.mean(parameters).sum(1), torch.ones(500))
    assert ResponsePlan.from_json(plan.to_json()) == plan


def test_rare_channels_are_not_taken_for_exclusive() -> None:
    draw = np.random.default_rng(2)
    labels = (draw.random((2000, 2)) < 0.02).astype(np.float32)
    labels[labels.sum(1) == 2] = 0
    plan = ResponsePlan.fit(FeedbackSchema(REACTIONS.channels[:2]), labels, np.ones((2000, 2), dtype=bool))
    assert plan.excluded_by == ((), ())


WATCH = FeedbackSchema((Channel("watch_time", ChannelKind.DURATION, "ms"), Channel("stay", ChannelKind.DURATION, "ms")))


def watched(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """A share of the video is watched, often all of it; how long its comments are read has nothing to do with it."""
    draw = np.random.default_rng(3)
    length = np.exp(draw.normal(3.0, 1.0, n)).astype(np.float32)
    share = np.where(draw.random(n) < 0.3, 1.0, draw.beta(1, 2, n))
    return np.stack([share * length * 1e3, np.exp(draw.normal(8, 0.5, n))], 1).astype(np.float32), length


def test_watching_is_told_as_a_share_of_the_length_and_reading_comments_is_not() -> None:
    labels, length = watched()
    seen = np.ones(labels.shape, dtype=bool)
    plan = ResponsePlan.fit(WATCH, labels, seen, length)
    assert [head.relative for head in plan.heads] == [True, False]
    assert not ResponsePlan.fit(WATCH, labels, seen).heads[0].relative, "no lengths, no shares"
    start = plan.marginal(torch.from_numpy(labels), torch.from_numpy(seen), torch.from_numpy(length))
    seconds = torch.full((50_000,), 40.0)
    drawn = plan.sample(start.expand(50_000, plan.width), torch.Generator().manual_seed(0), seconds)
    whole = (drawn[:, 0] / 40_000 - 1).abs() < 1e-3
    assert whole.float().mean().item() == pytest.approx(0.3, abs=0.02), "the whole video, to the end"
    torch.testing.assert_close(plan.mean(start[None], seconds[:1])[0], drawn.mean(0), rtol=0.02, atol=0)
    with pytest.raises(ValueError, match="lengths were expected"):
        plan.mean(start[None])


def test_the_likelihood_of_a_share_does_not_depend_on_the_length() -> None:
    labels, length = watched()
    plan = ResponsePlan.fit(WATCH, labels, np.ones(labels.shape, dtype=bool), length)
    parameters = torch.randn(1, plan.width, generator=torch.Generator().manual_seed(1)).expand(2, plan.width)
    value, seen = torch.tensor([[3000.0, 10.0], [30_000.0, 10.0]]), torch.ones(2, 2, dtype=torch.bool)
    loss = plan.nll(parameters, value, seen, torch.tensor([10.0, 100.0]))
    torch.testing.assert_close(loss[0], loss[1])


def test_lengths_come_from_item_features_in_seconds_and_unknown_ones_are_the_median() -> None:
    features = pl.DataFrame({"duration_ms": [1000, 0, 3000, None, 8000]})
    assert item_lengths(features, 5).tolist() == [1.0, 3.0, 3.0, 3.0, 8.0, 3.0]
    assert item_lengths(None, 2).tolist() == [1.0, 1.0, 1.0]


def test_amounts_without_any_value_above_0_stay_at_0() -> None:
    labels, seen = np.zeros((100, 2), dtype=np.float32), np.ones((100, 2), dtype=bool)
    plan = ResponsePlan.fit(WATCH, labels, seen, np.ones(100, dtype=np.float32))
    assert all(isinstance(head, CellsHead) for head in plan.heads)
    start = plan.marginal(torch.from_numpy(labels), torch.from_numpy(seen))
    assert plan.mean(start[None]).max() < 0.01
