"""Activation against closed forms and a plain reference, user by user."""

import math
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.encoders.activation import (
    Association,
    base_level,
    item_sums,
    item_weights,
    partial_matching,
    retrieval_chance,
    retrieve,
    spreading,
    top_items,
)

DAY = 86_400.0


def histories(users: int, length: int, num_items: int, span_s: float = 1e8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random right-aligned histories of differing length with times of the size of Unix time."""
    rng = np.random.default_rng(3)
    items = torch.from_numpy(rng.integers(num_items, size=(users, length)))
    times = torch.from_numpy(1.5e9 + np.sort(rng.random((users, length)) * span_s, axis=1))
    mask = torch.arange(length) >= torch.from_numpy(rng.integers(length, size=users))[:, None]
    mask[0] = False
    return (
        torch.where(mask, items, num_items),
        torch.where(mask, times, 0.0),
        mask,
        torch.full((users,), 1.5e9 + span_s, dtype=torch.float64),
    )


def reference(items: Tensor, times: Tensor, mask: Tensor, moment: float, decay: float) -> dict[int, float]:
    """One user's base levels in double precision, one event at a time."""
    total: dict[int, float] = {}
    for item, time_s, there in zip(items.tolist(), times.tolist(), mask.tolist(), strict=True):
        if there:
            total[item] = total.get(item, 0.0) + max(moment - time_s, 1.0) ** -decay
    return {item: math.log(value) for item, value in total.items()}


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.3, 4.0])
@pytest.mark.parametrize("num_items", [7, 300, 100_000])
def test_base_level_is_the_plain_sum(decay: float, num_items: int) -> None:
    items, times, mask, moment = histories(150, 60, num_items)
    base = base_level(items, times, mask, moment, num_items, decay)
    for user in range(150):
        wanted = reference(items[user], times[user], mask[user], moment[user].item(), decay)
        found = dict(
            zip(items[user][base.newest[user]].tolist(), base.level[user][base.newest[user]].tolist(), strict=True)
        )
        assert found.keys() == wanted.keys()
        for item, level in wanted.items():
            assert found[item] == pytest.approx(level, rel=2e-6, abs=2e-5)
    assert torch.isinf(base.level[~mask]).all()
    assert not base.newest[~mask].any()
    assert int(base.newest.sum()) == sum(len(set(row[there].tolist())) for row, there in zip(items, mask, strict=True))


def test_closed_forms() -> None:
    """n events of one age: ln n - d ln age. Events 1, 4 and 16 s ago: ln(1 + 1/2 + 1/4)."""
    times = torch.tensor([[1e9] * 5, [1e9 + 84, 1e9 + 96, 1e9 + 99, 0.0, 0.0]], dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    moment = torch.tensor([1e9 + 100, 1e9 + 100], dtype=torch.float64)
    base = base_level(torch.zeros((2, 5), dtype=torch.int64), times, mask, moment, 3)
    assert base.level[0, 0].item() == pytest.approx(math.log(5) - 0.5 * math.log(100), rel=1e-6)
    assert base.level[1, 2].item() == pytest.approx(math.log(1.75), rel=1e-6)
    assert base.newest.tolist() == [[False] * 4 + [True], [False, False, True, False, False]]


def test_wrong_variants_fail() -> None:
    """Rounding Unix times to single precision first, or forgetting repeats, is told apart from the truth."""
    items, times, mask, moment = histories(40, 50, 5, span_s=3600.0)
    right = base_level(items, times, mask, moment, 5).level
    rounded = base_level(items, times.float().double(), mask, moment.float().double(), 5).level
    assert (right - rounded)[mask].abs().max() > 0.01, "an hour of Unix time is 28 steps of float32"
    last_only = -0.5 * (moment[:, None] - times).float().log()
    assert (right - last_only)[base_level(items, times, mask, moment, 5).newest].min() > -1e-5
    assert (right - last_only)[mask].max() > 1.0


def test_ten_thousand_events_over_a_century() -> None:
    """Levels hold in single precision from a second to a century, and for steep decay."""
    rng = np.random.default_rng(0)
    ages = np.sort(np.exp(rng.uniform(0, math.log(3.15e9), 10_000)))[::-1]
    items = rng.integers(50, size=10_000)
    items[:200], items[200:] = 50, items[200:]  # an item of long ago only
    times = torch.from_numpy(2e9 - ages)[None]
    mask = torch.ones((1, 10_000), dtype=torch.bool)
    for decay in (0.5, 2.0):
        base = base_level(
            torch.from_numpy(items)[None], times, mask, torch.tensor([2e9], dtype=torch.float64), 51, decay
        )
        wanted = reference(torch.from_numpy(items), times[0], mask[0], 2e9, decay)
        found = base.level[0][base.newest[0]]
        assert torch.isfinite(found).all()
        for item, level in zip(items[base.newest[0].numpy()].tolist(), found.tolist(), strict=True):
            assert level == pytest.approx(wanted[item], abs=1e-4)


def test_events_at_the_moment_itself_count_as_a_second_old() -> None:
    times = torch.tensor([[100.0, 100.0]], dtype=torch.float64)
    mask = torch.ones((1, 2), dtype=torch.bool)
    base = base_level(torch.tensor([[0, 0]]), times, mask, torch.tensor([100.0], dtype=torch.float64), 1)
    assert base.level[0, 0].item() == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="decay must not be negative, found -1"):
        base_level(torch.tensor([[0, 0]]), times, mask, torch.tensor([100.0], dtype=torch.float64), 1, -1.0)


