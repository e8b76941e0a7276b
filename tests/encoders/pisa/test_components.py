"""Components against plain sums over each user's past."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from recgym.encoders.activation import Association, spreading
from recgym.encoders.pisa.components import components_to_train, recall, spread_within
from recgym.encoders.pisa.sessions import SessionHistories
from tests.encoders.pisa.examples import DAY, SMALL, histories, small_log


def association_of(found: SessionHistories) -> Association:
    there = found.held < found.num_items
    session = torch.arange(len(there))[:, None].expand(there.shape)[there]
    return Association.of_sessions(found.held[there].numpy(), session.numpy(), found.num_items)


def levels_before(found: SessionHistories, session: int, moment_s: float) -> dict[int, float]:
    """The softmax of base levels by all that the owner of a session consumed before it."""
    owner = int(found.owner[session])
    begin, end = int(found.first_event[found.first_session[owner]]), int(found.first_event[session])
    total: dict[int, float] = {}
    for event in range(begin, end):
        age = max(moment_s - float(found.time_s[event]), 1.0)
        total[int(found.items[event])] = total.get(int(found.items[event]), 0.0) + age**-SMALL.decay
    whole = sum(total.values())
    return {item: value / whole for item, value in total.items()}


def same(found: Tensor, wanted: list[float]) -> None:
    assert found.tolist() == pytest.approx(wanted, rel=2e-4, abs=1e-6)


def test_base_levels_and_favourites_are_those_at_the_start_of_the_next_session() -> None:
    found = histories(small_log())
    known = components_to_train(found, association_of(found), SMALL)
    for session in found.followed.nonzero()[:, 0].tolist():
        levels = levels_before(found, session + 1, float(found.start_s[session + 1]))
        same(known.level[session], [levels.get(item, 0.0) for item in found.held[session].tolist()])
        same(known.known[session + 1], [levels.get(item, 0.0) for item in found.held[session + 1].tolist()])
        best = sorted(levels.values(), reverse=True)[: SMALL.favourites]
        same(known.favour[session], best + [0.0] * (SMALL.favourites - len(best)))
        for item, weight in zip(known.favourites[session].tolist(), known.favour[session].tolist(), strict=True):
            assert levels.get(item, 0.0) == pytest.approx(weight, rel=2e-4)


def test_spreading_and_shared_items_are_plain_sums() -> None:
    found = histories(small_log())
    table = association_of(found)
    dense = torch.zeros((found.num_items + 1, found.num_items + 1))
    row = torch.repeat_interleave(table.start.diff())
    dense[row, table.items] = table.values
    known = components_to_train(found, table, SMALL)
    for session, held in enumerate(found.held.tolist()):
        used = [item for item in held if item < found.num_items]
        lonely = not found.followed[session] and (session == 0 or not found.followed[session - 1])
        same(known.spread[session], [0.0 if lonely else float(dense[item, used].sum()) for item in held])
        before = found.held[session - 1].tolist() if session and found.followed[session - 1] else []
        assert known.shared[session].tolist() == [item in before and item < found.num_items for item in held]


def test_spreading_within_sessions_is_spreading() -> None:
    found = histories(small_log())
    table = association_of(found)
    wanted = spreading(table, found.held, found.held, found.held < found.num_items)
    torch.testing.assert_close(spread_within(table, found.held), wanted)


def test_logarithm_then_softmax_is_what_levels_are() -> None:
    """Two items, 3 and 1 events of one age: 3/4 and 1/4, and not the softmax of 3 and 1."""
    items, user = torch.tensor([0, 0, 0, 1, 1]), torch.zeros(5, dtype=torch.int64)
    opens = torch.tensor([True, True, True, True, False])
    one = SessionHistories.of(items, torch.zeros(5).double(), user, opens, 1, 3, 2)
    found = recall(one, torch.tensor([3]), torch.tensor([DAY]).double(), torch.tensor([[1, 0, 2, 3]]), 4, 0.5)
    same(found.levels[0], [2 / 5, 3 / 5, 0.0, 0.0])
    assert found.top.items.tolist() == [[0, 1, 3, 3]]
    assert abs(float(found.levels[0, 1]) - 1 / (1 + math.exp(2 - 3))) > 0.1


def test_what_is_not_used_is_not_made() -> None:
    found = histories(small_log())
    bare = components_to_train(found, association_of(found), dataclasses.replace(SMALL.session_sasrec(), session=5))
    assert not bare.level.any()
    assert not bare.spread.any()
    assert (bare.favourites == found.num_items).all()


def test_long_histories_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = histories(small_log())
    whole = components_to_train(found, association_of(found), SMALL)
    monkeypatch.setattr("recgym.encoders.pisa.components._CELLS", 100)
    parts = components_to_train(found, association_of(found), SMALL)
    for part, wanted in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, wanted)
