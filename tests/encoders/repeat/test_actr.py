"""ACTR-Repeat against the equations, item by item."""

import math

import numpy as np
import pytest
import torch

from recgym.encoders.repeat import ACTRRepeatConfig
from recgym.encoders.repeat.actr import association_of, item_vectors
from tests.encoders.repeat.common import DAY, N, made_up, scores, sequences


def _base(past: list[list[int]], asked_s: float, decay: float) -> dict[int, float]:
    sums: dict[int, float] = {}
    for number, session in enumerate(past):
        for place, item in enumerate(session):
            sums[item] = sums.get(item, 0.0) + (asked_s - number * DAY - 60.0 * place) ** -decay
    return {item: value / sum(sums.values()) for item, value in sums.items()}  # the softmax of a logarithm


@pytest.mark.parametrize("decay", [0.3, 0.5, 1.2])
def test_base_level_alone(decay: float) -> None:
    past = [[1, 2], [2, 3, 4], [4, 1]]
    found = scores(ACTRRepeatConfig(decay=decay).fit(sequences([[0]])), past, asked_s=3 * DAY)[0]
    expected = _base(past, 3 * DAY, decay)
    for item in range(N):
        assert found[item] == (pytest.approx(expected[item], rel=1e-4) if item in expected else -math.inf)


def test_what_was_never_had_is_never_recommended() -> None:
    model = ACTRRepeatConfig(spreading=1.0, matching=1.0).fit(sequences(*made_up(3)))
    found = scores(model, [[1, 2], [3]], [], asked_s=5 * DAY)
    assert np.isfinite(found[0]).nonzero()[0].tolist() == [1, 2, 3]
    assert (found[1] == -math.inf).all()


def test_the_time_of_the_question_counts() -> None:
    model = ACTRRepeatConfig().fit(sequences([[0]]))
    # Item 1 three times long ago, item 2 once just now: recency wins at first, frequency in the end.
    past = [[1], [1], [1], [2]]
    soon, late = (scores(model, past, asked_s=3 * DAY + after)[0] for after in (60.0, 100 * DAY))
    assert soon[2] > soon[1]
    assert late[1] > late[2]
    hidden = scores(model, past)[0]
    assert hidden[2] > hidden[1]  # a second after the newest event


def test_spreading_and_matching_by_the_newest_session() -> None:
    users = made_up(4, users=40)
    log = sequences(*users)
    past, asked = [[1, 2, 3], [4, 5], [2, 6]], 4 * DAY
    base = _base(past, asked, 0.5)
    table = association_of(log, 1200.0)
    dense = np.zeros((N, N))
    for i in range(N):
        dense[i, table.items[table.start[i] : table.start[i + 1]]] = table.values[table.start[i] : table.start[i + 1]]
    vectors = item_vectors(log, 4).numpy()
    last = past[-1]
    spread = {i: sum(dense[j, i] for j in last if j != i) for i in base}
    match = {i: max(sum(float(vectors[i] @ vectors[j]) for j in last if j != i), 0.0) for i in base}
    model = ACTRRepeatConfig(spreading=0.7, matching=0.4, width=4).fit(log)
    found = scores(model, past, asked_s=asked)[0]
    for i in base:
        expected = base[i] + 0.7 * spread[i] / sum(spread.values()) + 0.4 * match[i] / sum(match.values())
        assert found[i] == pytest.approx(expected, rel=1e-4)


def test_vectors_of_items_tell_companies_apart() -> None:
    log = sequences(*[[[0, 1, 2]] for _ in range(8)], *[[[6, 7, 8]] for _ in range(8)])
    vectors = item_vectors(log, 3)
    assert float(vectors[0] @ vectors[1]) == pytest.approx(1.0, abs=1e-4)
    assert float(vectors[0] @ vectors[6]) == pytest.approx(0.0, abs=1e-4)
    assert torch.equal(vectors[11], torch.zeros(vectors.shape[1])) or float(vectors[11].norm()) < 1e-3


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="spreading must not be negative"):
        ACTRRepeatConfig(spreading=-1.0)
