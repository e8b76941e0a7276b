"""Baselines against counts made by hand and by slow loops."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from recgym.data import read_log
from recgym.encoders import Sequences
from recgym.encoders.baselines import Baseline, BaselineConfig, PopularityConfig, RecencyConfig
from recgym.encoders.neighbours import ItemKNNConfig, MarkovConfig
from recgym.evaluation.ranking import Recommender
from recgym.types import History
from tests.shared import shared_data

CONFIGS: list[BaselineConfig] = [
    PopularityConfig(), PopularityConfig(5.0), RecencyConfig(), MarkovConfig(),
    ItemKNNConfig(), ItemKNNConfig(3, 2.0, 4, 0.5),
]  # fmt: skip


def _sequences(*histories: list[int], num_items: int = 5, time_s: list[float] | None = None) -> Sequences:
    start = np.cumsum([0, *map(len, histories)]).astype(np.int64)
    items = np.array([item for history in histories for item in history], np.int64)
    return Sequences(items, start, num_items, None if time_s is None else np.array(time_s))


def _history(*rows: list[int], num_items: int = 5) -> History:
    longest = max(1, *map(len, rows))
    items = torch.tensor([[num_items] * (longest - len(row)) + row for row in rows])
    return History(items, torch.zeros((*items.shape, 1)), torch.zeros(items.shape).double(), items != num_items)


def _scores(model: Baseline, *rows: list[int], num_items: int = 5) -> np.ndarray:
    return model.scores(torch.arange(len(rows)), _history(*rows, num_items=num_items)).numpy()


def _random(seed: int, users: int = 30, num_items: int = 12) -> Sequences:
    rng = np.random.default_rng(seed)
    histories = [rng.integers(0, num_items, rng.integers(0, 15)).tolist() for _ in range(users)]
    events = sum(map(len, histories))
    return _sequences(*histories, num_items=num_items, time_s=np.arange(events, dtype=float).tolist())


def test_popularity_counts_events() -> None:
    model = PopularityConfig().fit(_sequences([0, 1, 1], [1, 4, 0]))
    np.testing.assert_allclose(_scores(model, [0], []), [[2 / 6, 3 / 6, 0, 0, 1 / 6]] * 2, rtol=1e-6)


def test_popularity_halves_with_age() -> None:
    log = _sequences([0, 1], [2, 3], time_s=[100.0, 110.0, 90.0, 110.0])
    weights = np.array([0.5, 1, 0.25, 1, 0])
    scores = _scores(PopularityConfig(half_life_s=10.0).fit(log), [0])
    np.testing.assert_allclose(scores, [weights / weights.sum()], rtol=1e-6)
    with pytest.raises(ValueError, match="knows only the order"):
        PopularityConfig(half_life_s=10.0).fit(_sequences([0, 1]))


def test_recency_puts_newest_own_items_first_then_popular_ones() -> None:
    model = RecencyConfig(window=3).fit(_sequences([4, 4, 4, 3, 3, 2]))
    scores = _scores(model, [1, 0, 2, 0], [])
    assert np.argsort(-scores[0], kind="stable").tolist() == [0, 2, 4, 3, 1]  # Item 1 is beyond the window.
    assert np.argsort(-scores[1], kind="stable").tolist() == [4, 3, 2, 0, 1]
    np.testing.assert_allclose(scores[0, [0, 2]], [2.0, 1.5])


def test_item_knn_by_hand() -> None:
    # Item 0 has users a b c, item 1 a b, item 2 c; repeats within a user do not count.
    model = ItemKNNConfig().fit(_sequences([0, 1, 0], [1, 0], [0, 2]))
    likeness = model.likeness.toarray()
    np.testing.assert_allclose(likeness[0], [0, 2 / np.sqrt(6), 1 / np.sqrt(3), 0, 0], rtol=1e-6)
    np.testing.assert_allclose(likeness[1], [2 / np.sqrt(6), 0, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(_scores(model, [1, 2, 1])[0], likeness[1] + likeness[2], rtol=1e-6)
    np.testing.assert_allclose(_scores(model, [3], [])[:, 0], 4 / 7, rtol=1e-6)  # Without neighbours: popularity.


@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_item_knn_against_loops(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recgym.encoders.neighbours._ROWS", rows)
    log, config = _random(1), ItemKNNConfig(neighbours=4, shrinkage=1.5, window=5, decay=0.7)
    n = log.num_items
    sets = [set(log.items[log.start[u] : log.start[u + 1]].tolist()) for u in range(log.num_users)]
    likeness = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both, one, other = (sum(part <= s for s in sets) for part in ({i, j}, {i}, {j}))
            likeness[i, j] = both / (np.sqrt(one * other) + 1.5) if i != j else 0.0
        nearest = sorted(range(n), key=lambda j: (-np.float32(likeness[i, j]), j))[:4]
        likeness[i, [j for j in range(n) if j not in nearest]] = 0.0
    history = [3, 7, 3, 1, 9, 7]
    expected = np.zeros(n)
    for item in {7, 3, 1, 9}:
        age = history[::-1].index(item)
        expected += 0.7**age * likeness[item]
    model = config.fit(log)
    np.testing.assert_allclose(model.likeness.toarray(), likeness, rtol=1e-5)
    np.testing.assert_allclose(_scores(model, history, num_items=n)[0], expected, rtol=1e-5)


def test_markov_by_hand() -> None:
    # 0 is followed by 1 twice and by 2 once; 4 -> 0 would cross from one user to the next.
    model = MarkovConfig(back_off=2.0).fit(_sequences([0, 1, 0, 2, 4], [0, 1]))
    shares = np.array([3, 2, 1, 0, 1]) / 7
    scores = _scores(model, [1, 0], [4], [])
    np.testing.assert_allclose(scores[0], (np.array([0, 2, 1, 0, 0]) + 2 * shares) / 5, rtol=1e-6)
    np.testing.assert_allclose(scores[1], shares, rtol=1e-6)
    np.testing.assert_allclose(scores[2], shares, rtol=1e-6)


def test_markov_against_loops() -> None:
    log = _random(2)
    pairs: Counter[tuple[int, int]] = Counter()
    for u in range(log.num_users):
        mine = log.items[log.start[u] : log.start[u + 1]].tolist()
        pairs.update(pairwise(mine))
    n = log.num_items
    model = MarkovConfig(back_off=0.5).fit(log)
    shares = np.bincount(log.items, minlength=n) / len(log.items)
    scores = _scores(model, *([i] for i in range(n)), num_items=n)
    for i in range(n):
        out = sum(pairs[i, j] for j in range(n))
        expected = [(pairs[i, j] + 0.5 * shares[j]) / (out + 0.5) for j in range(n)]
        np.testing.assert_allclose(scores[i], expected, rtol=1e-5)
    np.testing.assert_allclose(scores.sum(1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_face(config: BaselineConfig) -> None:
    model = config.fit(_random(3))
    assert isinstance(model, Recommender)
    assert model.num_items == 12
    history = _history([1, 2, 3], [], [5], num_items=12)
    scores = model.scores(torch.arange(3), history)
    assert scores.shape == (3, 12)
    assert scores.dtype == torch.float32
    assert bool(torch.isfinite(scores).all())
    arrays = model.scores(np.arange(3), History(*(np.asarray(part) for part in history)), np.zeros(3))
    assert torch.equal(scores, arrays)
    alone = model.scores(torch.arange(1), History(*(part[:1] for part in history)))
    torch.testing.assert_close(alone, scores[:1])
    empty = config.fit(Sequences(np.zeros(0, np.int64), np.zeros(3, np.int64), 12, np.zeros(0)))
    assert bool(torch.isfinite(empty.scores(torch.arange(3), history)).all())


@pytest.mark.parametrize("config", [RecencyConfig(), ItemKNNConfig(), MarkovConfig()])
def test_an_id_outside_the_catalogue_is_refused(config: BaselineConfig) -> None:
    with pytest.raises(ValueError, match=r"found item id 7 in a history, expected 0\.\.4"):
        config.fit(_sequences([0, 1])).scores(torch.arange(1), History(*map(torch.as_tensor, _outside())))


def _outside() -> History:
    return History(np.array([[7]]), np.zeros((1, 1, 1), np.float32), np.zeros((1, 1)), np.ones((1, 1), bool))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PopularityConfig(0.0), "half-life"),
        (lambda: RecencyConfig(0), "window"),
        (lambda: ItemKNNConfig(neighbours=0), "neighbours"),
        (lambda: ItemKNNConfig(decay=0.0), "decay"),
        (lambda: MarkovConfig(0.0), "back_off"),
    ],
)
def test_bad_settings(make: type, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.data
def test_order_counts_on_wikipedia() -> None:
    """People edit the page again that they edited last: recency and transitions beat popularity by far."""
    log = Sequences.from_log(read_log(shared_data("wikipedia"), "sequences"))
    users = np.flatnonzero(np.diff(log.start) >= 3)
    ends = log.start[users + 1] - 1
    kept = np.ones(len(log.items), bool)
    kept[ends] = False
    lengths = np.diff(log.start)
    lengths[users] -= 1
    train = Sequences(log.items[kept], np.concatenate([[0], np.cumsum(lengths)]), log.num_items)
    batch = train.histories(users, 20)
    history = _history(*(row[mask].tolist() for row, mask in zip(batch.items, batch.mask, strict=True)),
                       num_items=log.num_items)  # fmt: skip
    hits = {}
    for config in (PopularityConfig(), RecencyConfig(), MarkovConfig()):
        scores = config.fit(train).scores(torch.from_numpy(users), history)
        hits[type(config)] = float((scores.argmax(1).numpy() == log.items[ends]).mean())
    assert hits[RecencyConfig] > 0.6
    assert hits[MarkovConfig] > 0.6
    assert hits[PopularityConfig] < 0.1
