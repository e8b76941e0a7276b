"""Transforms against examples worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.encoders import Batch, Cloze, Crop, Example, OnlyLiked, Segment, Sequences, Sessionise, WithinSessions
from recgym.encoders.sequences import next_item
from recgym.encoders.sessions import SessionGaps, SessionNumbers, session_starts
from recgym.encoders.transforms import cloze, crop, rejoin, segment, sessionise, within_sessions
from recgym.testing.encoder import encoder_sequences

N, TOKEN = 40, 41


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _example(*histories: list[int], session: list[int] | None = None, time_s: list[float] | None = None) -> Example:
    start = np.cumsum([0, *map(len, histories)]).astype(np.int64)
    items = np.array([item for history in histories for item in history], np.int64)
    log = Sequences(
        items, start, N,
        None if time_s is None else np.array(time_s), np.arange(2 * len(items), dtype=np.float32).reshape(-1, 2),
        None if session is None else np.array(session),
    )  # fmt: skip
    users = np.arange(len(histories))
    return next_item(log.gather(start[:-1], start[1:]), torch.from_numpy(users), torch.ones(len(users)).bool(), N)


def _rows(batch: Batch) -> list[list[int]]:
    return [items[mask].tolist() for items, mask in zip(batch.items, batch.mask, strict=True)]


def _targets(example: Example) -> list[list[int]]:
    rows = zip(example.targets, example.inputs.mask, strict=True)
    assert bool((example.targets[~example.inputs.mask] == N).all())
    return [targets[mask].tolist() for targets, mask in rows]


def test_crop_keeps_items_and_targets_together() -> None:
    example = _example([1, 2, 3, 4, 5], [6, 7, 8])
    cropped = crop(example, torch.tensor([1, 0]), torch.tensor([2, 9]), N)
    assert _rows(cropped.inputs) == [[2, 3], [6, 7]]
    assert _targets(cropped) == [[3, 4], [7, 8]]
    assert cropped.first.tolist() == [N, 6]  # A crop from the middle opens no history.
    assert cropped.inputs.feedback is not None
    assert cropped.inputs.feedback[0, 0].tolist() == [2.0, 3.0]


def test_random_crops_start_anywhere_and_have_the_share() -> None:
    example = _example(list(range(11)))
    starts: dict[int, int] = {}
    for seed in range(200):
        cropped = Crop(N, 0.45)(example, _generator(seed))
        (row,) = _rows(cropped.inputs)
        assert row == list(range(row[0], row[0] + 4))
        assert _targets(cropped) == [[item + 1 for item in row]]
        starts[row[0]] = starts.get(row[0], 0) + 1
    assert sorted(starts) == list(range(7))
    assert min(starts.values()) > 10  # 29 of 200 are expected of each.


def test_segments_are_cut_from_the_end() -> None:
    example = _example([1, 2, 3, 4, 5, 6], [7, 8])
    pieces = segment(example, 2, N)
    assert _rows(pieces.inputs) == [[1], [2, 3], [4, 5], [7]]
    assert _targets(pieces) == [[2], [3, 4], [5, 6], [8]]
    assert pieces.first.tolist() == [1, N, N, 7]
    assert pieces.users.tolist() == [0, 0, 0, 1]
    again = Segment(N, 2)(example, _generator())
    assert torch.equal(again.targets, pieces.targets)
    assert _rows(segment(example, 9, N).inputs) == _rows(example.inputs)


def test_within_sessions_no_target_lies_in_another() -> None:
    numbered = _example([1, 2, 3, 4, 5], [6, 7], session=[0, 0, 1, 1, 2, 3, 3])
    assert _targets(within_sessions(numbered, SessionNumbers(), N)) == [[2, N, 4, N], [7]]
    timed = _example([1, 2, 3, 4, 5], [6, 7], time_s=[0.0, 5.0, 99.0, 100.0, 109.9, 0.0, 10.0])
    assert _targets(WithinSessions(N, SessionGaps(10.0))(timed, _generator())) == [[2, N, 4, 5], [N]]
    with pytest.raises(ValueError, match="without times"):
        within_sessions(numbered, SessionGaps(), N)
    unknown = _example([1, 2, 3])
    assert _targets(within_sessions(unknown, SessionNumbers(), N)) == [[2, 3]]


def test_sessions_become_rows() -> None:
    example = _example([1, 2, 3, 4, 5], [6, 7], session=[0, 0, 1, 1, 1, 3, 3])
    rows = sessionise(example, SessionNumbers(), N)
    assert _rows(rows.inputs) == [[1, 2], [3, 4], [6]]
    assert _targets(rows) == [[2, N], [4, 5], [7]]
    assert rows.first.tolist() == [1, N, 6]
    assert rows.users.tolist() == [0, 0, 1]
    assert torch.equal(Sessionise(N, SessionNumbers())(example, _generator()).targets, rows.targets)


def test_session_starts_of_rows_that_differ_in_length() -> None:
    log = encoder_sequences(0)
    batch = log.histories(np.arange(log.num_users), 18)
    starts = session_starts(batch.where(), SessionNumbers())
    assert log.session is not None
    for user in range(log.num_users):
        mine = log.session[log.start[user] : log.start[user + 1]]
        expected = [t == 0 or mine[t] != mine[t - 1] for t in range(len(mine))]
        assert starts[user][batch.mask[user]].tolist() == expected
    assert not bool(starts[~batch.mask].any())


def test_rejoin_undoes_next_item() -> None:
    example = _example([1, 2, 3, 4], [5, 6], session=[0, 0, 1, 1, 2, 2], time_s=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    whole = rejoin(example, N)
    assert _rows(whole) == [[1, 2, 3, 4], [5, 6]]
    assert whole.time_s is not None
    assert whole.session is not None
    assert whole.time_s[0, :4].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert whole.time_s[1, :2].tolist() == [4.0, 5.0]
    assert whole.session[0, :4].tolist() == [0, 0, 1, 1]
    cut = within_sessions(_example([1, 2, 3], session=[0, 0, 1]), SessionNumbers(), N)
    assert _rows(rejoin(cut, N)) == [[1, 2]]  # No target, nothing to join.


def test_only_what_was_liked_is_foretold() -> None:
    sequences = encoder_sequences(3)
    n = sequences.num_items
    batch = sequences.histories(np.arange(sequences.num_users), 20)
    assert batch.feedback is not None
    example = next_item(batch, torch.arange(sequences.num_users), torch.ones(sequences.num_users, dtype=torch.bool), n)
    found = OnlyLiked(n, 1, above=1.0)(example, torch.Generator())
    liked = 0
    for row in range(sequences.num_users):
        length = int(batch.mask[row].sum())
        targets = [n] * example.targets.shape[1]
        for t in range(length - 2):
            if batch.feedback[row, t + 1, 1] > 1.0:
                targets[t] = int(batch.items[row, t + 1])
                liked += 1
        assert found.targets[row].tolist() == targets
        wanted = length > 1 and bool(batch.feedback[row, 0, 1] > 1.0)
        assert int(found.first[row]) == (int(batch.items[row, 0]) if wanted else n)
    assert liked > 10
    assert found.inputs is example.inputs
    with pytest.raises(ValueError, match="found histories without"):
        OnlyLiked(n, 1)(example._replace(inputs=replace(example.inputs, feedback=None)), torch.Generator())


def test_cloze_shows_nothing_of_what_is_hidden() -> None:
    def shown(item: int, feedback: float, time_s: float) -> Batch:
        items = torch.tensor([[1, 2, item, 4]])
        given = torch.ones(1, 4, 2)
        given[0, 2] = feedback
        times = torch.tensor([[0.0, 10.0, time_s, 30.0]]).double()
        batch = Batch(items, torch.ones(1, 4).bool(), times, given)
        return cloze(batch, torch.tensor([[False, False, True, False]]), TOKEN)

    one, other = shown(3, 0.5, 20.0), shown(9, 7.0, 25.0)
    for first, second in zip(vars(one).values(), vars(other).values(), strict=True):
        assert first is None or torch.equal(first, second)
    assert one.items.tolist() == [[1, 2, TOKEN, 4]]
    assert one.time_s is not None
    assert one.time_s.tolist() == [[0.0, 10.0, 10.0, 30.0]]


@pytest.mark.parametrize("ratio", [0.2, 0.6])
def test_cloze_hides_its_ratio_of_each_history(ratio: float) -> None:
    example = _example(list(range(20)), [30, 31, 32])
    hidden_often = np.zeros(20)
    for seed in range(300):
        masked = Cloze(N, TOKEN, 20, ratio)(example, _generator(seed))
        hidden = masked.inputs.items == TOKEN
        assert hidden.sum(1).tolist() == [20 * ratio, max(1, round(3 * ratio))]
        assert _rows(masked.inputs)[1].count(TOKEN) == int(hidden[1].sum())
        original = torch.where(hidden, masked.targets, masked.inputs.items)
        assert original[0].tolist() == list(range(20))
        assert bool((masked.targets[~hidden] == N).all())
        hidden_often += hidden[0].numpy()
    np.testing.assert_allclose(hidden_often / 300, ratio, atol=0.12)  # Four standard errors; the last item too.
    assert masked.first.tolist() == [0, 30]


def test_cloze_of_the_last_item_alone() -> None:
    example = _example(list(range(20)), [30, 31, 32])
    masked = Cloze(N, TOKEN, 20, 0.2, last_only=1.0)(example, _generator())
    assert _rows(masked.inputs) == [[*range(19), TOKEN], [30, 31, TOKEN]]
    assert _targets(masked) == [[N] * 19 + [19], [N, N, 32]]
    shares = [
        (Cloze(N, TOKEN, 20, 0.2, last_only=0.3)(example, _generator(seed)).inputs.items[0] == TOKEN).sum() == 1
        for seed in range(300)
    ]
    assert 0.2 < np.mean(shares) < 0.4


def test_cloze_keeps_within_the_window() -> None:
    masked = Cloze(N, TOKEN, 6, 0.5)(_example(list(range(7)), [8, 9]), _generator())
    assert masked.inputs.lengths.tolist() == [6, 2]
    original = torch.where(masked.inputs.items == TOKEN, masked.targets, masked.inputs.items)
    assert original[0].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Crop(N, 0.0), "share"),
        (lambda: Segment(N, 0), "at least 1 event"),
        (lambda: Cloze(N, TOKEN, 5, 0.0), "ratio"),
        (lambda: Cloze(N, TOKEN, 5, last_only=1.5), "last_only"),
        (lambda: SessionGaps(0.0), "pause"),
    ],
)
def test_bad_settings(make: type, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
