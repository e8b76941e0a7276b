"""SIGMA against its equations, written out event by event."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders import Catalogue, seeded
from recgym.encoders.mamba import Mamba
from recgym.encoders.sigma import DenseSelectiveGate, SIGMABackbone, SIGMABlock, SIGMAConfig
from recgym.testing.encoder import encoder_sequences


def _slow_mamba(mamba: Mamba, vectors: Tensor, order: list[int], events: int, tail: int | None) -> Tensor:
    """What the newest of the first ``events`` events gets if they are gone through in an order, one user."""
    channels = mamba.skip.shape[0]
    values, gate = mamba.enter(vectors).split(channels, -1)
    rates, state = -mamba.log_rates.exp(), torch.zeros(channels, mamba.states)
    for event in order:
        reversed_part = tail is not None and event < events - tail
        seen = mamba.taps_bias.clone()
        for back in range(mamba.kernel):
            neighbour = event + back if reversed_part else event - back
            if 0 <= neighbour < len(values):
                seen = seen + mamba.taps[mamba.kernel - 1 - back] * values[neighbour]
        seen = functional.silu(seen)
        low, write, read = mamba.select(seen).split([mamba.rank, mamba.states, mamba.states])
        step = functional.softplus(mamba.step(low))
        state = torch.exp(step[:, None] * rates) * state + (step * seen)[:, None] * write
    out: Tensor = mamba.leave((state @ read + mamba.skip * seen) * functional.silu(gate[events - 1]))
    return out


def _mamba() -> tuple[Mamba, Tensor]:
    with seeded(0, "mamba"):
        mamba, vectors = Mamba(8, states=4), torch.randn(2, 11, 8)
        for parameter in mamba.parameters():
            parameter.data += 0.5 * torch.randn_like(parameter)
    return mamba, vectors


@torch.no_grad()
def test_mamba_is_its_recurrence() -> None:
    mamba, vectors = _mamba()
    out = mamba(vectors)
    for events in range(1, 12):
        expected = _slow_mamba(mamba, vectors[1], list(range(events)), events, None)
        torch.testing.assert_close(out[1, events - 1], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_each_prefix_is_flipped_but_for_its_tail() -> None:
    mamba, vectors = _mamba()
    plain, flipped = mamba.both(vectors, 5)
    torch.testing.assert_close(plain, mamba(vectors))
    torch.testing.assert_close(flipped[:, :5], plain[:, :5])  # nothing to flip yet
    for events in range(1, 12):
        far = max(events - 5, 0)
        order = [*range(far - 1, -1, -1), *range(far, events)]
        expected = _slow_mamba(mamba, vectors[0], order, events, 5)
        torch.testing.assert_close(flipped[0, events - 1], expected, rtol=1e-4, atol=1e-5)
        alone = mamba.both(vectors[:, :events], 5)[1][:, -1]
        torch.testing.assert_close(flipped[:, events - 1], alone)
    assert not torch.allclose(flipped[:, 6:], plain[:, 6:], atol=0.05)


def test_a_tail_shorter_than_the_kernel_is_refused() -> None:
    mamba, vectors = _mamba()
    with pytest.raises(ValueError, match="4 events, found a tail of 3"):
        mamba.both(vectors, 3)
    with pytest.raises(ValueError, match="at least the kernel, 4, found 2"):
        SIGMAConfig(tail=2)


@torch.no_grad()
def test_block_is_its_equation() -> None:
    with seeded(0, "block"):
        block, vectors = SIGMABlock(8, Mamba(8, states=4), 5, 0.2, residual=False).eval(), torch.randn(2, 9, 8)
        for parameter in block.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    plain, flipped = block.mamba.both(vectors, 5)

    def gated(gate: DenseSelectiveGate, mixed: Tensor) -> Tensor:
        dense = vectors @ gate.dense.weight.T + gate.dense.bias + vectors
        passed = (dense * torch.sigmoid(dense)) @ gate.smooth.weight.T + gate.smooth.bias
        return mixed * (1 + passed + torch.sigmoid(dense) @ gate.sharp.weight.T + gate.sharp.bias)

    near, state, short = torch.cat([torch.zeros(2, 2, 8), vectors], 1), torch.zeros(2, 8), []
    weights = dict(block.short.gru.named_parameters())
    for t in range(9):
        seen = near[:, t : t + 3].flatten(1) @ block.short.convolve.weight.T + block.short.convolve.bias
        of_input = (seen @ weights["weight_ih_l0"].T).chunk(3, 1)
        of_state = (state @ weights["weight_hh_l0"].T).chunk(3, 1)
        reset, update = (torch.sigmoid(of_input[i] + of_state[i]) for i in range(2))
        state = (1 - update) * torch.tanh(of_input[2] + reset * of_state[2]) + update * state
        short.append(state)
    mix = block.mix
    mixed = mix[0] * gated(block.gate, plain) + mix[1] * gated(block.flipped_gate, flipped)
    mixed = block.norm((mixed + mix[2] * torch.stack(short, 1)) @ block.out.weight.T + block.out.bias)
    expected = block.norm_feed(mixed + block.feed_forward(mixed))
    torch.testing.assert_close(block(vectors), expected, rtol=1e-4, atol=1e-5)


def test_branches_begin_at_their_published_weights() -> None:
    sequences = encoder_sequences(0)
    with seeded(0, "model"):
        model = SIGMAConfig(width=16, window=18, dropout=0.0).build(Catalogue.of(sequences)).eval()
    assert isinstance(model.encoder.backbone, SIGMABackbone)
    block = model.encoder.backbone.blocks[0]
    assert isinstance(block, SIGMABlock)
    assert block.mix.tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert (block.mamba.states, block.mamba.kernel, block.mamba.skip.numel()) == (32, 4, 32)
    steps = functional.softplus(block.mamba.step.bias.detach())
    assert 1e-3 - 1e-6 <= float(steps.min())
    assert float(steps.max()) <= 0.1 + 1e-6
    # The state at an event is that of the history up to it, so that training at every event shows it nothing to come.
    batch = sequences.histories(np.arange(1), 18)
    with torch.no_grad():
        states = model.encoder(batch)
        for events in range(1, 19):
            alone = model.encoder.final(sequences.gather(sequences.start[:1], sequences.start[:1] + events))
            torch.testing.assert_close(states[:, events - 1], alone, rtol=1e-4, atol=1e-5)
