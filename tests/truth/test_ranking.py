"""Ranking measures on examples worked out by hand, and the laws that random, ideal and constant scores obey."""

import math

import numpy as np
import pytest
import torch

from recgym.data import iid_log, markov_log, random_transitions, zipf_popularity
from recgym.evaluation import (
    NegativeLaw,
    SampledNegatives,
    SeenItems,
    evaluate_ranking,
    leave_one_out_queries,
)
from recgym.evaluation.ranking import (
    challenge_ndcg,
    query_metrics,
    r_precision,
    r_precision_with_artists,
    recommended_songs_clicks,
)
from tests.evaluation.ranking.controls import ByUser, Fixed, RandomScores, oracle

N_ITEMS = 50
LOG = iid_log(4000, 6, zipf_popularity(N_ITEMS, 0.5), seed=0)
TEST = leave_one_out_queries(LOG).test


def test_two_queries_by_hand() -> None:
    # The first query has targets at places 1, 4 and 12, the second one at place 3; cuts at 1, 3 and 10.
    found = query_metrics(np.array([4, 1, 12, 3]), np.array([0, 0, 0, 1]), 2, (1, 3, 10))
    third, fourth = 1 / math.log2(4), 1 / math.log2(5)
    second = 1 / math.log2(3)
    expected = {
        "hr@1": [1, 0], "hr@3": [1, 1], "hr@10": [1, 1],
        "recall@1": [1 / 3, 0], "recall@3": [1 / 3, 1], "recall@10": [2 / 3, 1],
        "mrr@1": [1, 0], "mrr@3": [1, 1 / 3], "mrr@10": [1, 1 / 3], "mrr": [1, 1 / 3],
        "ndcg@1": [1, 0], "ndcg@3": [1 / (1 + second + third), third],
        "ndcg@10": [(1 + fourth) / (1 + second + third), third],
    }  # fmt: skip
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name


def test_random_scores_hit_by_chance() -> None:
    report = evaluate_ranking(RandomScores(N_ITEMS), TEST, TEST.protocol(seen=SeenItems.KEPT), ks=(1, 5, 10))
    metrics = report.metrics()
    for k in (1, 5, 10):
        chance = k / N_ITEMS
        error = math.sqrt(chance * (1 - chance) / len(TEST))
        assert metrics[f"hr@{k}"].mean == pytest.approx(chance, abs=4 * error)
        assert metrics[f"hr@{k}"].high - metrics[f"hr@{k}"].low == pytest.approx(2 * 1.96 * error, rel=0.15)
    harmonic = sum(1 / rank for rank in range(1, N_ITEMS + 1)) / N_ITEMS
    assert metrics["mrr"].low < harmonic < metrics["mrr"].high
    assert metrics["coverage@10"].mean == 1.0


def test_masking_shortens_the_list_that_chance_draws_from() -> None:
    report = evaluate_ranking(RandomScores(N_ITEMS), TEST, ks=(10,))
    candidates = np.array(
        [
            N_ITEMS - len(set(TEST.events.items[start:end].tolist()) - {target})
            for start, end, target in zip(TEST.start, TEST.end, TEST.targets, strict=True)
        ]
    )
    chance = (10 / candidates).mean()
    assert report.means()["hr@10"] == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / len(TEST)))
    assert (report.ranks <= candidates).all()


def test_oracle_is_always_right() -> None:
    means = evaluate_ranking(oracle(TEST, LOG.n_users), TEST, ks=(1, 10)).means()
    assert all(means[name] == 1.0 for name in means if name.startswith(("hr", "ndcg", "mrr", "recall")))


@pytest.mark.parametrize("value", [0.0, 3.5, -torch.inf])
def test_constant_scores_hit_nothing_as_ties_count_against_the_model(value: float) -> None:
    report = evaluate_ranking(
        Fixed(torch.full((N_ITEMS,), value)), TEST, TEST.protocol(seen=SeenItems.KEPT), ks=(1, 10, N_ITEMS - 1)
    )
    assert (report.ranks == N_ITEMS).all()
    assert report.means()[f"hr@{N_ITEMS - 1}"] == 0.0


def test_popularity_is_the_best_that_independent_draws_allow() -> None:
    popularity = zipf_popularity(N_ITEMS, 0.5)
    report = evaluate_ranking(
        Fixed(torch.as_tensor(popularity, dtype=torch.float32)), TEST, TEST.protocol(seen=SeenItems.KEPT), ks=(10,)
    )
    hit = report.metrics()["hr@10"]
    assert hit.low < popularity[:10].sum() < hit.high


