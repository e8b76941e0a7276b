"""Whole evaluations: what a recommender is shown, what the report holds, and what is refused."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from recgym.data import iid_log, zipf_popularity
from recgym.evaluation import (
    RankingQueries,
    RankingReport,
    SampledNegatives,
    SeenItems,
    Targets,
    TimeTargets,
    evaluate_ranking,
    leave_one_out_queries,
    paired_difference,
    time_split_queries,
)
from tests.data.samples import random_log
from tests.evaluation.ranking.controls import ByUser, Lists, RandomScores

N = 30
LOG = iid_log(120, 12, zipf_popularity(N), seed=3)
TEST = leave_one_out_queries(LOG).test
GENERATOR = torch.Generator().manual_seed(0)
TABLE = torch.rand(120, N, generator=GENERATOR)
EVERY = time_split_queries(random_log(3, n_users=30), 0.4, TimeTargets.EVERY).test


@pytest.mark.parametrize("seen", SeenItems)
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("queries", [TEST, EVERY], ids=["leave-one-out", "time split"])
def test_batches_do_not_matter(queries: RankingQueries, seen: SeenItems, batch_size: int) -> None:
    table = ByUser(TABLE[:, : queries.num_items])
    protocol = queries.protocol(seen=seen)
    whole = evaluate_ranking(table, queries, protocol, batch_size=256)
    pieces = evaluate_ranking(table, queries, protocol, batch_size=batch_size)
    assert (whole.ranks == pieces.ranks).all()
    assert (whole.lists == pieces.lists).all()


def test_every_query_gets_its_own_list() -> None:
    """Queries are answered in another order than they are asked in."""
    assert (np.diff(EVERY.end - EVERY.start) < 0).any()
    table = TABLE[:, : EVERY.num_items]
    report = evaluate_ranking(ByUser(table), EVERY, EVERY.protocol(seen=SeenItems.KEPT), ks=(4,), batch_size=7)
    assert (report.lists == table[torch.as_tensor(EVERY.users)].topk(4).indices.numpy()).all()


def test_sampled_negatives_are_the_same_for_all_models_and_batches() -> None:
    protocol = TEST.protocol(SampledNegatives(10, seed=4))
    ranks = [evaluate_ranking(ByUser(TABLE), TEST, protocol, batch_size=size).ranks for size in (11, 120)]
    assert (ranks[0] == ranks[1]).all()
    assert (evaluate_ranking(ByUser(-TABLE), TEST, protocol).ranks == 12 - ranks[0]).all(), "11 candidates, reversed"


@pytest.mark.parametrize("window", [1, 4, None])
def test_recommenders_see_the_newest_events_and_no_more(window: int | None) -> None:
    recommender = ByUser(TABLE, window)
    evaluate_ranking(recommender, TEST, batch_size=50)
    assert [len(users) for users, _, _ in recommender.asked] == [50, 50, 20]
    for users, history, time in recommender.asked:
        assert time is None
        for user, items in zip(users.tolist(), history.items, strict=True):
            all_items = LOG.frame.filter(LOG.frame["user"] == user)["item"].to_list()[:-1]
            assert items.tolist() == all_items[-(window or 11) :]


def test_query_time_is_shown_only_on_request() -> None:
    recommender = ByUser(TABLE)
    evaluate_ranking(recommender, TEST, TEST.protocol(query_time_visible=True))
    time = recommender.asked[0][2]
    assert time is not None
    assert time.dtype == torch.float64
    assert time.tolist() == [11.0] * 120


def test_repeated_and_explored_targets_make_up_all() -> None:
    report = evaluate_ranking(ByUser(TABLE), TEST, TEST.protocol(seen=SeenItems.KEPT), ks=(3,))
    whole, repeated, explored = (report.per_query(targets)["hr@3"] for targets in Targets)
    assert 0 < report.repeated.mean() < 1
    assert (np.isnan(repeated) ^ np.isnan(explored)).all(), "a query of one target is the one or the other"
    assert (np.where(np.isnan(repeated), explored, repeated) == whole).all()
    habit = torch.zeros(120, N)
    for user, start, end in zip(TEST.users, TEST.start, TEST.end, strict=True):
        habit[user, TEST.events.items[start:end]] = torch.arange(end - start).float() + 1
    habits = evaluate_ranking(ByUser(habit), TEST, TEST.protocol(seen=SeenItems.KEPT), ks=(11,))
    assert habits.means(Targets.REPEATED)["hr@11"] == 1.0
    assert habits.means(Targets.EXPLORED)["hr@11"] == 0.0


def test_served_lists_are_judged_as_they_are_served() -> None:
    scored = evaluate_ranking(ByUser(TABLE), TEST, ks=(5, 10))
    recommender = Lists(TABLE.argsort(dim=1, descending=True).tolist(), N)
    served = evaluate_ranking(recommender, TEST, ks=(5, 10))
    assert served.served == 10
    assert (served.lists == scored.lists).all()
    for name, value in scored.means().items():
        assert name == "mrr" or served.means()[name] == value
    assert max(recommender.lengths) <= 10 + 11, "as much longer as may have to be taken out"


def test_paired_difference_is_narrower_than_the_difference_of_two() -> None:
    better = TABLE.clone()
    better[torch.arange(0, 120, 10), torch.as_tensor(TEST.targets[::10])] = 2.0
    first, second = (evaluate_ranking(ByUser(table), TEST, ks=(5,)) for table in (better, TABLE))
    difference = paired_difference(first, second)["ndcg@5"]
    assert difference.mean == pytest.approx(first.means()["ndcg@5"] - second.means()["ndcg@5"])
    assert difference.low > 0
    mine = first.metrics()["ndcg@5"]
    assert difference.high - difference.low < mine.high - mine.low
    same = paired_difference(first, first)
    assert all(interval.mean == interval.low == interval.high == 0 for interval in same.values())


def test_reports_that_do_not_answer_the_same_cannot_be_compared() -> None:
    report = evaluate_ranking(ByUser(TABLE), TEST)
    kept = evaluate_ranking(ByUser(TABLE), TEST, TEST.protocol(seen=SeenItems.KEPT))
    with pytest.raises(ValueError, match="reports of one protocol"):
        paired_difference(report, kept)
    with pytest.raises(ValueError, match="answer others"):
        paired_difference(report, evaluate_ranking(ByUser(TABLE), TEST.take(np.arange(60))))


def test_report_says_what_one_should_know() -> None:
    report = evaluate_ranking(ByUser(TABLE), TEST, TEST.protocol(SampledNegatives(10)), ks=(5,), name="table")
    value = report.to_json()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert value["protocol"]["digest"] == report.protocol.digest()
    assert set(value["metrics"]) == {"all", "repeated", "explored"}
    assert value["metrics"]["all"]["hr@5"]["mean"] == report.means()["hr@5"]
    assert value["later_training"]["queries"] == 0.0, "each user's clock starts at 0 and all end together"
    notes = " ".join(value["notes"])
    for word in ("training may hold events of others later", "Krichene", "flatters"):
        assert word in notes
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(report.table())
    text = console.export_text()
    assert "table: leave-one-out test" in text
    assert "ties count against the model" in text


def test_global_split_does_not_warn() -> None:
    report = evaluate_ranking(RandomScores(EVERY.num_items), EVERY)
    assert not any("Leave-one-out" in note for note in report.notes())


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.where(torch.arange(N) == 4, torch.nan, torch.zeros(120, N)), "NaN for user 0, item 4"),
        (torch.zeros(120, N - 1), r"shape \(120, 29\)"),
        (torch.zeros(120, N, dtype=torch.int64), "torch.int64"),
    ],
)
def test_broken_scores_are_refused(scores: torch.Tensor, message: str) -> None:
    broken = ByUser(scores)
    broken.num_items = N
    with pytest.raises(ValueError, match=message):
        evaluate_ranking(broken, TEST)


def test_what_cannot_be_kept_is_refused() -> None:
    table = ByUser(TABLE)
    with pytest.raises(ValueError, match="the recommender knows 5 items, the queries 30"):
        evaluate_ranking(RandomScores(5), TEST)
    with pytest.raises(ValueError, match="the protocol is for the log"):
        evaluate_ranking(table, TEST, EVERY.protocol())
    with pytest.raises(ValueError, match="cuts and batch size"):
        evaluate_ranking(table, TEST, ks=(0,))
    with pytest.raises(ValueError, match="cuts and batch size"):
        evaluate_ranking(table, TEST, batch_size=0)
    with pytest.raises(ValueError, match="served list cannot be ranked"):
        evaluate_ranking(Lists([], N), TEST, TEST.protocol(SampledNegatives(3)))
    ordered = leave_one_out_queries(replace(LOG, time_unit="order")).test
    with pytest.raises(ValueError, match="no time of the query can be shown"):
        evaluate_ranking(table, ordered, ordered.protocol(query_time_visible=True))
    assert "how many cannot be said" in " ".join(evaluate_ranking(table, ordered).notes())


def test_cuts_beyond_the_catalogue_are_fine() -> None:
    report: RankingReport = evaluate_ranking(ByUser(TABLE), TEST, ks=(5, 1000))
    assert report.means()["hr@1000"] == 1.0
    assert report.lists.shape == (120, N)
    assert "coverage@1000" not in report.metrics()
