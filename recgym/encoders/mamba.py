"""Mamba: a selective state space (arXiv 2312.00752), and its states of partly reversed histories."""

import math

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders.scan import Drive, flipped_scan, selective_scan

__all__ = ["Mamba"]

_STEPS = 1e-3, 0.1
"""Range of the time steps at the start, log-uniform over channels."""


class Mamba(nn.Module):
    """One Mamba layer, of E = expand D channels with N states each.

    ``x, z = W_in u``; ``x = SiLU(conv(x))``, depthwise and causal; ``step = softplus(W_2 W_1 x + b)``, ``B = W_B x``,
    ``C = W_C x``; ``h_t = exp(step_t A) h_{t-1} + step_t x_t B_t``; ``y = (C h + skip x) SiLU(z)``; out is ``W_out y``.

    Args:
        width: D.
        states: N.
        kernel: events that the convolution sees.
        expand: E / D.
    """

    def __init__(self, width: int, states: int = 32, kernel: int = 4, expand: int = 2) -> None:
        super().__init__()
        channels, rank = expand * width, -(-width // 16)
        self.rank, self.states, self.kernel = rank, states, kernel
        self.enter = nn.Linear(width, 2 * channels, bias=False)
        self.leave = nn.Linear(channels, width, bias=False)
        bound = 1 / math.sqrt(kernel)
        self.taps = nn.Parameter(torch.empty(kernel, channels).uniform_(-bound, bound))
        self.taps_bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self.select = nn.Linear(channels, rank + 2 * states, bias=False)
        self.step = nn.Linear(rank, channels)
        nn.init.uniform_(self.step.weight, -(rank**-0.5), rank**-0.5)
        low, high = (math.log(step) for step in _STEPS)
        steps = torch.empty(channels).uniform_(low, high).exp()
        with torch.no_grad():
            self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rates = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))

    def forward(self, vectors: Float32[Tensor, "B T D"]) -> Float32[Tensor, "B T D"]:
        """The state after each event, of it and those before it."""
        values, gate = self.enter(vectors).chunk(2, -1)
        values = self._convolve(values)
        drive, read = self._drive(values)
        return self._leave(selective_scan(drive, read, self._rates()), values, gate)

    def both(
        self, vectors: Float32[Tensor, "B T D"], tail: int
    ) -> tuple[Float32[Tensor, "B T D"], Float32[Tensor, "B T D"]]:
        """The state after each event, and what it is if all before the newest ``tail`` events is gone through back.

        For each prefix of the history by itself: both states at t depend on the events up to t alone. The convolution
        looks at an event's true neighbours: at those before it on the way forward, those after it on the way back.
        Those after an event of the reversed part are within the prefix, as the tail is at least as long as the kernel.

        Args:
            vectors: of the events.
            tail: at least the kernel, so that the newest event is read the same way in both.

        Raises:
            ValueError: the tail is shorter than the kernel.
        """
        if tail < self.kernel:
            raise ValueError(f"the tail must hold the kernel's {self.kernel} events, found a tail of {tail}")
        values, gate = self.enter(vectors).chunk(2, -1)
        back, _ = self._drive(self._convolve(values, back=True))
        values = self._convolve(values)
        drive, read = self._drive(values)
        plain, flipped = flipped_scan(drive, back, read, self._rates(), tail)
        return self._leave(plain, values, gate), self._leave(flipped, values, gate)

    def _rates(self) -> Tensor:
        return -self.log_rates.exp()

    def _convolve(self, values: Tensor, back: bool = False) -> Tensor:
        time, reach = values.shape[1], self.kernel - 1
        padded = functional.pad(values, (0, 0, 0, reach) if back else (0, 0, reach, 0))
        out: Tensor = self.taps_bias
        for tap in range(self.kernel):
            first = reach - tap if back else tap
            out = torch.addcmul(out, padded[:, first : first + time], self.taps[tap])
        return functional.silu(out)

    def _drive(self, values: Tensor) -> tuple[Drive, Tensor]:
        low, write, read = self.select(values).split([self.rank, self.states, self.states], -1)
        step = functional.softplus(self.step(low))
        return Drive(step, step * values, write), read

    def _leave(self, read: Tensor, values: Tensor, gate: Tensor) -> Tensor:
        out: Tensor = self.leave((read + self.skip * values) * functional.silu(gate))
        return out
