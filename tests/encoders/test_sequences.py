"""What encoders are trained on: every event once, nothing of the future, any alignment."""

import numpy as np
import pytest
import torch

from recgym.data import iid_log
from recgym.encoders import Batch, Sequences
from recgym.testing.encoder import encoder_sequences


def _sequences() -> Sequences:
    items = np.arange(20)
    return Sequences(items, np.array([0, 7, 7, 8, 20]), 30, items * 10.0)


def test_every_event_that_follows_another_is_a_target_exactly_once() -> None:
    sequences = _sequences()
    for window in (2, 3, 5, 50):
        targets, firsts = [], []
        for example in sequences.examples(window, 2, np.random.default_rng(0)):
            known = example.targets != 30
            assert torch.equal(known, example.inputs.mask)
            # Items count up within a user, so the target of each input is the next number.
            assert torch.equal(example.targets[known], example.inputs.items[known] + 1)
            assert bool((example.inputs.lengths <= window).all())
            assert example.inputs.query_time_s is not None
            assert torch.equal(example.inputs.query_time_s[known], example.targets[known] * 10.0)
            targets += example.targets[known].tolist()
            firsts += example.first[example.first != 30].tolist()
        assert sorted(targets) == [1, 2, 3, 4, 5, 6, *range(9, 20)]
        assert sorted(firsts) == [0, 8]


def test_newest_only_trains_on_the_newest_window() -> None:
    found = [
        example.targets[example.targets != 30].tolist()
        for example in _sequences().examples(3, 1, np.random.default_rng(0), newest_only=True)
    ]
    assert sorted(found) == [[4, 5, 6], [17, 18, 19]]


def test_order_of_batches_follows_the_generator_alone() -> None:
    def users(seed: int) -> list[int]:
        batches = _sequences().examples(2, 2, np.random.default_rng(seed))
        return [user for example in batches for user in example.users.tolist()]

    assert users(0) == users(0)
    assert users(0) != users(1)


def test_sequences_of_a_log_are_its_consumption_in_order() -> None:
    log = iid_log(30, 12, np.full(9, 1 / 9), seed=0)
    sequences = Sequences.from_log(log)
    frame = log.frame.filter(log.consumed)
    assert sequences.items.tolist() == frame["item"].to_list()
    assert np.diff(sequences.start).sum() == frame.height


def test_packed_and_aligned_batches_hold_the_same_events() -> None:
    batch = encoder_sequences(0).histories(np.arange(5), 6)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), batch.lengths.cumsum(0)])
    packed = Batch.from_packed(batch.pack(batch.items), offsets)
    assert torch.equal(packed.pack(packed.items), batch.pack(batch.items))
    assert torch.equal(packed.lengths, batch.lengths)
    with pytest.raises(ValueError, match="run from 0 to the"):
        Batch.from_packed(batch.pack(batch.items), offsets + 1)


def test_last_keeps_the_newest_events() -> None:
    batch = _sequences().histories(np.arange(4), 12)
    assert batch.last(3).items[[0, 3]].tolist() == [[4, 5, 6], [17, 18, 19]]
    assert batch.last(3).lengths.tolist() == [3, 0, 1, 3]


def test_append_puts_a_token_after_the_newest_event() -> None:
    batch = _sequences().histories(np.arange(4), 3).append(31)
    assert [row[mask].tolist() for row, mask in zip(batch.items, batch.mask, strict=True)] == [
        [4, 5, 6, 31], [31], [7, 31], [17, 18, 19, 31]
    ]  # fmt: skip


def test_a_piece_needs_two_events() -> None:
    with pytest.raises(ValueError, match="at least 2 events, found 1"):
        _sequences().stretches(1)
