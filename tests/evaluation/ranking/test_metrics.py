"""Metrics that depend on one another do so, and cuts that mean nothing are refused."""

import numpy as np
import pytest

from recgym.evaluation.ranking.metrics import Targets, query_metrics


def test_single_targets_make_recall_the_hit_rate() -> None:
    ranks = np.random.default_rng(0).integers(1, 40, 200)
    found = query_metrics(ranks, np.arange(200), 200, (1, 5, 20))
    for k in (1, 5, 20):
        assert (found[f"hr@{k}"] == found[f"recall@{k}"]).all()
        assert found[f"ndcg@{k}"] == pytest.approx(np.where(ranks <= k, 1 / np.log2(ranks + 1), 0))
        assert found[f"mrr@{k}"] == pytest.approx(np.where(ranks <= k, 1 / ranks, 0))


def test_perfect_sets_are_worth_one_also_beyond_the_cut() -> None:
    found = query_metrics(np.arange(1, 8), np.zeros(7, dtype=np.int64), 1, (3, 7, 100))
    assert [found[f"ndcg@{k}"][0] for k in (3, 7, 100)] == pytest.approx([1, 1, 1])
    assert found["recall@3"][0] == pytest.approx(3 / 7)


def test_queries_without_targets_do_not_count() -> None:
    found = query_metrics(np.array([1]), np.array([1]), 3, (2,))
    assert all(np.isnan(value).tolist() == [True, False, True] for value in found.values())


@pytest.mark.parametrize(("k", "ranked_to"), [(0, None), (-1, 5), (6, 5)])
def test_cuts_beyond_the_ranking_are_refused(k: int, ranked_to: int | None) -> None:
    with pytest.raises(ValueError, match=f"found {k}"):
        query_metrics(np.array([1]), np.array([0]), 1, (k,), ranked_to)


def test_served_lists_have_no_reciprocal_rank_without_a_cut() -> None:
    assert "mrr" not in query_metrics(np.array([1]), np.array([0]), 1, (5,), 5)


def test_repeated_and_explored_part_all() -> None:
    repeated = np.array([True, False, True])
    assert Targets.ALL.chosen(repeated).all()
    assert (Targets.REPEATED.chosen(repeated) ^ Targets.EXPLORED.chosen(repeated)).all()
    assert Targets.REPEATED.chosen(repeated).tolist() == repeated.tolist()
