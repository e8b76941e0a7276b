"""The contract of sequence encoders, as checks that any of them must pass."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from recgym.arrays import where_rows
from recgym.encoders import Batch, Catalogue, Event, ModelConfig, NextItemModel, Sequences, seeded

__all__ = ["check_encoder", "encoder_model", "encoder_sequences"]

_CLOSE = 1e-5


def encoder_sequences(seed: int, users: int = 12, num_items: int = 40, longest: int = 18) -> Sequences:
    """Random histories with times, two feedback channels and sessions; the second user has none."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, users)
    lengths[:3] = longest, 0, 1
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    events = int(start[-1])
    owner = np.repeat(np.arange(users), lengths)
    time_s = rng.exponential(1e4, events).cumsum() + 1.6e9
    return Sequences(
        rng.integers(0, num_items, events), start, num_items, time_s,
        rng.integers(0, 3, (events, 2)).astype(np.float32), owner * 1000 + np.arange(events) // 4,
    )  # fmt: skip


def encoder_model(config: ModelConfig, sequences: Sequences, seed: int) -> NextItemModel:
    """A model for the histories, away from a beginning at which parts that start as zero would not be tested."""
    with seeded(seed, "check encoder"):
        model = config.build(Catalogue.of(sequences)).eval()
        for parameter in model.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        if isinstance(weight := getattr(model.encoder.items, "weight", None), Tensor):
            weight.data[sequences.num_items] = 0.0
    return model


def check_encoder(config: ModelConfig, seed: int = 0) -> None:
    """Build a model and hold it against the contract.

    ====================  ==========================================================================================
    causality             changing the events from t on leaves all states before t bit-identical, if it says so
    layout                left-padded, right-padded and packed histories have equal states
    steps                 a chain of ``step`` equals ``forward``, also beyond the window; a reset row starts anew
    start                 ``start`` of a history, and the steps after it, equal the chain of ``step`` from nothing
    cold start            a user without events has a finite state, the same for all
    bad input             an id outside the catalogue and feedback that is not finite raise; padding may hold any id
    scores                finite, one an item, the same whether a user is scored alone or among others
    ====================  ==========================================================================================

    Args:
        config: settings, with a window of at most 18 so that the test's histories outgrow it.
        seed: of the weights and the histories.

    Raises:
        AssertionError: with what was found and what was expected.
    """
    sequences = encoder_sequences(seed)
    model = encoder_model(config, sequences, seed)
    batch = sequences.histories(np.arange(sequences.num_users), config.window)
    with torch.no_grad():
        _check_causality(model, batch)
        _check_layout(model, batch)
        _check_steps(model, sequences)
        _check_start(model, sequences)
        _check_cold_start(model, batch)
        _check_bad_input(model, batch)
        _check_scores(model, batch)


def _check_causality(model: NextItemModel, batch: Batch) -> None:
    if not model.encoder.capabilities.causal:
        return
    states = model.encoder(batch)
    cut = batch.items.shape[1] // 2
    changed = batch.map(Tensor.clone)
    changed.items[:, cut:] = (batch.items[:, cut:] + 7) % model.num_items
    if changed.feedback is not None:
        changed.feedback[:, cut:] += 1.0
    if changed.time_s is not None:
        changed.time_s[:, cut:] += 5e5
    after = model.encoder(changed)
    _require(
        torch.equal(states[:, :cut], after[:, :cut]),
        f"changing events from {cut} on changed states before by {(states - after)[:, :cut].abs().max():.2g}; "
        "a causal encoder leaves them bit-identical",
    )
    moved = (states[:, cut] - after[:, cut]).abs().amax(1)[batch.mask[:, cut]]
    _require(bool((moved > 0).all()), f"changing event {cut} left the state at {cut} as it was")


def _check_layout(model: NextItemModel, batch: Batch) -> None:
    states = model.encoder(batch)
    lengths, longest = batch.lengths, batch.items.shape[1]
    index = (torch.arange(longest) - (longest - lengths)[:, None]).clamp(min=0)
    moved = batch.map(lambda part: part.gather(1, _like(index, part)))
    left = replace(moved, mask=torch.arange(longest) >= (longest - lengths)[:, None])
    _same("left-padded", model.encoder(left)[left.mask], states[batch.mask])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    flat = {
        name: None if part is None else batch.pack(part)
        for name, part in (("time_s", batch.time_s), ("feedback", batch.feedback), ("session", batch.session))
    }
    packed = Batch.from_packed(batch.pack(batch.items), offsets, **flat)
    _same("packed", packed.pack(model.encoder(packed)), batch.pack(states))
    wider = batch.map(lambda part: torch.cat([part, torch.zeros_like(part[:, :3])], 1))
    if model.encoder.capabilities.sliding or wider.items.shape[1] <= model.window:
        _same("more padding", model.encoder(wider)[:, :longest][batch.mask], states[batch.mask])


