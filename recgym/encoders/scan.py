"""Linear recurrences over time: a chunked parallel scan, and the selective scans of Mamba built on it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

__all__ = ["Drive", "flipped_scan", "linear_scan", "selective_scan"]

_CHUNK = 16
"""Events of a chunk; 8 and 32 are as fast."""
_BLOCK = 1 << 20
"""Numbers of one array that are worked on at once: what the processor's cache holds is far faster than memory."""


def linear_scan(
    decay: Float32[Tensor, "B T *rest"], inputs: Float32[Tensor, "B T *rest"]
) -> Float32[Tensor, "B T *rest"]:
    """``h_t = decay_t h_{t-1} + inputs_t`` with ``h_0 = 0``, for all t, elementwise.

    The history is cut into short chunks that are gone through side by side: once from zero for what each chunk adds and
    how much it lets through, and once more from where each begins, which a scan over the chunks says. That is a number
    of operations on whole slices that grows with log(T), and about 3 T multiplications in all. Decays are multiplied
    and never divided by, so that they may underflow.

    Args:
        decay: between 0 and 1.
        inputs: what is added.
    """
    states: Tensor = _LinearScan.apply(decay, inputs)  # type: ignore[no-untyped-call]
    return states


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, inputs: Tensor) -> Tensor:
        states = torch.empty_like(inputs)
        if inputs.shape[1]:
            _scan(decay, inputs, torch.zeros_like(inputs[:, 0]), states)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        decay, states = ctx.saved_tensors
        # What reaches a state comes from itself and, through the decay after it, from the next state.
        total = torch.empty_like(gradient)
        total[:, -1:] = gradient[:, -1:]
        if gradient.shape[1] > 1:
            _scan(decay[:, 1:], gradient[:, :-1], gradient[:, -1], total[:, :-1], back=True)
        if not ctx.needs_input_grad[0]:
            return None, total
        of_decay = torch.empty_like(states)
        of_decay[:, :1] = 0.0
        torch.mul(total[:, 1:], states[:, :-1], out=of_decay[:, 1:])
        return of_decay, total


def _scan(decay: Tensor, inputs: Tensor, start: Tensor, out: Tensor, back: bool = False) -> None:
    """Fills ``out`` from the state ``start``, which stands before the first event, or with ``back`` after the last."""
    time = inputs.shape[1]
    length = min(time, _CHUNK)
    chunks = time // length
    first = time - chunks * length if back else 0
    kept, added, into = (
        part[:, first : first + chunks * length].view(-1, chunks, length, *part.shape[2:])
        for part in (decay, inputs, out)
    )
    running = _starts(kept, added, start, back)
    for step in _order(length, back):
        torch.addcmul(added[:, :, step], kept[:, :, step], running, out=into[:, :, step])
        running = into[:, :, step]
    for step in range(first - 1, -1, -1) if back else range(chunks * length, time):
        torch.addcmul(inputs[:, step], decay[:, step], out[:, step + 1 if back else step - 1], out=out[:, step])


def _starts(decay: Tensor, inputs: Tensor, start: Tensor, back: bool) -> Tensor:
    """The state from which each chunk is entered, ``[B, chunks, *rest]``."""
    steps = _order(inputs.shape[2], back)
    ends, through = inputs[:, :, steps[0]].clone(), decay[:, :, steps[0]].clone()
    for step in steps[1:]:
        torch.addcmul(inputs[:, :, step], decay[:, :, step], ends, out=ends)
        through *= decay[:, :, step]
    starts = torch.empty_like(ends)
    starts[:, -1 if back else 0] = start
    if inputs.shape[1] > 1:  # where a chunk ends is a scan over the chunks
        before, after = (slice(1, None), slice(None, -1)) if back else (slice(None, -1), slice(1, None))
        _scan(through[:, before], ends[:, before], start, starts[:, after], back)
    return starts


def _order(count: int, back: bool) -> range:
    return range(count - 1, -1, -1) if back else range(count)


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

    return _in_blocks(block, (drive.step, drive.value), (drive.write, read), rates)


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
    tail_step = drive.step.unfold(1, tail, 1).sum(-1)[:, 1:] if drive.step.shape[1] > tail else drive.step[:, :0]
    before = back.step.cumsum(1) - back.step

    def block(
        step: Tensor, value: Tensor, before: Tensor, back_value: Tensor, tail_step: Tensor,
        write: Tensor, back_write: Tensor, read: Tensor, rates: Tensor,
    ) -> Tensor:  # fmt: skip
        states = _states(Drive(step, value, write), rates)
        plain = _contract(states, read)
        count = tail_step.shape[1]
        added = _outer(back_value[:, :count], back_write[:, :count]) * _kept(before[:, :count], rates)
        # A scan that forgets nothing is a cumulative sum; PyTorch's own takes ten times as long along this axis.
        sums = linear_scan(torch.ones_like(added[:1, :1, :1, :1]).expand_as(added), added)
        apart = (sums - states[:, :count]) * _kept(tail_step, rates)
        other = torch.cat([torch.zeros_like(plain[:, count:]), _contract(apart, read[:, tail:])], 1)
        return torch.stack([plain, plain + other], -1)

    by_channel = (drive.step, drive.value, before, back.value, tail_step)
    both = _in_blocks(block, by_channel, (drive.write, back.write, read), rates)
    return both[..., 0], both[..., 1]


def _states(drive: Drive, rates: Tensor) -> Tensor:
    return linear_scan(_kept(drive.step, rates), _outer(drive.value, drive.write))


def _kept(step: Tensor, rates: Tensor) -> Tensor:
    return (step[..., None] * rates).exp_()


def _outer(value: Tensor, write: Tensor) -> Tensor:
    return value[..., None] * write[:, :, None, :]


def _contract(states: Tensor, read: Tensor) -> Tensor:
    # Written out: as so many products of small matrices it takes twice as long, most of it on the way back.
    return (states * read[:, :, None]).sum(-1)


def _in_blocks(
    function: Callable[..., Tensor], by_channel: tuple[Tensor, ...], by_state: tuple[Tensor, ...], rates: Tensor
) -> Tensor:
    """The function of some users and channels after others; what is as large as ``[B, T, E, N]`` is never kept.

    On the way back it is made anew. That costs less than to write it to memory and to read it again.

    Args:
        function: of all parts and the rates.
        by_channel: parts ``[B, T, E]``; the time may be shorter in some.
        by_state: parts ``[B, T, N]``.
        rates: ``[E, N]``.
    """
    one = max(by_channel[0].shape[1] * rates.shape[1], 1)
    channels = min(max(_BLOCK // one, 1), len(rates))
    rows = max(_BLOCK // (one * channels), 1)
    bands = []
    split = (*(torch.split(part, channels, 2) for part in by_channel), torch.split(rates, channels))
    for *band, slow in zip(*split, strict=True):
        blocks = zip(*(torch.split(part, rows) for part in (*band, *by_state)), strict=True)
        bands.append(torch.cat([
            checkpoint(function, *block, slow, use_reentrant=False, preserve_rng_state=False) for block in blocks
        ]))  # fmt: skip
    return torch.cat(bands, 2)
