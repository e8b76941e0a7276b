"""P-Top, UP-CF and TIFU-KNN against sums written out in loops."""

import math
from collections import Counter

import numpy as np
import pytest

from recgym.encoders.repeat import PersonalTopConfig, TIFUKNNConfig, UPCFConfig
from tests.encoders.repeat.common import N, made_up, scores, sequences


def test_p_top_by_hand() -> None:
    # Popularity: 5 three times, 2 and 0 twice, 1 once.
    model = PersonalTopConfig().fit(sequences([[5, 2, 0]], [[5, 2], [5, 0, 1]]))
    found = scores(model, [[1, 2], [1, 0], [1, 7]])[0]
    assert np.argsort(-found, kind="stable")[:5].tolist() in ([1, 0, 2, 7, 5], [1, 2, 0, 7, 5])
    assert found[1] == 1.0
    assert found[7] == pytest.approx(0.25)
    assert (np.delete(found, [1, 0, 2, 7]) <= 0).all()
    assert found[5] > found[8]


def test_a_session_counts_an_item_once() -> None:
    model = PersonalTopConfig().fit(sequences([[0]]))
    found = scores(model, [[3, 3, 3, 4], [4]])[0]
    assert found[4] > found[3]


def test_decay_prefers_what_is_recent() -> None:
    log, past = sequences([[0]]), [[3], [3], [4], [1]]
    remembering, forgetting = (scores(PersonalTopConfig(decay).fit(log), past)[0] for decay in (1.0, 0.5))
    assert np.argmax(remembering) == 3
    # 3: 1/8 + 1/4 = 0.375; 4: 0.5; 1: 1.
    assert np.argsort(-forgetting)[:3].tolist() == [1, 4, 3]


def test_forgetting_never_ties_what_is_long_ago() -> None:
    past = [[item] for item in (7, 3, *[1] * 400)]
    found = scores(PersonalTopConfig(0.1).fit(sequences([[0]])), past)[0]
    assert found[1] > max(found[3], found[7]) >= min(found[3], found[7]) > found[0]


def test_pauses_cut_sessions() -> None:
    model = UPCFConfig(recent=1, pause_s=30.0).fit(sequences([[0]]))  # items are a minute apart: each is a session
    found = scores(model, [[3, 4]])[0]
    assert found[4] == 1.0
    assert found[3] <= 0
    together = UPCFConfig(recent=1, pause_s=90.0).fit(sequences([[0]]))
    assert scores(together, [[3, 4]])[0][3] == 1.0


def _recent(sessions: list[list[int]], r: int) -> Counter[int]:
    newest = sessions[-r:]
    return Counter({item: sum(item in s for s in newest) / len(newest) for s in newest for item in s})


@pytest.mark.parametrize("rows", [2, 1000])
def test_up_cf_against_loops(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recgym.encoders.repeat.upcf._USERS", rows)
    users, r, q, a = made_up(1), 2, 3.0, 0.25
    model = UPCFConfig(recent=r, locality=q, asymmetry=a).fit(sequences(*users))
    asked = users[4] + [[0, 5]]  # user 4, a session later
    mine = {item for session in asked for item in session}
    expected = np.zeros(N)
    for item, share in _recent(asked, r).items():
        expected[item] += share
    for other, sessions in enumerate(users):
        theirs = {item for session in sessions for item in session}
        if other == 4 or not mine & theirs:
            continue
        weight = len(mine & theirs) / (len(mine) ** a * len(theirs) ** (1 - a))
        for item, share in _recent(sessions, r).items():
            expected[item] += weight**q * share
    found = scores(model, asked, first_user=4)[0]
    np.testing.assert_allclose(found[expected > 0], expected[expected > 0], rtol=1e-5)
    assert (found[expected == 0] <= 0).all()


def _tifu_vector(sessions: list[list[int]], m: int, r_b: float, r_g: float) -> np.ndarray:
    """Groups of equal size from the end, the first may be smaller; the paper's equations step by step."""
    if not sessions:
        return np.zeros(N)
    size = math.ceil(len(sessions) / m)
    groups: list[list[list[int]]] = []
    rest = list(sessions)
    while rest:
        groups.insert(0, rest[-size:])
        rest = rest[:-size]
    vectors = []
    for group in groups:
        v = np.zeros(N)
        for j, basket in enumerate(group, 1):
            v[sorted(set(basket))] += r_b ** (len(group) - j)
        vectors.append(v / len(group))
    return np.asarray(sum(r_g ** (len(groups) - g) * v for g, v in enumerate(vectors, 1)) / len(groups))


@pytest.mark.parametrize("rows", [3, 1000])
def test_tifu_knn_against_loops(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recgym.encoders.repeat.tifu_knn._USERS", rows)
    users, m, k, alpha = made_up(2), 3, 4, 0.6
    model = TIFUKNNConfig(neighbours=k, groups=m, within=0.8, between=0.5, alpha=alpha).fit(sequences(*users))
    table = np.stack([_tifu_vector(sessions, m, 0.8, 0.5) for sessions in users])
    np.testing.assert_allclose(model.vectors.toarray(), table, rtol=1e-5)
    me = next(row for row, sessions in enumerate(users) if len(sessions) >= 4)
    asked = users[me] + [[0, 5]]
    mine = _tifu_vector(asked, m, 0.8, 0.5)
    others = [row for row, sessions in enumerate(users) if sessions and row != me]
    nearest = sorted(others, key=lambda row: float(((table[row] - mine) ** 2).sum()))[:k]
    expected = alpha * mine + (1 - alpha) * table[nearest].mean(0)
    found = scores(model, asked, first_user=me)[0]
    np.testing.assert_allclose(found[expected > 0], expected[expected > 0], rtol=1e-4)
    assert (found[expected == 0] <= 0).all()


def test_tifu_knn_of_few_users_takes_those_there_are() -> None:
    model = TIFUKNNConfig(neighbours=300, alpha=0.5).fit(sequences([[1]], [[2]], []))
    found = scores(model, [[1]])[0]
    assert found[1] == pytest.approx(0.5)
    assert found[2] == pytest.approx(0.5)  # the one other user with events; not user 0's own row


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="decay must be above 0"):
        PersonalTopConfig(decay=0.0)
    with pytest.raises(ValueError, match="pause"):
        TIFUKNNConfig(pause_s=0.0)
    with pytest.raises(ValueError, match="alpha must be in"):
        TIFUKNNConfig(alpha=1.5)
    with pytest.raises(ValueError, match="locality"):
        UPCFConfig(locality=0.0)
