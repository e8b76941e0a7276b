"""The chunked scans against the plain recurrences, values and gradients."""

import time

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders.scan import Drive, flipped_scan, linear_scan, selective_scan


def _plain(decay: Tensor, inputs: Tensor) -> Tensor:
    states, state = [], torch.zeros_like(inputs[:, 0])
    for t in range(inputs.shape[1]):
        state = decay[:, t] * state + inputs[:, t]
        states.append(state)
    return torch.stack(states, 1)


def _gradients(output: Tensor, *leaves: Tensor) -> list[Tensor]:
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(9))
    return list(torch.autograd.grad((output * weights).sum(), leaves))


@pytest.mark.parametrize("events", [1, 2, 3, 5, 9, 16, 23, 50])
def test_linear_scan_is_the_recurrence(events: int) -> None:
    generator = torch.Generator().manual_seed(events)
    decay = torch.rand((3, events, 4, 2), generator=generator).requires_grad_()
    inputs = torch.randn((3, events, 4, 2), generator=generator).requires_grad_()
    expected, found = _plain(decay, inputs), linear_scan(decay, inputs)
    torch.testing.assert_close(found, expected)
    for one, other in zip(_gradients(found, decay, inputs), _gradients(expected, decay, inputs), strict=True):
        torch.testing.assert_close(one, other)


def test_linear_scan_takes_decays_that_are_shared_and_histories_without_events() -> None:
    inputs = torch.randn((2, 11, 3), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(linear_scan(torch.ones(()).expand(2, 11, 3), inputs), inputs.cumsum(1))
    assert linear_scan(inputs[:, :0], inputs[:, :0]).shape == (2, 0, 3)


def test_decays_that_underflow_do_no_harm() -> None:
    # The product of these decays is far below the smallest float32: whoever divides by it gets NaN.
    inputs = torch.randn((2, 400, 3), generator=torch.Generator().manual_seed(0)).requires_grad_()
    decay = torch.full((2, 400, 3), 1e-3).requires_grad_()
    found = linear_scan(decay, inputs)
    torch.testing.assert_close(found, _plain(decay, inputs))
    assert all(bool(torch.isfinite(part).all()) for part in _gradients(found, decay, inputs))


def _drive(users: int, events: int, channels: int, states: int, seed: int) -> tuple[Drive, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    step = functional.softplus(torch.randn((users, events, channels), generator=generator) - 1)
    value = step * torch.randn((users, events, channels), generator=generator)
    write, read = (torch.randn((users, events, states), generator=generator) for _ in range(2))
    return Drive(step.requires_grad_(), value.requires_grad_(), write.requires_grad_()), read.requires_grad_()


def _rates(channels: int, states: int) -> Tensor:
    return (-torch.arange(1.0, states + 1).repeat(channels, 1)).requires_grad_()


def _slow(drive: Drive, read: Tensor, rates: Tensor) -> Tensor:
    """Algorithm 2 of the paper, event by event."""
    state, out = torch.zeros(len(read), *rates.shape), []
    for t in range(read.shape[1]):
        state = torch.exp(drive.step[:, t, :, None] * rates) * state
        state = state + drive.value[:, t, :, None] * drive.write[:, t, None]
        out.append((state * read[:, t, None]).sum(-1))
    return torch.stack(out, 1)


def _slow_flipped(drive: Drive, back: Drive, read: Tensor, rates: Tensor, tail: int) -> Tensor:
    """Each prefix reordered and gone through by itself."""
    out = []
    for t in range(read.shape[1]):
        far = max(t + 1 - tail, 0)
        order = Drive(
            *(torch.cat([b[:, :far].flip(1), d[:, far : t + 1]], 1) for b, d in zip(back, drive, strict=True))
        )
        repeated = read[:, t : t + 1].expand(-1, t + 1, -1)
        out.append(_slow(order, repeated, rates)[:, -1])
    return torch.stack(out, 1)


@pytest.mark.parametrize("block", [1, 500, 1 << 20])
def test_selective_scan_is_the_recurrence_in_blocks_of_any_size(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recgym.encoders.scan._BLOCK", block)
    (drive, read), rates = _drive(3, 13, 4, 5, seed=1), _rates(4, 5)
    found, expected = selective_scan(drive, read, rates), _slow(drive, read, rates)
    torch.testing.assert_close(found, expected)
    leaves = (*drive, read, rates)
    for one, other in zip(_gradients(found, *leaves), _gradients(expected, *leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("events", [1, 3, 4, 12])
@pytest.mark.parametrize("block", [60, 1 << 20])
def test_flipped_scan_goes_through_each_prefix(events: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recgym.encoders.scan._BLOCK", block)
    (drive, read), (back, _), rates = _drive(3, events, 4, 5, 1), _drive(3, events, 4, 5, 2), _rates(4, 5)
    plain, flipped = flipped_scan(drive, back, read, rates, 3)
    torch.testing.assert_close(plain, _slow(drive, read, rates))
    expected = _slow_flipped(drive, back, read, rates, 3)
    torch.testing.assert_close(flipped, expected, rtol=1e-4, atol=1e-5)
    if events > 3:
        assert not torch.allclose(flipped[:, 3:], plain[:, 3:], atol=1e-2)
        leaves = (*drive, *back, read, rates)
        for one, other in zip(_gradients(flipped, *leaves), _gradients(expected, *leaves), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_long_history_with_long_steps_stays_finite() -> None:
    (drive, read), rates = _drive(1, 600, 4, 5, seed=1), _rates(4, 5) * 20
    plain, flipped = flipped_scan(drive, drive, read, rates, 5)
    assert all(bool(torch.isfinite(part).all()) for part in _gradients(plain + flipped, *drive, read))


def test_time_is_linear_in_the_length() -> None:
    seconds = {}
    for events in (256, 2048):
        (drive, read), rates = _drive(2, events, 16, 8, seed=1), _rates(16, 8)
        took = []
        for _ in range(4):
            start = time.process_time()
            _gradients(sum(flipped_scan(drive, drive, read, rates, 5), torch.zeros(())), *drive)
            took.append(time.process_time() - start)
        seconds[events] = min(took)
    # 8 if linear and 64 if quadratic; what is fixed per call makes it less.
    assert seconds[2048] < 16 * seconds[256]
