import math

import pytest
import torch
from torch import Tensor

from recgym.encoders import CAPEConfig, Catalogue, ContextualPositions, SASRecConfig, seeded
from recgym.encoders.batch import Where
from recgym.encoders.transformer import Transformer
from recgym.testing.encoder import encoder_sequences


def _where(users: int, size: int, padding: int = 0) -> Where:
    position = torch.arange(-padding, size).clamp(min=-1).expand(users, -1)
    return Where(position, position >= 0)


def _part(positions: int, width: int) -> ContextualPositions:
    part = ContextualPositions(positions, width)
    part.table.data.normal_(generator=torch.Generator().manual_seed(9))
    return part


def _parts(size: int, users: int = 2, heads: int = 2, width: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    return (
        torch.randn(users, heads, size, width, generator=generator),
        torch.randn(users, heads, size, width, generator=generator),
    )


def _written_out(queries: Tensor, keys: Tensor, table: Tensor) -> Tensor:
    """One query and one key at a time."""
    users, heads, size, _ = queries.shape
    out = torch.zeros(users, heads, size, size)
    for b in range(users):
        for h in range(heads):
            for i in range(size):
                position = torch.zeros(())
                for j in range(i, -1, -1):
                    position = position + 1 - torch.sigmoid(queries[b, h, i] @ keys[b, h, j])
                    clipped = position.clamp(max=len(table) - 1)
                    low, high = math.floor(float(clipped.detach())), math.ceil(float(clipped.detach()))
                    share = clipped - low
                    vector = (1 - share) * table[low] + share * table[high]
                    out[b, h, i, j] = queries[b, h, i] @ vector
    return out


@pytest.mark.parametrize("positions", [3, 20])
def test_term_and_gradients_are_those_of_the_formula(positions: int) -> None:
    part, (queries, keys) = _part(positions, 4), _parts(7)
    queries.requires_grad_()
    keys.requires_grad_()
    where = _where(2, 7)
    weight = torch.randn(2, 2, 7, 7, generator=torch.Generator().manual_seed(1)).tril()
    gradients = []
    for term in (part.bias(queries, keys, where, where), _written_out(queries, keys, part.table)):
        gradients.append((term.tril(), *torch.autograd.grad((term * weight).sum(), (queries, keys, part.table))))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_what_a_query_does_not_see_moves_no_position() -> None:
    part, (queries, keys) = _part(20, 4), _parts(6)
    alone = part.bias(queries, keys, _where(2, 6), _where(2, 6))
    # Padding before, as in a cache, and events after.
    padded = torch.cat([torch.randn(2, 2, 5, 4), keys], 2)
    found = part.bias(queries, padded, _where(2, 6), _where(2, 6, padding=5))[..., 5:]
    assert torch.equal(found.tril(), alone.tril())
    changed = torch.cat([keys[:, :, :3], keys[:, :, 3:] + 5.0], 2)
    after = part.bias(queries, changed, _where(2, 6), _where(2, 6))
    assert torch.equal(after[:, :, :3, :3].tril(), alone[:, :, :3, :3].tril())
    # Gates of 1 at what is not seen would have moved them.
    right = Where(torch.arange(6).expand(2, 6), torch.arange(6).expand(2, 6) < 4)
    assert torch.equal(part.bias(queries, keys, right, right)[:, :, :4, :4].tril(), alone[:, :, :4, :4].tril())
    gates = 1 - torch.sigmoid(queries @ keys.mT)
    wrong = gates.flip(-1).cumsum(-1).flip(-1)
    assert (wrong - gates.tril().flip(-1).cumsum(-1).flip(-1))[:, :, 0, 0].min() > 0.1


def test_like_events_are_near_and_unlike_ones_far() -> None:
    part = ContextualPositions(10, 2)
    part.table.data = torch.arange(10.0)[:, None].expand(10, 2).clone()
    queries = torch.tensor([10.0, 0.0]).expand(1, 1, 5, 2)
    like, unlike = torch.tensor([10.0, 0.0]).expand(1, 1, 5, 2), torch.tensor([-10.0, 0.0]).expand(1, 1, 5, 2)
    near = part.bias(queries, like, _where(1, 5), _where(1, 5))[0, 0, -1]
    far = part.bias(queries, unlike, _where(1, 5), _where(1, 5))[0, 0, -1]
    torch.testing.assert_close(near, torch.zeros(5), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(far, 10 * torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]), atol=1e-3, rtol=0.0)


def test_begins_as_a_transformer_without_positions() -> None:
    sequences = encoder_sequences(0)
    with seeded(0, "model"):
        model = CAPEConfig(width=8, blocks=1, window=6).build(Catalogue.of(sequences)).eval()
    backbone = model.encoder.backbone
    assert isinstance(backbone, Transformer)
    vectors, where = torch.randn(2, 5, 8), _where(2, 5)
    before = backbone(vectors, where)
    # What came earlier is a set to the last event.
    swapped = backbone(vectors[:, [1, 0, 3, 2, 4]], where)
    torch.testing.assert_close(before[:, -1], swapped[:, -1], rtol=1e-4, atol=1e-5)
    for block in backbone.blocks:
        assert isinstance(block.position, ContextualPositions)
        block.position.table.data.normal_()
    assert (backbone(vectors, where)[:, -1] - backbone(vectors[:, [1, 0, 3, 2, 4]], where)[:, -1]).abs().max() > 1e-3


def test_default_sizes_are_those_of_its_base() -> None:
    base, ours = SASRecConfig(), CAPEConfig()
    for name in ("width", "blocks", "heads", "window", "dropout", "fit"):
        assert getattr(base, name) == getattr(ours, name)