def test_weights_are_a_softmax_over_items_not_events() -> None:
    items, times, mask, moment = histories(60, 40, 6)
    base = base_level(items, times, mask, moment, 6)
    weights = item_weights(base)
    assert not weights[~base.newest].any()
    assert not weights[0].any()
    for user in range(1, 60):
        levels = reference(items[user], times[user], mask[user], moment[user].item(), 0.5)
        total = sum(math.exp(level) for level in levels.values())
        for item, weight in zip(
            items[user][base.newest[user]].tolist(), weights[user][base.newest[user]].tolist(), strict=True
        ):
            assert weight == pytest.approx(math.exp(levels[item]) / total, rel=1e-4)
    best = top_items(items, weights, 3, 6)
    for user in range(60):
        levels = reference(items[user], times[user], mask[user], moment[user].item(), 0.5)
        order = sorted(levels, key=lambda item: -levels[item])[:3]
        assert best.items[user].tolist() == order + [6] * (3 - len(order))
    assert top_items(items, weights, 50, 6).items.shape == (60, 50)


def test_sums_over_the_events_of_an_item() -> None:
    items, _, _, _ = histories(300, 30, 9)
    values = torch.from_numpy(np.random.default_rng(0).random((300, 30))).float()
    found = item_sums(items, values, 9)
    same = items[:, :, None] == items[:, None]
    np.testing.assert_allclose(found.numpy(), (same * values[:, None]).sum(2).numpy(), rtol=1e-5)


def test_no_events_and_no_users() -> None:
    for users, length in ((3, 0), (0, 4), (2, 4)):
        base = base_level(
            torch.full((users, length), 9), torch.zeros((users, length), dtype=torch.float64),
            torch.zeros((users, length), dtype=torch.bool), torch.ones(users, dtype=torch.float64), 9,
        )  # fmt: skip
        assert base.level.shape == (users, length)
        assert not item_weights(base).any()


SESSIONS = [[0, 1, 2], [0, 1], [2, 3], [4], [0, 1, 1]]
ITEMS = np.array([item for session in SESSIONS for item in session])
NUMBERS = np.array([number for number, session in enumerate(SESSIONS) for _ in session])


def table(sessions: list[list[int]], n: int) -> np.ndarray:
    """Normalised co-occurrence by hand."""
    count = np.zeros((n, n))
    for session in sessions:
        for i in set(session):
            for j in set(session) - {i}:
                count[i, j] += 1
    degree = np.maximum(count.sum(1), 1e-9)
    scaled: np.ndarray = count / np.sqrt(degree[:, None] * degree[None])
    return scaled


def dense(association: Association) -> np.ndarray:
    out = np.zeros((association.num_items,) * 2)
    row = np.repeat(np.arange(association.num_items), np.diff(association.start.numpy()))
    out[row, association.items.numpy()] = association.values.numpy()
    return out


