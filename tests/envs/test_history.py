"""The ring of consumed items against a plain list a user."""

import numpy as np
import pytest
import torch

from recgym.arrays import from_numpy, to_numpy
from recgym.envs.history import HistoryRing
from recgym.simulators import Visit
from recgym.types import History

N, F = 11, 2
Event = tuple[int, tuple[float, ...], float]


def assert_window(ring: HistoryRing, lists: list[list[Event]]) -> None:
    """The window equals the last T events of each list, right-aligned."""
    length = ring.length
    window = ring.window()
    items, feedback, time_s, mask = (to_numpy(part) for part in window)
    last_items, last_feedback = (to_numpy(part) for part in ring.last())
    for user, events in enumerate(lists):
        kept = events[-length:]
        pad = length - len(kept)
        assert items[user].tolist() == [N] * pad + [item for item, _, _ in kept]
        assert mask[user].tolist() == [False] * pad + [True] * len(kept)
        assert time_s[user].tolist() == [0.0] * pad + [time for _, _, time in kept]
        assert feedback[user].tolist() == [[0.0] * F] * pad + [list(given) for _, given, _ in kept]
        newest = kept[-1] if kept else (N, (0.0,) * F, 0.0)
        assert (last_items[user], tuple(last_feedback[user])) == newest[:2]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize(("slate_size", "length"), [(1, 1), (1, 4), (2, 2), (2, 5), (3, 3), (3, 7)])
def test_random_sequences_against_lists(slate_size: int, length: int, device: str) -> None:
    rng = np.random.default_rng(slate_size * 10 + length)
    users = 6
    ring = HistoryRing.empty(users, length, F, N, device)
    lists: list[list[Event]] = [[] for _ in range(users)]
    for step in range(30):
        slate = rng.integers(N, size=(users, slate_size))
        feedback = (
            rng.integers(-1, 3, size=(users, slate_size, F)) * (rng.random((users, slate_size, 1)) < 0.5)
        ).astype(np.float32)
        now = rng.random(users) + step
        ring.append(from_numpy(slate, device), from_numpy(feedback, device), from_numpy(now, device))
        for user in range(users):
            for position in range(slate_size):
                given = tuple(float(x) for x in feedback[user, position])
                if any(given):
                    lists[user].append((int(slate[user, position]), given, float(now[user])))
        if step % 7 == 3:
            rows = np.flatnonzero(rng.random(users) < 0.4)
            width = int(rng.integers(0, length + 3))
            history = random_history(rng, len(rows), width) if step % 2 else None
            ring.write(from_numpy(rows, device), on_device(history, device))
            for index, row in enumerate(rows):
                lists[row] = [] if history is None else events_of(history, index)
        assert_window(ring, lists)


def random_history(rng: np.random.Generator, users: int, width: int) -> History:
    """Right-aligned records of random length."""
    mask = np.arange(width) >= rng.integers(0, width + 1, size=(users, 1))
    items = np.where(mask, rng.integers(N, size=(users, width)), N)
    feedback = rng.integers(1, 4, size=(users, width, F)).astype(np.float32) * mask[..., None]
    times = np.sort(-rng.random((users, width)), axis=1) * mask
    return History(items, feedback.astype(np.float32), times, mask)


def on_device(history: History | None, device: str) -> History | None:
    return None if history is None else History(*(from_numpy(part, device) for part in history))


def events_of(history: History, row: int) -> list[Event]:
    kept = np.flatnonzero(to_numpy(history.mask)[row])
    return [
        (int(history.items[row, i]), tuple(float(x) for x in history.feedback[row, i]), float(history.time_s[row, i]))
        for i in kept
    ]


def test_a_slate_that_was_passed_over_leaves_no_event() -> None:
    ring = HistoryRing.empty(1, 3, F, N, "cpu")
    ring.append(torch.tensor([[4, 5]]), torch.zeros(1, 2, F), torch.tensor([1.0], dtype=torch.float64))
    assert not bool(ring.window().mask.any())


def test_negative_feedback_is_feedback() -> None:
    ring = HistoryRing.empty(1, 3, F, N, "numpy")
    ring.append(np.array([[4]]), np.array([[[-1.0, 0.0]]], dtype=np.float32), np.array([1.0]))
    assert ring.window().items.tolist() == [[N, N, 4]]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("length", [2, 5, 9])
def test_visits_between_slates_against_lists(length: int, device: str) -> None:
    """Visits of up to 30 events, longer than the window and than what the ring has to spare without them."""
    rng, users, longest = np.random.default_rng(length), 5, 30
    ring = HistoryRing.empty(users, length, F, N, device, longest)
    lists: list[list[Event]] = [[] for _ in range(users)]
    for step in range(25):
        rows = np.flatnonzero(rng.random(users) < 0.6)
        count = rng.integers(1, longest + 1, size=rows.size)
        mask = np.arange(longest) < count[:, None]
        items = np.where(mask, rng.integers(N, size=mask.shape), N)
        feedback = (rng.integers(1, 3, size=(*mask.shape, F)) * mask[..., None]).astype(np.float32)
        after = np.cumsum(np.ones(mask.shape), axis=1) * mask
        visit = Visit(*(from_numpy(part, device) for part in (items, feedback, after, mask, after.max(1, initial=0))))
        start = np.full(rows.size, 100.0 * step)
        ring.append_visit(*(from_numpy(rows, device), visit, from_numpy(start, device), from_numpy(count, device)))
        for index, row in enumerate(rows):
            for event in range(count[index]):
                given = tuple(float(x) for x in feedback[index, event])
                lists[row].append((int(items[index, event]), given, 100.0 * step + event + 1))
        slate = rng.integers(N, size=(users, 1))
        now = np.full(users, 100.0 * step + 50)
        ring.append(*(from_numpy(part, device) for part in (slate, np.ones((users, 1, F), dtype=np.float32), now)))
        for user in range(users):
            lists[user].append((int(slate[user, 0]), (1.0,) * F, 100.0 * step + 50))
        assert_window(ring, lists)
