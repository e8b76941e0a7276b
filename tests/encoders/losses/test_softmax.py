"""The chunked softmax against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from recgym.encoders.losses import full_softmax_loss, softmax


@pytest.mark.parametrize("buffer", [1, 50, 10_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradients_equal_cross_entropy(monkeypatch: pytest.MonkeyPatch, buffer: int, weighted: bool) -> None:
    monkeypatch.setattr(softmax, "_BUFFER", buffer)
    generator = torch.Generator().manual_seed(0)
    left = (3 * torch.randn(11, 4, generator=generator)).requires_grad_()
    right = torch.randn(7, 4, generator=generator).requires_grad_()
    targets = torch.randint(7, (11,), generator=generator)
    weights = torch.rand(11, generator=generator) if weighted else None

    loss = full_softmax_loss(left, right, targets, weights)
    (2 * loss).backward()  # type: ignore[no-untyped-call]
    found = left.grad, right.grad
    left.grad = right.grad = None
    each = functional.cross_entropy(left @ right.T, targets, reduction="none")
    expected = each.mean() if weights is None else (each * weights).sum() / weights.sum()
    (2 * expected).backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(loss, expected)
    for ours, theirs in zip(found, (left.grad, right.grad), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_large_scores_do_not_overflow() -> None:
    left, right = torch.full((2, 1), 1e4), torch.tensor([[1.0], [0.0], [-1.0]])
    assert full_softmax_loss(left, right, torch.tensor([0, 0])) == 0.0
    assert full_softmax_loss(left, right, torch.tensor([1, 1])) == pytest.approx(1e4)


def test_no_queries_give_no_loss_and_a_gradient_of_zero() -> None:
    right = torch.ones(3, 2, requires_grad=True)
    loss = full_softmax_loss(torch.zeros(0, 2), right, torch.zeros(0, dtype=torch.int64))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0.0
    assert right.grad is not None
    assert not right.grad.any()
