"""Sessions and windows against plain loops."""

import polars as pl
import pytest
import torch

from recgym.data import InteractionLog
from recgym.encoders.pisa import SessionHistories, SessionTimes
from tests.encoders.pisa.examples import histories, history_of, small_log


def _plain(log: InteractionLog, longest: int) -> list[list[list[int]]]:
    """The first distinct items of each session of each user."""
    users: list[list[list[int]]] = [[] for _ in range(log.n_users)]
    newest = [None] * log.n_users
    for user, session, item in log.frame.select("user", "session", "item").iter_rows():
        if newest[user] != session:
            users[user].append([])
            newest[user] = session
        if item not in users[user][-1]:
            users[user][-1].append(item)
    return [[session[:longest] for session in sessions] for sessions in users]


@pytest.mark.parametrize("longest", [2, 5, 9])
def test_sessions_hold_their_first_distinct_items(longest: int) -> None:
    log = small_log()
    found = histories(log, longest)
    wanted = _plain(log, longest)
    assert found.first_session.diff().tolist() == [len(sessions) for sessions in wanted]
    flat = [session for sessions in wanted for session in sessions]
    assert [[item for item in row if item < log.n_items] for row in found.held.tolist()] == flat
    assert found.start_s.tolist() == log.frame.group_by("session", maintain_order=True).first()["time_s"].to_list()


def test_an_item_that_a_session_holds_twice_counts_once() -> None:
    items = torch.tensor([3, 1, 3, 2, 1, 3, 3])
    user = torch.tensor([0, 0, 0, 0, 2, 2, 2])
    opens = torch.tensor([True, False, False, False, True, False, True])
    found = SessionHistories.of(items, torch.arange(7.0).double(), user, opens, 3, 4, 2)
    assert found.held.tolist() == [[3, 1], [1, 3], [3, 4]]
    assert found.owner.tolist() == [0, 2, 2]
    assert found.first_session.tolist() == [0, 1, 1, 3]
    assert found.followed.tolist() == [False, True, False]


@pytest.mark.parametrize(("window", "stride"), [(3, 1), (3, 2), (4, 3), (20, 5), (2, 7)])
def test_windows_make_every_session_but_the_first_a_target(window: int, stride: int) -> None:
    found = histories(small_log())
    rows = found.windows(window, stride)
    none = len(found.owner)
    assert rows.shape[1] == window + 2
    targets = set()
    for row in rows.tolist():
        inside = [session for session in row[1:] if session < none]
        assert inside == list(range(inside[0], inside[-1] + 1))
        assert row[1:] == inside + [none] * (window + 1 - len(inside))
        owner = found.owner[inside[0]]
        assert all(found.owner[session] == owner for session in inside)
        opens = inside[0] == found.first_session[owner]
        assert row[0] == (none if opens else inside[0] - 1)
        targets |= set(inside[1:])
    wanted = set(range(none)) - set(found.first_session[:-1][found.first_session.diff() > 0].tolist())
    assert (targets == wanted) == (stride <= window or window >= 9)
    last = {int(row[row < none][-1]) for row in rows[:, 1:]}
    assert set((found.first_session[1:][found.first_session.diff() > 1] - 1).tolist()) <= last


def test_newest_sessions_are_what_a_window_ends_with() -> None:
    found = histories(small_log())
    none = len(found.owner)
    for user, row in enumerate(found.newest(4).tolist()):
        sessions = list(range(int(found.first_session[user]), int(found.first_session[user + 1])))
        assert [session for session in row[1:] if session < none] == sessions[-4:]
        assert row[0] == (sessions[-5] if len(sessions) > 4 else none)


def test_sessions_of_a_log_are_found_again_by_their_times() -> None:
    log = small_log()
    history = history_of(log)
    numbers = SessionTimes.of(log).numbers(torch.arange(log.n_users), history.time_s)
    names = log.frame["session"].to_list()
    found = [numbers[user][history.mask[user]].tolist() for user in range(log.n_users)]
    flat = [number for row in found for number in row]
    pairs = set(zip(flat, names, strict=True))
    assert len(pairs) == len(set(flat)) == len(set(names))


def test_events_without_a_session_are_refused() -> None:
    log = small_log()
    bare = log.with_frame(log.frame.with_columns(session=pl.lit(None, dtype=pl.Int64)))
    with pytest.raises(ValueError, match="each was expected to belong to a session"):
        histories(bare)
    with pytest.raises(ValueError, match=r"found item id 9 in a history, expected 0\.\.3"):
        SessionHistories.of(
            torch.tensor([9]), torch.zeros(1).double(), torch.tensor([0]), torch.tensor([True]), 1, 4, 2
        )
