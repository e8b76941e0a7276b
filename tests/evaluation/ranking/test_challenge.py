"""The challenge's measures of a whole report; their known answers are in tests/truth/test_ranking.py."""

import numpy as np
import pytest
import torch

from recgym.evaluation import challenge_metrics, evaluate_ranking, make_queries
from tests.evaluation.ranking.controls import Fixed, Lists, log_of

LOG = log_of([(0, 5, 0.0, None, None, 1), *((0, item, 1.0, None, 1, 1) for item in (0, 1, 2))], 1, 6)
BEFORE, AFTER = (LOG.with_frame(LOG.frame.filter(LOG.frame["time_s"] == time)) for time in (0.0, 1.0))
QUERIES = make_queries(LOG, BEFORE, AFTER, "by hand")


def test_of_scores() -> None:
    report = evaluate_ranking(Fixed(torch.tensor([6.0, 1.0, 4.0, 5.0, 3.0, 9.0])), QUERIES, ks=(3,))  # 0 3 2 4 1
    found = challenge_metrics(report, np.array([0, 1, 2, 1, 0, 0]))
    assert found["recsys2018_r_precision"].mean == pytest.approx(2 / 3)
    assert found["recsys2018_r_precision_with_artists"].mean == pytest.approx((2 + 0.25 * 3) / 3)
    assert found["recsys2018_clicks"].mean == 0
    assert found["recsys2018_ndcg"].mean == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(5)) / (2 + 1 / np.log2(3)))


def test_of_served_lists() -> None:
    lists = Lists([[5, 3, 0, 4, 2, 1]], 6)
    with pytest.raises(ValueError, match="lists of 6 items, found 3"):
        challenge_metrics(evaluate_ranking(lists, QUERIES, ks=(3,)))
    found = challenge_metrics(evaluate_ranking(lists, QUERIES, ks=(6,)))
    assert found["recsys2018_r_precision"].mean == pytest.approx(1 / 3)
