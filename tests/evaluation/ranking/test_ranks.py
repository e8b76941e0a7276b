"""Ranks against a plain loop."""

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.evaluation.ranking.ranks import UNSERVED, Pairs, rank_scores, rank_served

Case = tuple[Tensor, list[set[int]], list[list[int]]]


def _case(seed: int, levels: int) -> Case:
    """Scores with many ties and some minus infinity, seen items, and targets (of which some were seen)."""
    generator = np.random.default_rng(seed)
    batch, items = int(generator.integers(1, 7)), 9
    scores = torch.as_tensor(generator.integers(0, levels, (batch, items)).astype(np.float32))
    scores[torch.as_tensor(generator.random((batch, items)) < 0.1)] = -torch.inf
    seen = [set(generator.choice(items, generator.integers(0, 4), replace=False).tolist()) for _ in range(batch)]
    targets = [sorted(generator.choice(items, generator.integers(1, 5), replace=False).tolist()) for _ in range(batch)]
    return scores, seen, targets


def _pairs(rows: list[list[int]]) -> Pairs:
    flat = [(row, item) for row, items in enumerate(rows) for item in items]
    return Pairs(*(torch.tensor([pair[axis] for pair in flat], dtype=torch.int64) for axis in (0, 1)))


def _by_loop(scores: list[float], candidates: set[int], targets: list[int]) -> list[int]:
    """Sort by score; of equal scores, non-targets stand first, then targets by id."""
    order = sorted(candidates | set(targets), key=lambda item: (-scores[item], item in targets, item))
    return [order.index(target) + 1 for target in targets]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_ranks_equal_a_sorted_list(seed: int, levels: int) -> None:
    scores, seen, targets = _case(seed, levels)
    masked = _pairs([sorted(items) * 2 for items in seen])  # items consumed twice
    before = scores.clone()
    ranked = rank_scores(scores, masked, _pairs(targets), 4)
    expected = [
        rank
        for row, wanted in enumerate(targets)
        for rank in _by_loop(scores[row].tolist(), set(range(9)) - seen[row], wanted)
    ]
    assert ranked.ranks.tolist() == expected
    assert torch.equal(scores, before), "the recommender's tensor is its own"


@pytest.mark.parametrize("seed", range(30))
def test_ranks_among_negatives(seed: int) -> None:
    scores, seen, targets = _case(seed, 3)
    generator = np.random.default_rng(seed)
    negatives = torch.as_tensor(np.stack([generator.permutation(9)[:5] for _ in targets]))
    masked = _pairs([sorted(items) for items in seen])
    ranked = rank_scores(scores, masked, _pairs(targets), 4, negatives)
    expected = [
        rank
        for row, wanted in enumerate(targets)
        for rank in _by_loop(scores[row].tolist(), set(negatives[row].tolist()) - seen[row], wanted)
    ]
    assert ranked.ranks.tolist() == expected


@pytest.mark.parametrize("seed", range(30))
def test_lists_hold_the_best_unseen_items(seed: int) -> None:
    scores, seen, targets = _case(seed, 1000)
    lists = rank_scores(scores, _pairs([sorted(items) for items in seen]), _pairs(targets), 9).lists
    for row, found in enumerate(lists.tolist()):
        legal = [item for item in range(9) if item not in seen[row] and scores[row, item] > -torch.inf]
        kept = [item for item in found if item != 9]
        assert sorted(kept) == legal
        assert [scores[row, item] for item in kept] == sorted((scores[row, item] for item in legal), reverse=True)
        assert found == kept + [9] * (9 - len(kept)), "nothing stands after the end of the list"


@pytest.mark.parametrize("seed", range(60))
def test_served_lists_rank_as_the_scores_that_made_them(seed: int) -> None:
    scores, seen, targets = _case(seed, 1000)
    scores = torch.argsort(torch.argsort(scores, dim=1), dim=1).float()  # no ties
    masked, wanted = _pairs([sorted(items) for items in seen]), _pairs(targets)
    by_score = rank_scores(scores, masked, wanted, 4)
    served = rank_served(scores.argsort(dim=1, descending=True), masked, wanted, 4, 9)
    assert torch.equal(by_score.ranks, served.ranks)
    assert torch.equal(by_score.lists, served.lists)


def test_what_is_not_served_has_the_worst_rank() -> None:
    served = torch.tensor([[3, 1, 5, 5], [0, 5, 5, 5]])
    ranked = rank_served(served, _pairs([[3], []]), _pairs([[1, 2], [0]]), 3, 5)
    assert ranked.ranks.tolist() == [1, UNSERVED, 1]
    assert ranked.lists.tolist() == [[1, 5, 5], [0, 5, 5]]


@pytest.mark.parametrize(
    ("served", "message"),
    [([[0, 0]], "an item twice"), ([[0, 6]], r"found 0\.\.6"), ([[-1, 2]], r"found -1\.\.2")],
)
def test_broken_lists_are_refused(served: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_served(torch.tensor(served), _pairs([[]]), _pairs([[1]]), 2, 5)