def test_association_counts_sessions() -> None:
    association = Association.of_sessions(ITEMS, NUMBERS, 6)
    np.testing.assert_allclose(dense(association), table(SESSIONS, 6), rtol=1e-6)
    assert dense(association)[0, 1] == pytest.approx(3 / math.sqrt(4 * 4)), "an item held twice counts once"
    kept = dense(Association.of_sessions(ITEMS, NUMBERS, 6, keep=1))
    assert ((kept > 0).sum(1) == [1, 1, 1, 1, 0, 0]).all()
    np.testing.assert_allclose(kept.max(1), table(SESSIONS, 6).max(1), rtol=1e-6)


def test_association_with_the_session_before() -> None:
    before = np.array([-1, 0, -1, 2, -1])
    count = np.zeros((6, 6))
    for number, previous in enumerate(before):
        if previous >= 0:
            for i in set(SESSIONS[previous]):
                for j in set(SESSIONS[number]) - {i}:
                    count[i, j] += 1
                    count[j, i] += 1
    degree = np.maximum(count.sum(1), 1e-9)
    found = dense(Association.of_sessions(ITEMS, NUMBERS, 6, following=before))
    np.testing.assert_allclose(found, count / np.sqrt(degree[:, None] * degree[None]), rtol=1e-6)


def test_spreading_leaves_the_item_itself_out() -> None:
    association, by_hand = Association.of_sessions(ITEMS, NUMBERS, 6), table(SESSIONS, 6)
    rng = np.random.default_rng(1)
    targets, sources = (torch.from_numpy(rng.integers(7, size=shape)) for shape in ((300, 9), (300, 4)))
    mask = torch.from_numpy(rng.random((300, 4)) < 0.7) & (sources < 6)
    found = spreading(association, targets, sources, mask)
    padded = np.zeros((7, 7))
    padded[:6, :6] = by_hand
    wanted = (padded[targets[:, :, None], sources[:, None]] * mask[:, None].numpy()).sum(2)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_partial_matching_zeroes_the_diagonal() -> None:
    rng = np.random.default_rng(2)
    embeddings = torch.from_numpy(rng.normal(size=(12, 5))).float()
    targets, sources = (torch.from_numpy(rng.integers(13, size=shape)) for shape in ((200, 6), (200, 7)))
    mask = torch.from_numpy(rng.random((200, 7)) < 0.8) & (sources < 12)
    found = partial_matching(embeddings, targets, sources, mask).numpy()
    padded = np.concatenate([embeddings.numpy(), np.zeros((1, 5))])
    dots = padded @ padded.T
    np.fill_diagonal(dots, 0.0)
    wanted = (dots[targets[:, :, None], sources[:, None]] * mask[:, None].numpy()).sum(2)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    with_itself = (padded @ padded.T)[targets[:, :, None], sources[:, None]] * mask[:, None].numpy()
    assert np.abs(found - with_itself.sum(2)).max() > 1.0


def test_noise_and_threshold() -> None:
    """The share of noisy activations above the threshold is the retrieval chance; both are off by default."""
    generator = torch.Generator().manual_seed(0)
    activation = torch.tensor([-1.0, 0.0, 2.0]).expand(200_000, 3)
    assert retrieve(activation, generator) is activation
    found = retrieve(activation, generator, noise=0.7, threshold=0.5)
    share = torch.isfinite(found).double().mean(0)
    chance = retrieval_chance(activation[0], 0.7, 0.5)
    np.testing.assert_allclose(chance, 1 / (1 + np.exp(-(np.array([-1.0, 0.0, 2.0]) - 0.5) / 0.7)), rtol=1e-5)
    assert (share - chance).abs().max() < 5 * 0.5 / math.sqrt(200_000)
    noisy = retrieve(activation, generator, noise=0.7)
    np.testing.assert_allclose(noisy.var(0).numpy(), 0.7**2 * math.pi**2 / 3, rtol=0.02)
    assert torch.isinf(retrieve(torch.tensor([0.0, 1.0]), generator, threshold=0.5)).tolist() == [True, False]
    with pytest.raises(ValueError, match="noise must not be negative, found -1"):
        retrieve(activation, generator, noise=-1.0)
    with pytest.raises(ValueError, match="noise must be positive, found 0"):
        retrieval_chance(activation, 0.0, 1.0)


def test_four_thousand_users_of_a_thousand_events_are_fast() -> None:
    """Processor time, so that what else the machine does counts little; the bound leaves room for slow machines."""
    items, times, mask, moment = histories(4096, 1000, 2000)
    base_level(items[:256], times[:256], mask[:256], moment[:256], 2000)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        base_level(items, times, mask, moment, 2000)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.2