def _like(index: Tensor, part: Tensor) -> Tensor:
    extra = part.ndim - 2
    return index.reshape(*index.shape, *(1,) * extra).expand(*index.shape, *part.shape[2:])


def _check_steps(model: NextItemModel, sequences: Sequences) -> None:
    encoder, longest = model.encoder, int(np.diff(sequences.start).max())
    whole = sequences.histories(np.arange(sequences.num_users), longest)
    state = encoder.init_state(sequences.num_users)
    sliding = encoder(whole) if encoder.capabilities.sliding else None
    for t in range(longest):
        state, out = encoder.step(state, _event(whole, t), whole.mask[:, t])
        so_far = _until(whole, t + 1)
        if sliding is None:
            _same(f"step {t}", out, encoder.final(so_far))
        else:
            _same(f"step {t}", out[whole.mask[:, t]], sliding[:, t][whole.mask[:, t]])
    fresh = encoder.init_state(sequences.num_users)
    rows = torch.arange(sequences.num_users) % 2 == 0
    mixed = where_rows(rows, fresh, state)
    event = _event(whole, 0)
    there = rows & whole.mask[:, 0]
    _, out = encoder.step(mixed, event, there)
    first = whole.map(lambda part: part[:, :1])
    _same("the first step of a row that was reset", out[there], encoder.final(first)[there])


def _check_start(model: NextItemModel, sequences: Sequences) -> None:
    encoder, longest = model.encoder, int(np.diff(sequences.start).max())
    whole = sequences.histories(np.arange(sequences.num_users), longest)
    chain = [encoder.init_state(sequences.num_users)]
    for t in range(longest):
        chain.append(encoder.step(chain[-1], _event(whole, t), whole.mask[:, t])[0])
    for first in (0, 1, model.window - 1, model.window + 2):
        state = encoder.start(_until(whole, first))
        _same(f"start after {first} events", state.state, chain[first].state)
        for t in range(first, longest):
            state, out = encoder.step(state, _event(whole, t), whole.mask[:, t])
            _same(f"step {t} after a start at {first}", out, chain[t + 1].state)


def _until(batch: Batch, end: int) -> Batch:
    return batch.map(lambda part: part[:, :end])


def _event(batch: Batch, t: int) -> Event:
    parts = (None if part is None else part[:, t] for part in (batch.time_s, batch.feedback, batch.session))
    return Event(batch.items[:, t], *parts)


def _check_cold_start(model: NextItemModel, batch: Batch) -> None:
    empty = ~batch.mask.any(1)
    final = model.encoder.final(batch)
    _require(bool(torch.isfinite(final).all()), "a state is not finite")
    _require(bool((final[empty] == model.encoder.blank).all()), "a user without events has another state than `blank`")
    nobody = batch.map(lambda part: part[:, :0])
    _require(
        bool((model.encoder.final(nobody) == model.encoder.blank).all()),
        "histories of no columns at all have another state than `blank`",
    )


def _check_bad_input(model: NextItemModel, batch: Batch) -> None:
    for bad in (-1, model.num_items + 7):
        wrong = replace(batch, items=batch.items.clone())
        wrong.items[0, 0] = bad
        _raises(f"item id {bad}", model, wrong)
    items = torch.where(batch.mask, batch.items, -9)
    _same("any id at padding", model.encoder(replace(batch, items=items)), model.encoder(batch))
    if model.encoder.events.channels and batch.feedback is not None:
        feedback = batch.feedback.clone()
        feedback[0, 0] = float("nan")
        _raises("feedback NaN", model, replace(batch, feedback=feedback))


def _check_scores(model: NextItemModel, batch: Batch) -> None:
    scores = model.score(batch)
    _require(
        tuple(scores.shape) == (len(batch.items), model.num_items) and bool(torch.isfinite(scores).all()),
        f"scores must be finite and of shape {(len(batch.items), model.num_items)}, found shape {tuple(scores.shape)}",
    )
    alone = model.score(batch.map(lambda part: part[:1]))
    _same("a user scored alone", alone, scores[:1])


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


def _raises(what: str, model: NextItemModel, batch: Batch) -> None:
    try:
        model.encoder(batch)
    except ValueError:
        return
    raise AssertionError(f"{what} raised no ValueError")


def _same(what: str, found: Float32[Tensor, "*n"], expected: Float32[Tensor, "*n"]) -> None:
    apart = float((found - expected).abs().max()) if found.numel() else 0.0
    _require(apart <= _CLOSE * max(1.0, float(expected.abs().max()) if expected.numel() else 1.0),
            f"{what}: states differ by {apart:.2g}, at most {_CLOSE:g} was expected")  # fmt: skip