def test_the_transition_matrix_is_right_as_often_as_its_largest_entries_say() -> None:
    transitions = random_transitions(20, 0.2, seed=1)
    log = markov_log(3000, 5, transitions, seed=2)
    queries = leave_one_out_queries(log).test
    last = queries.events.items[queries.end - 1]
    table = torch.as_tensor(transitions[last[np.argsort(queries.users)]], dtype=torch.float32)
    hit = evaluate_ranking(ByUser(table), queries, queries.protocol(seen=SeenItems.KEPT), ks=(1,)).metrics()["hr@1"]
    truth = transitions[last].max(axis=1).mean()
    assert hit.low < truth < hit.high


@pytest.mark.parametrize("count", [5, 20])
def test_random_scores_among_sampled_negatives(count: int) -> None:
    """A place among s random negatives is uniform on 1..s+1, whatever the catalogue: the metric means another thing."""
    protocol = TEST.protocol(SampledNegatives(count))
    hit = evaluate_ranking(RandomScores(N_ITEMS), TEST, protocol, ks=(2,)).means()["hr@2"]
    chance = 2 / (count + 1)
    assert hit == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / len(TEST)))


def test_sampled_negatives_flatter_and_all_negatives_are_full_ranking() -> None:
    scores = Fixed(torch.as_tensor(zipf_popularity(N_ITEMS, 0.5), dtype=torch.float32))
    full = evaluate_ranking(scores, TEST, ks=(5,))
    few = evaluate_ranking(scores, TEST, TEST.protocol(SampledNegatives(10)), ks=(5,))
    everything = evaluate_ranking(scores, TEST, TEST.protocol(SampledNegatives(N_ITEMS)), ks=(5,))
    popular = evaluate_ranking(scores, TEST, TEST.protocol(SampledNegatives(10, NegativeLaw.POPULARITY)), ks=(5,))
    assert few.means()["hr@5"] > popular.means()["hr@5"] > full.means()["hr@5"]
    assert (everything.ranks == full.ranks).all()
    assert (few.ranks <= full.ranks).all()


# RecSys Challenge 2018. Withheld {1, 2, 3, 5, 8, 99}; recommended 5, 8, 13, 3 and nothing else of use.
RANKS = np.array([501, 501, 4, 1, 2, 10**6])
ONE = np.zeros(6, dtype=np.int64)


def test_challenge_r_precision_looks_at_as_many_places_as_there_are_targets() -> None:
    assert r_precision(RANKS, ONE, 1).tolist() == [0.5]
    assert r_precision(np.array([1, 2, 7, 4, 5, 6]), ONE, 1) == pytest.approx([5 / 6])
    assert r_precision(np.array([2, 1]), np.array([0, 1]), 2).tolist() == [0.0, 1.0]


def test_challenge_r_precision_with_artists() -> None:
    # Tracks 0..5 of artists 0, 0, 1, 1, 2, 3. Withheld 0, 2, 4; recommended 1, 2, 5 and then, too late, 4.
    artists = np.array([0, 0, 1, 1, 2, 3])
    value = r_precision_with_artists(
        np.array([[1, 2, 5, 4]]), np.array([0, 2, 4]), np.zeros(3, dtype=np.int64), artists
    )
    assert value == pytest.approx([(1 + 0.25 * 2) / 3])  # track 2; artists 0 and 1
    perfect = r_precision_with_artists(np.array([[0, 2, 4]]), np.array([0, 2, 4]), np.zeros(3, dtype=np.int64), artists)
    assert perfect == pytest.approx([(3 + 0.25 * 3) / 3])
    with pytest.raises(ValueError, match="3 targets, but the lists hold only 2"):
        r_precision_with_artists(np.array([[1, 2]]), np.array([0, 2, 4]), np.zeros(3, dtype=np.int64), artists)


def test_challenge_ndcg_is_not_the_usual_one() -> None:
    dcg = 1 + 1 / math.log2(2) + 1 / math.log2(4)
    ideal = 1 + 1 / math.log2(2) + 1 / math.log2(3)
    assert challenge_ndcg(RANKS, ONE, 1) == pytest.approx([dcg / ideal])
    assert query_metrics(RANKS, ONE, 1, (500,))["ndcg@500"] < dcg / ideal
    # One hit in front of all is worth 1 whatever was missed; so is one at the second place, and nothing is worth 0.
    query = np.array([0, 0, 1, 1, 2])
    assert challenge_ndcg(np.array([1, 600, 2, 501, 501]), query, 3) == pytest.approx([1.0, 1.0, 0.0])


def test_challenge_clicks() -> None:
    ranks = np.array([1, 10, 11, 500, 501])
    assert recommended_songs_clicks(ranks, np.arange(5), 5).tolist() == [0, 0, 1, 49, 51]
    assert recommended_songs_clicks(np.array([30, 12]), np.array([0, 0]), 1).tolist() == [1]
