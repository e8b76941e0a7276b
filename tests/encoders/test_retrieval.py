"""Retrieval against brute force."""

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.encoders import Catalogue, Cosine, MLPScorer, NextItemModel, seeded
from recgym.encoders.comirec import ComiRecConfig
from recgym.encoders.retrieval import Diversity, ItemRetriever, diverse, merge
from recgym.evaluation.ranking import Retriever
from recgym.testing.encoder import encoder_sequences
from recgym.types import History


def _model(count: int = 3) -> tuple[NextItemModel, History]:
    """A model of several interests, and the histories of 12 users, the second of whom has none."""
    sequences = encoder_sequences(0)
    config = ComiRecConfig(count=count, width=8, window=18)
    with seeded(0, "model"):
        model = config.build(Catalogue.of(sequences))
        for parameter in model.parameters():
            parameter.data += 0.5 * torch.randn_like(parameter)
    batch = sequences.histories(np.arange(12), 18)
    assert batch.time_s is not None
    empty = torch.zeros((*batch.items.shape, 0))
    back = [part.flip(1) for part in (batch.items, empty, batch.time_s, batch.mask)]
    return model, History(*back)


def _brute(model: NextItemModel, history: History, k: int, repeats: bool) -> Tensor:
    """All scores at once, then the best."""
    scores = model.eval().scores(torch.arange(12), history).clone()
    for user in range(12):
        if not repeats:
            scores[user, history.items[user, history.mask[user]]] = -torch.inf
    best, items = scores.sort(1, descending=True)
    return torch.where(best > -torch.inf, items, model.num_items)[:, :k]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("block", [1, 7, 40, 8192])
def test_lists_are_those_of_brute_force(count: int, repeats: bool, block: int) -> None:
    model, history = _model(count)
    for k in (1, 5, 40):
        found = ItemRetriever(model, repeats, block=block).retrieve(torch.arange(12), history, k)
        assert found.shape == (12, k)
        assert torch.equal(found, _brute(model, history, k, repeats))
    if not repeats:
        assert bool((found == model.num_items).any())  # of 40 items, those seen leave fewer than 40


@pytest.mark.parametrize("kind", [Cosine, MLPScorer])
def test_any_scorer_serves(kind: type) -> None:
    model, history = _model()
    with seeded(0, "scorer"):
        model.scorer = Cosine(0.1) if kind is Cosine else MLPScorer(8, 5)
    found = ItemRetriever(model, block=7).retrieve(torch.arange(12), history, 6)
    # Not by ids: to a network with rectifiers, some items are alike.
    scores = model.eval().scores(torch.arange(12), history)
    torch.testing.assert_close(scores.gather(1, found), scores.topk(6)[0])


def test_the_model_is_left_in_the_mode_that_it_was_in() -> None:
    model, history = _model()
    ItemRetriever(model.train()).retrieve(torch.arange(12), history, 3)
    assert model.training


def test_a_shallow_list_of_each_interest_is_merged() -> None:
    model, history = _model()
    found = ItemRetriever(model, depth=2).retrieve(torch.arange(12), history, 10)
    with torch.no_grad():
        deep = ItemRetriever(model).retrieve(torch.arange(12), history, 10)
    kept = (found < model.num_items).sum(1)
    assert int(kept.max()) <= 6  # of 3 interests, 2 each
    assert int(kept.min()) >= 2
    for user in range(12):
        order = [deep[user].tolist().index(item) for item in found[user, : kept[user]].tolist() if item in deep[user]]
        assert order == sorted(order)
        assert found[user, 0] == deep[user, 0]


def test_merging_counts_an_item_once_by_its_best_score() -> None:
    scores = torch.tensor([[[3.0, 1.0], [2.0, 1.5]], [[1.0, -torch.inf], [1.0, -torch.inf]]])
    items = torch.tensor([[[4, 7], [7, 4]], [[2, 9], [2, 9]]])
    best, merged = merge(scores, items, 9)
    assert merged.tolist() == [[4, 7, 9, 9], [2, 9, 9, 9]]
    assert best[:, 0].tolist() == [3.0, 1.0]
    assert best[0, :2].tolist() == [3.0, 2.0]


