import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders import (
    Batch,
    Catalogue,
    EncoderState,
    Event,
    EventConfig,
    FitConfig,
    HSTUConfig,
    Interleaved,
    NextItemModel,
    Sequences,
    candidate_states,
    fit,
    score_candidates,
    seeded,
)
from recgym.encoders.batch import Where
from recgym.encoders.transformer import (
    GatedBlock,
    LearnedPositions,
    RelativePositions,
    Silu,
    Summed,
    TimeBuckets,
    Transformer,
)
from recgym.encoders.transformer.pointwise import causal_silu
from recgym.testing.encoder import encoder_sequences
from recgym.types import History

SLIDING = HSTUConfig(width=8, heads=2, window=6, absolute=False)
ACTIONS = HSTUConfig(width=8, window=6, absolute=False, actions=True, events=EventConfig(feedback=True))


def _model(config: HSTUConfig, sequences: Sequences) -> NextItemModel:
    with seeded(0, "model"):
        model = config.build(Catalogue.of(sequences)).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def _bucket(seconds: float) -> int:
    return min(128, math.floor(math.log(max(abs(seconds), 1.0)) / 0.301))


def _written_out(model: NextItemModel, batch: Batch, config: HSTUConfig, asked: Tensor | None) -> Tensor:
    """The states of one user by the paper's equations, one query and one key at a time."""
    encoder = model.encoder
    transformer = encoder.backbone
    assert isinstance(transformer, Transformer)
    assert batch.time_s is not None
    width, heads, size = config.width, config.heads, batch.items.shape[1]
    x = encoder.items.table()[batch.items[0]] * math.sqrt(width)
    if isinstance(transformer.position, LearnedPositions):
        x = x + transformer.position.table[:size]
    time_s = batch.time_s[0].tolist()
    now = time_s if asked is None else asked[0].tolist()
    for block in transformer.blocks:
        assert isinstance(block, GatedBlock)
        normed = functional.layer_norm(x, (width,), block.norm.weight, block.norm.bias, 1e-6)
        gates, values, queries, keys = functional.silu(block.project(normed)).chunk(4, -1)
        assert isinstance(block.position, Summed)
        distances, buckets = block.position.parts
        assert isinstance(distances, RelativePositions)
        assert isinstance(buckets, TimeBuckets)
        mixed = torch.zeros(size, width)
        for head in range(heads):
            part = slice(head * width // heads, (head + 1) * width // heads)
            for i in range(size):
                for j in range(i + 1):
                    logit = queries[i, part] @ keys[j, part] + distances.table[0, i - j + config.window - 1]
                    logit = logit + buckets.table[0, _bucket(now[i] - time_s[j])]
                    mixed[i, part] += logit * torch.sigmoid(logit) / config.window * values[j, part]
        normed = functional.layer_norm(mixed, (width,), block.norm_mixed.weight, block.norm_mixed.bias, 1e-6)
        x = x + block.out(normed * gates)
    return x


@pytest.mark.parametrize("sees_query_time", [False, True])
def test_states_are_those_of_the_papers_equations(sees_query_time: bool) -> None:
    sequences = encoder_sequences(0)
    config = HSTUConfig(width=8, heads=2, window=6, sees_query_time=sees_query_time)
    model = _model(config, sequences)
    batch = sequences.histories(np.array([0]), 6)
    assert batch.time_s is not None
    asked = torch.cat([batch.time_s[:, 1:], batch.time_s[:, -1:] + 9e4], 1) if sees_query_time else None
    seen = Batch(batch.items, batch.mask, batch.time_s, query_time_s=asked)
    with torch.no_grad():
        found, expected = model.encoder(seen)[0], _written_out(model, batch, config, asked)
        other = _written_out(model, batch, config, batch.time_s if sees_query_time else batch.time_s + 9e4)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (found - other).abs().max() > 1e-3  # The time of the event is not that of the query.


def test_scores_are_cosines_over_the_temperature() -> None:
    sequences = encoder_sequences(0)
    model = _model(SLIDING, sequences)
    batch = sequences.histories(np.array([0, 3]), 6)
    with torch.no_grad():
        cosines = functional.cosine_similarity(model.encoder.final(batch)[:, None], model.vectors()[None], dim=-1)
        torch.testing.assert_close(model.score(batch), cosines / 0.05, rtol=1e-4, atol=1e-4)


def test_time_of_the_query_counts_only_where_the_flag_says_so() -> None:
    sequences = encoder_sequences(0)
    histories = sequences.histories(np.array([0]), 6)
    assert histories.time_s is not None
    assert histories.feedback is not None
    history = History(histories.items, histories.feedback, histories.time_s, histories.mask)
    now = histories.time_s[:, -1] + 60.0
    blind, seeing = _model(SLIDING, sequences), _model(HSTUConfig(width=8, window=6, sees_query_time=True), sequences)
    users = np.array([0])
    assert torch.equal(blind.scores(users, history, now), blind.scores(users, history, now + 1e6))
    assert not torch.equal(seeing.scores(users, history, now), seeing.scores(users, history, now + 1e6))
    with pytest.raises(ValueError, match="time of the query"):
        seeing.scores(users, history)
    assert not seeing.encoder.capabilities.incremental
    with pytest.raises(ValueError, match="time of the query"):
        seeing.encoder.step(seeing.encoder.init_state(1), Event(torch.tensor([3]), torch.tensor([1e9]).double()))


def test_training_sees_each_querys_time_as_scores_do() -> None:
    # The moment that stands at an event in training is that of the item after it: as when scores are asked for.
    sequences = encoder_sequences(0)
    example = next(sequences.examples(18, 1, np.random.default_rng(0)))
    inputs = example.inputs
    assert inputs.time_s is not None
    assert inputs.query_time_s is not None
    length = int(inputs.lengths[0])
    history = inputs.map(lambda part: part[:, :length])
    assert history.time_s is not None
    assert history.feedback is not None
    asked = Batch.from_history(
        History(history.items, history.feedback, history.time_s, history.mask), inputs.query_time_s[:, length - 1]
    )
    assert asked.query_time_s is not None
    assert torch.equal(asked.query_time_s, inputs.query_time_s[:, :length])
    assert torch.equal(asked.query_time_s[:, :-1], history.time_s[:, 1:])


def _plain_silu(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, length: int) -> Tensor:
    logits = q @ k.mT if bias is None else q @ k.mT + bias
    return (functional.silu(logits).tril() / length) @ v


@pytest.mark.parametrize("bias_shape", [None, (1, 1), (1, 2), (3, 1), (3, 2)])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 150])
def test_tiled_attention_equals_the_plain_formula_and_its_gradients(
    bias_shape: tuple[int, int] | None, size: int
) -> None:
    generator = torch.Generator().manual_seed(size)
    parts = [torch.randn(3, 2, size, 5, generator=generator, requires_grad=True) for _ in range(3)]
    if bias_shape is not None:
        parts.append(torch.randn(*bias_shape, size, size, generator=generator, requires_grad=True))
    gradient = torch.randn(3, 2, size, 5, generator=generator)

    def run(formula: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        out = formula(*parts[:3], parts[3] if len(parts) > 3 else None, 20)
        return out, *torch.autograd.grad(out, parts, gradient)

    for found, expected in zip(run(causal_silu), run(_plain_silu), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("size", [1, 63, 64, 150])
def test_tables_that_are_looked_up_equal_the_bias_written_out(heads: int, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    parts = [torch.randn(3, 2, size, 5, generator=generator, requires_grad=True) for _ in range(3)]
    bias = Summed(RelativePositions(100, heads), TimeBuckets(heads=heads))
    parts += list(bias.parameters())
    with torch.no_grad():
        for part in bias.parameters():
            part.normal_(generator=generator)
    time_s = torch.rand(3, size, generator=generator).double().cumsum(1) * 1e5
    where = Where(torch.arange(size).expand(3, size), torch.ones(3, size, dtype=torch.bool), time_s)
    lookups, written_out = bias.lookups(bias.prepare(where)), bias.bias(parts[0], parts[1], where, where)
    assert lookups is not None
    gradient = torch.randn(3, 2, size, 5, generator=generator)
    queries, keys, values = parts[:3]
    found = causal_silu(queries, keys, values, lookups, 20)
    expected = _plain_silu(queries, keys, values, written_out, 20)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(
        torch.autograd.grad(found, parts, gradient),
        torch.autograd.grad(expected, parts, gradient),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4)


def test_the_mixer_gives_the_same_whether_the_mask_is_known_to_be_causal_or_given() -> None:
    parts = [torch.randn(2, 2, 9, 4, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    seen = torch.ones(2, 9, 9, dtype=torch.bool).tril()
    queries, keys, values = parts
    mixer = Silu(9)
    found = mixer(queries, keys[:, :1], values[:, :1], None, None, 0.0)
    torch.testing.assert_close(found, mixer(queries, keys[:, :1], values[:, :1], None, seen, 0.0))


def test_relative_positions_are_the_same_for_a_whole_history_and_for_its_last_event() -> None:
    part = RelativePositions(4, heads=2)
    position = torch.arange(7).expand(2, 7)
    where = Where(position, torch.ones(2, 7, dtype=torch.bool))
    queries = torch.zeros(2, 2, 7, 3)
    whole = part.bias(queries, queries, where, where)
    last = Where(position[:, -1:], where.mask[:, -1:])
    step = part.bias(queries[:, :, -1:], queries, last, where)
    torch.testing.assert_close(whole.expand(2, -1, -1, -1)[:, :, -1:], step)
    assert torch.equal(whole[0, 1, 5], part.table[1, (5 - torch.arange(7)).clamp(-3, 3) + 3])


def test_time_buckets_grow_with_the_logarithm() -> None:
    part = TimeBuckets()
    with torch.no_grad():
        part.table[0] = torch.arange(129.0)
    seconds = torch.tensor([[0.0, 0.5, 1.0, 1.4, 60.0, 3600.0, 86400.0 * 365, 1e300]], dtype=torch.float64)
    where = Where(torch.arange(8)[None], torch.ones(1, 8, dtype=torch.bool), seconds)
    blank = torch.zeros(1, 1, 8, 1)
    found = part.bias(blank, blank, where, where)[0, 0, 0]
    assert found.tolist() == [_bucket(float(value)) for value in seconds[0]]


def _walk(model: NextItemModel, sequences: Sequences) -> tuple[Batch, EncoderState]:
    whole = sequences.histories(np.array([0, 3, 4]), 18)
    state = model.encoder.init_state(3)
    for t in range(whole.items.shape[1]):
        assert whole.time_s is not None
        assert whole.feedback is not None
        event = Event(whole.items[:, t], whole.time_s[:, t], whole.feedback[:, t])
        state, _ = model.encoder.step(state, event, whole.mask[:, t])
    return whole, state


@pytest.mark.parametrize("config", [SLIDING, ACTIONS])
@torch.no_grad()
def test_candidates_side_by_side_are_as_each_by_itself(config: HSTUConfig) -> None:
    sequences = encoder_sequences(0)
    model = _model(config, sequences)
    encoder = model.encoder
    whole, state = _walk(model, sequences)
    assert whole.time_s is not None
    assert whole.feedback is not None
    now = whole.time_s.amax(1) + 100.0
    candidates = torch.randint(40, (3, 7), generator=torch.Generator().manual_seed(1))
    found = candidate_states(encoder, state, candidates, now)
    for number in range(7):
        alone = candidate_states(encoder, state, candidates[:, number : number + 1], now)
        torch.testing.assert_close(found[:, number], alone[:, 0], rtol=1e-5, atol=1e-5)
        # And as the history with the candidate encoded anew, without any cache.
        for user in range(3):
            length = int(whole.lengths[user])
            items = torch.cat([whole.items[user, :length], candidates[user, number : number + 1]])[None]
            time_s = torch.cat([whole.time_s[user, :length], now[user : user + 1]])[None]
            feedback = torch.cat([whole.feedback[user, :length], torch.zeros(1, 2)])[None]
            batch = Batch(items, torch.ones_like(items, dtype=torch.bool), time_s, feedback)
            if isinstance(encoder.backbone, Interleaved):
                expected = encoder.backbone.tokens(encoder.inputs(batch), batch.where())[0][0, -1]
            else:
                expected = encoder(batch)[0, -1]
            torch.testing.assert_close(found[user, number], expected, rtol=1e-4, atol=1e-5)
    assert (found[:, 0] - found[:, 1]).abs().max() > 1e-3


def test_what_cannot_be_scored_says_why() -> None:
    sequences = encoder_sequences(0)
    candidates = torch.zeros(2, 3, dtype=torch.int64)
    now, weights = torch.zeros(2, dtype=torch.float64), torch.ones(2)
    absolute = _model(HSTUConfig(width=8, window=6), sequences).encoder
    with pytest.raises(ValueError, match="relative positions"):
        candidate_states(absolute, absolute.init_state(2), candidates, now)
    sliding = _model(SLIDING, sequences).encoder
    with pytest.raises(ValueError, match="foretell feedback"):
        score_candidates(sliding, sliding.init_state(2), candidates, weights, now)
    with pytest.raises(ValueError, match="no time"):
        candidate_states(sliding, sliding.init_state(2), candidates)
    with pytest.raises(ValueError, match="found item id 47"):
        candidate_states(sliding, sliding.init_state(2), candidates + 47, now)
    with pytest.raises(ValueError, match="actions are tokens"):
        HSTUConfig(actions=True)
    with pytest.raises(ValueError, match="time bias"):
        HSTUConfig(timed=False, sees_query_time=True)
    untimed = Sequences(sequences.items, sequences.start, sequences.num_items)
    with pytest.raises(ValueError, match="only their order"):
        HSTUConfig().build(Catalogue.of(untimed))


def test_candidates_are_scored_by_the_feedback_they_will_get() -> None:
    # Some users give all items a like; items below 10 are watched by all users.
    rng = np.random.default_rng(0)
    users, length, num_items = 120, 8, 20
    items = rng.integers(0, num_items, (users, length))
    likes = np.broadcast_to(np.arange(users)[:, None] % 2, items.shape)
    feedback = np.stack([likes, items < 10], -1).astype(np.float32).reshape(-1, 2)
    sequences = Sequences(
        items.ravel(), np.arange(users + 1) * length, num_items, np.arange(users * length) * 60.0, feedback
    )
    config = HSTUConfig(
        width=32, blocks=1, window=8, absolute=False, actions=True, dropout=0.0, negatives=20,
        events=EventConfig(feedback=True), fit=FitConfig(epochs=40, batch_size=30, step_size=3e-3),
    )  # fmt: skip
    catalogue = Catalogue.of(sequences)
    with seeded(0, "model"):
        model = config.build(catalogue)
    fit(model, sequences, config.stages(catalogue), seed=0)
    state = model.encoder.init_state(2)
    for step in range(4):
        feedback_now = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        event = Event(torch.tensor([11, 12]), torch.full((2,), 60.0 * step).double(), feedback_now)
        state, _ = model.encoder.step(state, event)
    candidates, now = torch.arange(num_items).expand(2, -1), torch.full((2,), 240.0).double()
    with torch.no_grad():
        liked = score_candidates(model.encoder, state, candidates, torch.tensor([1.0, 0.0]), now)
        watched = score_candidates(model.encoder, state, candidates, torch.tensor([0.0, 1.0]), now)
    assert (liked[1] - liked[0]).min() > 0.5
    assert (watched[:, :10].amin(1) > watched[:, 10:].amax(1)).all()


def test_large_is_deeper() -> None:
    assert (HSTUConfig.large().blocks, HSTUConfig.large().heads, HSTUConfig.large().width) == (8, 2, 50)
