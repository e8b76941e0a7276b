"""Histories against a slow and obvious reference."""

import numpy as np
import pytest
import torch

from recgym.data import InteractionLog, histories, history_before, iter_histories
from recgym.seeding import make_generator
from recgym.types import History
from tests.data.samples import random_log


def reference(log: InteractionLog, user: int, before: float, window: int) -> list[tuple[int, list[float], float]]:
    """The last ``window`` consumptions of one user before a time, one row after the other."""
    events = []
    for row, consumed in zip(log.frame.iter_rows(named=True), log.consumed, strict=True):
        if row["user"] == user and row["time_s"] < before and consumed:
            feedback = [0.0 if row[name] is None else row[name] for name in log.schema.names]
            events.append((row["item"], feedback, row["time_s"]))
    return events[-window:] if window else []


def check_row(history: History, index: int, expected: list[tuple[int, list[float], float]], padding: int) -> None:
    width = history.items.shape[1]
    blank = width - len(expected)
    assert history.mask[index].tolist() == [False] * blank + [True] * len(expected)
    assert history.items[index].tolist() == [padding] * blank + [item for item, _, _ in expected]
    assert history.time_s[index].tolist() == [0.0] * blank + [time for _, _, time in expected]
    feedback = torch.tensor([[0.0, 0.0]] * blank + [values for _, values, _ in expected], dtype=torch.float32)
    assert torch.equal(history.feedback[index], feedback.reshape(width, 2))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("window", [1, 3, 50])
def test_histories_at_the_end(seed: int, window: int) -> None:
    log = random_log(seed)
    history = histories(log, window)
    assert history.items.shape == (log.n_users, window)
    assert (history.items.dtype, history.feedback.dtype, history.time_s.dtype) == (
        torch.int64,
        torch.float32,
        torch.float64,
    )
    for user in range(log.n_users):
        check_row(history, user, reference(log, user, np.inf, window), log.n_items)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("window", [1, 4])
def test_history_before_a_time_is_strictly_before_it(seed: int, window: int) -> None:
    log = random_log(seed)
    generator = np.random.default_rng(seed)
    users = generator.integers(log.n_users, size=60)
    times = generator.integers(-1, 42, size=60).astype(float)
    times[:2] = (np.inf, -np.inf)
    history = history_before(log, users, times, window)
    for index, (user, time) in enumerate(zip(users, times, strict=True)):
        check_row(history, index, reference(log, int(user), float(time), window), log.n_items)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_a_pass_has_each_event_once_in_order(window: int, device: str) -> None:
    log = random_log(2, n_users=40, slates=False)  # a user's times are distinct, so that stretches can be put in order
    stretches: dict[int, list[tuple[float, list[int]]]] = {}
    sizes = []
    for batch in iter_histories(log, window, 7, make_generator(0, "batches", device=device)):
        assert batch.history.mask.any(dim=0).all(), "no column is padding only"
        sizes.append(len(batch.users))
        for row, user in enumerate(batch.users.tolist()):
            mask = batch.history.mask[row]
            assert torch.equal(mask, mask.sort().values), "right-aligned"
            stretches.setdefault(user, []).append(
                (batch.history.time_s[row][mask][0].item(), batch.history.items[row][mask].tolist())
            )
    assert sum(size != 7 for size in sizes) <= 1
    for user in range(log.n_users):
        expected = [item for item, _, _ in reference(log, user, np.inf, 10**6)]
        parts = [items for _, items in sorted(stretches.get(user, []))]
        assert [item for part in parts for item in part] == expected
        assert all(len(part) == window for part in parts[1:])


def test_a_pass_is_decided_by_its_generator_and_wastes_little() -> None:
    log = random_log(4, n_users=200)
    runs = [
        [batch.users.tolist() for batch in iter_histories(log, 20, 16, make_generator(seed, "batches"))]
        for seed in (0, 0, 1)
    ]
    assert runs[0] == runs[1] != runs[2]
    masks = [batch.history.mask for batch in iter_histories(log, 20, 16, make_generator(0, "batches"))]
    assert sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks) > 0.85


def test_a_user_without_events_is_all_padding() -> None:
    log = random_log(0)
    empty = log.with_frame(log.frame.filter(log.frame["slate"].is_not_null() & ~log.consumed))
    history = histories(empty, 3)
    assert not history.mask.any()
    assert (history.items == log.n_items).all()
    assert not history_before(empty, np.array([0, 1]), np.array([1e9, 1e9]), 2).mask.any()
    assert list(iter_histories(empty, 3, 4, np.random.default_rng(0))) == []


def test_bad_arguments_are_refused() -> None:
    log = random_log(0)
    users, times = np.array([0]), np.array([1.0])
    with pytest.raises(ValueError, match="the window must be at least 1, found 0"):
        histories(log, 0)
    with pytest.raises(ValueError, match=r"queried users must be in 0\.\.11, found 12\.\.12"):
        history_before(log, np.array([12]), times, 2)
    with pytest.raises(ValueError, match="a queried time is NaN"):
        history_before(log, users, np.array([np.nan]), 2)
    with pytest.raises(ValueError, match="the batch size must be at least 1"):
        next(iter_histories(log, 2, 0, np.random.default_rng(0)))
