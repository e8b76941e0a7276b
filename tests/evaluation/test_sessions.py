"""Sessions as queries: the split, repeats and new items apart, how much of the lists is known."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from recgym.data import InteractionLog
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.evaluation.ranking import Targets, evaluate_ranking, paired_difference
from recgym.evaluation.sessions import evaluate_sessions, repetition, session_split
from recgym.types import History

N = 12


def a_log(*users: list[list[int]]) -> InteractionLog:
    """Users as lists of sessions, a day apart."""
    rows, number = [], 0
    for user, sessions in enumerate(users):
        for day, session in enumerate(sessions):
            rows += [(user, item, 86_400.0 * day + 60.0 * place, number) for place, item in enumerate(session)]
            number += 1
    frame = pl.DataFrame(rows, schema=["user", "item", "time_s", "session"], orient="row").with_columns(
        slate=pl.lit(None, dtype=pl.Int64), position=pl.lit(None, dtype=pl.Int32),
        propensity=pl.lit(None, dtype=pl.Float64), play=pl.lit(1.0, dtype=pl.Float32),
    )  # fmt: skip
    schema = FeedbackSchema((Channel("play", ChannelKind.BINARY),))
    return InteractionLog(
        frame, schema, pl.Series("id", np.arange(len(users))), pl.Series("id", np.arange(N)), source="test"
    )


@dataclass
class Fixed:
    """The same scores for everyone, and what it was told."""

    best_first: list[int]
    num_items: int = N
    window: int | None = None
    told: list[tuple[list[int], float]] = field(default_factory=list)

    def scores(self, users: Tensor, history: History, query_time_s: Tensor | None) -> Tensor:
        assert query_time_s is not None
        for items, mask, when in zip(history.items, history.mask, query_time_s.tolist(), strict=True):
            self.told.append((items[mask].tolist(), when))
        row = torch.full((self.num_items,), -torch.inf)
        row[self.best_first] = torch.linspace(2, 1, len(self.best_first))
        return row.repeat(len(users), 1)


LOG = a_log([[0, 1], [2], [3, 0], [4, 1], [0, 5]], [[6], [7]], [[8], [9], [8, 9], [10, 8]])


def test_last_sessions_are_tested_on_and_those_before_validate() -> None:
    split = session_split(LOG, test=2, validation=1)
    assert split.train.frame["item"].to_list() == [0, 1, 2, 6, 7, 8]  # user 1 has too few sessions
    assert split.validation.users.tolist() == [0, 2]
    assert split.validation.targets.tolist() == [0, 3, 9]
    assert split.test.users.tolist() == [0, 0, 2, 2]
    assert split.test.targets.tolist() == [1, 4, 0, 5, 8, 9, 8, 10]
    assert split.test.popularity.tolist() == np.bincount([0, 1, 2, 6, 7, 8], minlength=N).tolist()


def test_histories_hold_all_before_and_the_question_tells_when_it_is_put() -> None:
    model = Fixed(list(range(N)))
    evaluate_sessions(model, session_split(LOG, test=2, validation=1).test)
    assert sorted(model.told, key=str) == sorted(
        [
            ([0, 1, 2, 3, 0], 3 * 86_400.0), ([0, 1, 2, 3, 0, 4, 1], 4 * 86_400.0),
            ([8, 9], 2 * 86_400.0), ([8, 9, 8, 9], 3 * 86_400.0),
        ],
        key=str,
    )  # fmt: skip


def test_metrics_by_hand() -> None:
    # One query: history 0 1 2, targets 1 (repeated) and 5 (new).
    log = a_log([[0, 1], [2], [1, 5]])
    report = evaluate_sessions(Fixed([5, 0, 3, 1, 4, 2]), session_split(log).test, k=4)
    found = report.means()
    gain = 1 / np.log2(np.arange(2, 7))
    assert found["ndcg@4"] == pytest.approx((gain[0] + gain[3]) / (gain[0] + gain[1]))
    assert found["ndcg@4_repeated"] == pytest.approx(gain[3])
    assert found["ndcg@4_explored"] == pytest.approx(1.0)
    assert (found["recall@4"], found["recall@4_repeated"], found["recall@4_explored"]) == (1.0, 1.0, 1.0)
    assert found["repeats@4"] == pytest.approx(2 / 4)  # 0 and 1 of 5, 0, 3, 1
    assert found["repeats_bias@4"] == pytest.approx(0.0)  # one of two targets is a repeat
    # Item 0, 1 were had once in training, all others never: percentiles 11/12 and 5/12.
    assert found["popularity@4"] == pytest.approx((2 * 11 / 12 + 2 * 5 / 12) / 4)
    assert found["popularity_bias@4"] == pytest.approx((2 * 11 / 12 + 2 * 5 / 12) / 4 - (11 / 12 + 5 / 12) / 2)


def test_a_list_of_known_items_alone_finds_nothing_new() -> None:
    report = evaluate_sessions(Fixed([0, 1, 2]), session_split(a_log([[0, 1], [2], [1, 5]])).test, k=4)
    found = report.means()
    assert found["ndcg@4_explored"] == 0.0
    assert found["repeats@4"] == 1.0  # of the three items that there are
    assert found["repeats_bias@4"] == pytest.approx(0.5)


def test_what_is_known_depends_on_the_query() -> None:
    """Item 4 is new to user 0 in the first test session and a repeat in the second."""
    log = a_log([[0], [1], [4], [4, 2]])
    report = evaluate_sessions(Fixed([4, 2]), session_split(log, test=2).test, k=2)
    found = repetition(report.ranking, 2)
    assert found.listed.tolist() == [0.0, 0.5]
    assert found.consumed.tolist() == [0.0, 0.5]
    with pytest.raises(ValueError, match="the length of the lists"):
        repetition(report.ranking, 3)


def test_repeats_agree_with_sets() -> None:
    rng = np.random.default_rng(0)
    log = a_log(*[[rng.permutation(N)[: rng.integers(1, 5)].tolist() for _ in range(6)] for _ in range(20)])
    queries = session_split(log, test=2).test
    report = evaluate_sessions(Fixed(rng.permutation(N).tolist()), queries, k=5)
    found = repetition(report.ranking, 5)
    for q in range(len(queries)):
        past = set(queries.events.items[queries.start[q] : queries.end[q]].tolist())
        listed = report.ranking.lists[q, :5].tolist()
        wanted = queries.targets[queries.target_start[q] : queries.target_start[q + 1]].tolist()
        assert found.listed[q] == pytest.approx(sum(item in past for item in listed) / 5)
        assert found.consumed[q] == pytest.approx(sum(item in past for item in wanted) / len(wanted))


def test_seen_items_stay_and_reports_can_be_compared() -> None:
    queries = session_split(LOG).test
    first, second = (evaluate_sessions(Fixed(order), queries, k=3) for order in ([8, 0, 5], [10, 1, 2]))
    assert first.ranking.protocol.seen.value == "kept"
    less = paired_difference(first.ranking, second.ranking)["ndcg@3"]
    assert less.mean == pytest.approx(first.means()["ndcg@3"] - second.means()["ndcg@3"])
    kept = evaluate_sessions(Fixed([9, 8, 0]), queries, k=3).means()["ndcg@3"]
    masked = evaluate_ranking(Fixed([9, 8, 0]), queries, queries.protocol(query_time_visible=True), ks=(3,))
    assert masked.means(Targets.ALL)["ndcg@3"] > kept  # without item 9, which user 2 knows, item 8 comes first


def test_report_as_json_and_table() -> None:
    report = evaluate_sessions(Fixed([8, 0, 5]), session_split(LOG).test, k=3, name="fixed")
    found = report.to_json()
    assert found["repeated_share"] == pytest.approx(report.ranking.repeated.mean())
    assert set(found["metrics"]) == set(report.per_query())
    assert report.table().row_count == len(report.per_query())
    assert "were in the history" in found["notes"][0]


def test_what_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least one session each"):
        session_split(LOG, test=0)
    with pytest.raises(ValueError, match="no user has more than 6 sessions"):
        session_split(LOG, test=3, validation=3)
    without = LOG.with_frame(LOG.frame.with_columns(session=pl.lit(None, dtype=pl.Int64)))
    with pytest.raises(ValueError, match="rows without a session"):
        session_split(without)
    torn = LOG.with_frame(LOG.frame.with_columns(session=pl.col("session") % 2))
    with pytest.raises(ValueError, match="without a break"):
        session_split(torn)