def _value(chosen: list[int], scores: dict[int, float], categories: Tensor, weight: float) -> float:
    """Q(S) of the paper, over unordered pairs."""
    differ = sum(
        categories[i] != categories[j] or int(categories[i]) < 0
        for at, i in enumerate(chosen)
        for j in chosen[:at]
    )  # fmt: skip
    return sum(scores[i] for i in chosen) + weight * float(differ)


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0, 50.0])
def test_each_pick_adds_most_to_the_value(weight: float) -> None:
    generator = torch.Generator().manual_seed(3)
    items = torch.stack([torch.randperm(30, generator=generator)[:12] for _ in range(5)])
    scores = torch.randn((5, 12), generator=generator).sort(1, descending=True)[0]
    categories = torch.randint(-1, 4, (30,), generator=generator)
    found = diverse(scores, items, 6, Diversity(categories, weight))
    for user in range(5):
        score = dict(zip(items[user].tolist(), scores[user].tolist(), strict=True))
        chosen: list[int] = []
        for pick in found[user].tolist():
            values = {i: _value([*chosen, i], score, categories, weight) for i in score if i not in chosen}
            assert values[pick] == pytest.approx(max(values.values()))
            chosen.append(pick)


def test_a_list_ends_where_there_is_nothing_left() -> None:
    scores = torch.tensor([[2.0, 1.0, -torch.inf], [-torch.inf] * 3])
    items = torch.tensor([[1, 0, 3], [3, 3, 3]])
    found = diverse(scores, items, 3, Diversity(torch.tensor([0, 0, 1]), 5.0))
    assert found.tolist() == [[1, 0, 3], [3, 3, 3]]


def _variety(served: Tensor, categories: Tensor) -> float:
    """Share of pairs in a list that differ in category."""
    of = categories[served]
    differ = (of[:, :, None] != of[:, None, :]).float().sum((1, 2))
    return float((differ / (served.shape[1] * (served.shape[1] - 1))).mean())


def test_variety_rises_with_its_weight_and_none_is_plain_retrieval() -> None:
    model, history = _model()
    categories = torch.arange(40) % 4
    users = torch.arange(12)
    served = {
        weight: ItemRetriever(model, depth=20, diversity=Diversity(categories, weight)).retrieve(users, history, 8)
        for weight in (0.0, 0.5, 2.0, 1e4)
    }
    assert torch.equal(served[0.0], ItemRetriever(model, depth=20).retrieve(users, history, 8))
    variety = [_variety(list_, categories) for list_ in served.values()]
    assert variety == sorted(variety)
    assert variety[0] < variety[-1]
    # 8 items of 4 categories, 2 of each: 24 of the 28 pairs differ, as many as can.
    assert variety[-1] == pytest.approx(24 / 28, abs=1e-6)


def test_bad_settings_are_refused() -> None:
    model, history = _model()
    with pytest.raises(ValueError, match="k = 0"):
        ItemRetriever(model).retrieve(torch.arange(12), history, 0)
    with pytest.raises(ValueError, match="block must be at least 1, found 0"):
        ItemRetriever(model, block=0)
    with pytest.raises(ValueError, match="finite and at least 0, found -1"):
        Diversity(torch.zeros(40, dtype=torch.int64), -1.0)
    with pytest.raises(ValueError, match="each of the 40 items, found 3"):
        ItemRetriever(model, diversity=Diversity(torch.zeros(3, dtype=torch.int64), 1.0))


def test_lists_are_judged_as_served() -> None:
    model, history = _model()
    retriever = ItemRetriever(model, repeats=False)
    assert isinstance(retriever, Retriever)
    assert (retriever.num_items, retriever.window) == (40, 18)
    known = retriever.retrieve(torch.arange(12), history, 5, query_time_s=torch.full((12,), 2e9, dtype=torch.float64))
    assert torch.equal(known, retriever.retrieve(torch.arange(12), history, 5))  # this model does not look at the time
