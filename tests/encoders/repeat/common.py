"""Small logs with sessions, and histories as a ranking gives them."""

import numpy as np
import torch

from recgym.encoders import Sequences
from recgym.encoders.baselines import Baseline
from recgym.types import History

N, DAY = 12, 86_400.0


def sequences(*users: list[list[int]], num_items: int = N, gap_s: float = DAY) -> Sequences:
    """Users as lists of sessions, a day apart, a minute from one item to the next."""
    items, times, start = [], [], [0]
    for sessions in users:
        for number, session in enumerate(sessions):
            items += session
            times += [number * gap_s + 60.0 * place for place in range(len(session))]
        start.append(len(items))
    return Sequences(np.array(items, np.int64), np.array(start, np.int64), num_items, np.array(times, np.float64))


def history(*users: list[list[int]], num_items: int = N, gap_s: float = DAY) -> History:
    """The same as right-aligned histories."""
    log = sequences(*users, num_items=num_items, gap_s=gap_s)
    longest = max(1, int(np.diff(log.start).max()))
    items = torch.full((len(users), longest), num_items)
    times = torch.zeros((len(users), longest), dtype=torch.float64)
    assert log.time_s is not None
    for row, (first, last) in enumerate(zip(log.start[:-1], log.start[1:], strict=True)):
        if last > first:
            items[row, first - last :] = torch.from_numpy(log.items[first:last])
            times[row, first - last :] = torch.from_numpy(log.time_s[first:last])
    return History(items, torch.ones((*items.shape, 1)), times, items < num_items)


def scores(model: Baseline, *users: list[list[int]], asked_s: float | None = None, first_user: int = 0) -> np.ndarray:
    """The scores for users ``first_user``, ``first_user + 1``, ..."""
    rows = torch.arange(len(users)) + first_user
    query = None if asked_s is None else torch.full((len(users),), asked_s, dtype=torch.float64)
    return model.scores(rows, history(*users, num_items=model.num_items), query).numpy()


def made_up(seed: int, users: int = 25, num_items: int = N) -> list[list[list[int]]]:
    """Users with up to six sessions of up to five distinct items."""
    rng = np.random.default_rng(seed)
    return [
        [rng.permutation(num_items)[: rng.integers(1, 6)].tolist() for _ in range(rng.integers(0, 7))]
        for _ in range(users)
    ]
