"""Linear recurrences over time: a chunked parallel scan, and the selective scans of Mamba built on it."""

from collections.abc import Callable
from math import isqrt
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

__all__ = ["Drive", "flipped_scan", "linear_scan", "selective_scan"]

_BLOCK = 1 << 20
"""Numbers of one array that are worked on at once: what the processor's cache holds is far faster than what it does not."""


def linear_scan(
    decay: Float32[Tensor, "B T *rest"], inputs: Float32[Tensor, "B T *rest"]
) -> Float32[Tensor, "B T *rest"]:
    """``h_t = decay_t h_{t-1} + inputs_t`` with ``h_0 = 0``, for all t, elementwise.

    The history is cut into about sqrt(T) chunks that are gone through side by side: once from zero for what each chunk
    adds and how much it lets through, then chunk after chunk for where each begins, then once more from there. That is
    2 sqrt(T) + sqrt(T) operations on whole slices, and 3 T multiplications in all. Decays are multiplied and never
    divided by, so that they may underflow.

    Args:
        decay: between 0 and 1.
        inputs: what is added.
    """
    states: Tensor = _LinearScan.apply(decay, inputs)  # type: ignore[no-untyped-call]
    return states


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor) -> Tensor:
        states = _scan(decay, inputs)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        # What reaches a state comes from itself and, through the next decay, from the state after it: a scan from the
        # end, of decays that stand one step earlier.
        later = torch.cat([decay[:, :1], decay[:, 1:].flip(1)], 1)
        total = _scan(later, gradient.flip(1)).flip(1)
        of_decay = torch.zeros_like(decay)
        torch.mul(total[:, 1:], states[:, :-1], out=of_decay[:, 1:])
        return of_decay, total


def _scan(decay: Tensor, inputs: Tensor) -> Tensor:
    time = inputs.shape[1]
    length = max(isqrt(time), 1)
    chunks = time // length
    whole = chunks * length
    states = torch.empty_like(inputs)
    kept, added, out = (part[:, :whole].unflatten(1, (chunks, length)) for part in (decay, inputs, states))
    running = _starts(kept, added)
    for step in range(length):
        torch.addcmul(added[:, :, step], kept[:, :, step], running, out=out[:, :, step])
        running = out[:, :, step]
    for step in range(whole, time):
        torch.addcmul(inputs[:, step], decay[:, step], states[:, step - 1], out=states[:, step])
    return states


def _starts(decay: Tensor, inputs: Tensor) -> Tensor:
    """The state before each chunk, ``[B, chunks, *rest]``."""
    starts = torch.zeros_like(inputs[:, :, 0])
    if inputs.shape[1] < 2:
        return starts
    decay, inputs = decay[:, :-1], inputs[:, :-1]
    ends, through = inputs[:, :, 0].clone(), decay[:, :, 0].clone()
    for step in range(1, inputs.shape[2]):
        ends.mul_(decay[:, :, step]).add_(inputs[:, :, step])
        through.mul_(decay[:, :, step])
    for chunk in range(1, starts.shape[1]):
        torch.addcmul(ends[:, chunk - 1], through[:, chunk - 1], starts[:, chunk - 1], out=starts[:, chunk])
    return starts


class Drive(NamedTuple):
    """What drives a selective state space: ``h <- exp(step rates) h + value write``, of E channels with N states each.

    Attributes:
        step: how far time moves at each event, at least 0.
        value: what is written, times the step.
        write: where it is written (B in the paper).
    """

    step: Float32[Tensor, "B T E"]
    value: Float32[Tensor, "B T E"]
    write: Float32[Tensor, "B T N"]


def selective_scan(
    drive: Drive, read: Float32[Tensor, "B T N"], rates: Float32[Tensor, "E N"]
) -> Float32[Tensor, "B T E"]:
    """Mamba's recurrence (arXiv 2312.00752, algorithm 2): ``h_t = exp(step_t rates) h_{t-1} + value_t write_t``.

    Args:
        drive: of each event.
        read: how the state is read (C in the paper).
        rates: below 0.

    Returns:
        ``read_t . h_t``.
    """

    def block(step: Tensor, value: Tensor, write: Tensor, read: Tensor, rates: Tensor) -> Tensor:
        return _contract(_states(Drive(step, value, write), rates), read)

    return _in_blocks(block, (*drive, read), rates)


def flipped_scan(
    drive: Drive, back: Drive, read: Float32[Tensor, "B T N"], rates: Float32[Tensor, "E N"], tail: int
) -> tuple[Float32[Tensor, "B T E"], Float32[Tensor, "B T E"]]:
    """For every prefix of a history at once: the scan, and the scan of the prefix with all but its end reversed.

    Let ``F_m`` be the state after going from event m back to event 1. As event 1 comes last, one more event at the far
    end only adds to it: ``F_m = F_{m-1} + exp(rates sum_{i<m} step_i) value_m write_m``, a sum over events, of decays
    up to 1. Going on from there over the newest ``tail`` events forgets ``F`` and what came before the tail alike, by
    ``q_t = exp(rates sum of the tail's steps)``, and adds what the plain state has of the tail. So the state of the
    partly reversed prefix is ``h_t + q_t (F_{t-tail} - h_{t-tail})``, and linear in T for all prefixes together.

    Args:
        drive: of each event on the way forward.
        back: of each event on the way back.
        read: how states are read; that of an event is the same both ways.
        rates: below 0.
        tail: newest events that keep their order.

    Returns:
        ``read_t`` times the states of the plain and of the partly reversed prefix ``1..t``.
    """
    tail_step = drive.step.cumsum(1)
    tail_step = drive.step.unfold(1, tail, 1).sum(-1)[:, 1:] if drive.step.shape[1] > tail else drive.step[:, :0]
    before = back.step.cumsum(1) - back.step

    def block(
        step: Tensor, value: Tensor, write: Tensor, before: Tensor, back_value: Tensor, back_write: Tensor,
        read: Tensor, tail_step: Tensor, rates: Tensor,
    ) -> Tensor:  # fmt: skip
        states = _states(Drive(step, value, write), rates)
        plain = _contract(states, read)
        count = tail_step.shape[1]
        added = torch.exp(before[:, :count, :, None] * rates) * _outer(back_value[:, :count], back_write[:, :count])
        apart = (added.cumsum(1) - states[:, :count]) * torch.exp(tail_step[..., None] * rates)
        other = torch.cat([torch.zeros_like(plain[:, count:]), _contract(apart, read[:, tail:])], 1)
        return torch.stack([plain, plain + other], -1)

    both = _in_blocks(block, (*drive, before, back.value, back.write, read, tail_step), rates)
    return both[..., 0], both[..., 1]


def _states(drive: Drive, rates: Tensor) -> Tensor:
    return linear_scan(torch.exp(drive.step[..., None] * rates), _outer(drive.value, drive.write))


def _outer(value: Tensor, write: Tensor) -> Tensor:
    return value[..., None] * write[:, :, None, :]


def _contract(states: Tensor, read: Tensor) -> Tensor:
    out: Tensor = (states @ read[..., None])[..., 0]
    return out


def _in_blocks(function: Callable[..., Tensor], parts: tuple[Tensor, ...], rates: Tensor) -> Tensor:
    """The function of some users after others; their states ``[B, T, E, N]`` are made anew on the way back, not kept."""
    rows = max(_BLOCK // max(parts[0].shape[1] * rates.numel(), 1), 1)
    blocks = zip(*(part.split(rows) for part in parts), strict=True)
    return torch.cat([
        checkpoint(function, *block, rates, use_reentrant=False, preserve_rng_state=False) for block in blocks
    ])  # fmt: skip
