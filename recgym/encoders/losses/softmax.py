"""Cross-entropy over the whole catalogue without ever holding a score for every token and item."""

from typing import Any

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["full_softmax_loss"]

_BUFFER = 1_500_000
"""Scores held at once: what the processor's cache holds is far faster than what it does not."""


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Gradients are made on the way forward, chunk by chunk in one reused buffer, and scaled on the way back."""

    @staticmethod
    def forward(
        ctx: Any,
        left: Float32[Tensor, "n E"],
        right: Float32[Tensor, "R E"],
        targets: Int64[Tensor, "n"],
        weights: Float32[Tensor, "n"],
    ) -> Tensor:
        rows = max(min(_BUFFER // len(right), len(left)), 1)
        buffer = left.new_empty(rows, len(right))
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        left_gradient = torch.empty_like(left) if wanted else None
        right_gradient = torch.zeros_like(right) if wanted else None
        total = left.new_zeros(())
        for start in range(0, len(left), rows):
            part, target = left[start : start + rows], targets[start : start + rows]
            weight = weights[start : start + rows]
            scores = torch.mm(part, right.T, out=buffer[: len(part)])
            # Shifted, so that exp cannot overflow; in place, as a new buffer would cost a page fault a page.
            scores -= scores.amax(1, keepdim=True)
            hit = scores.gather(1, target[:, None])[:, 0]
            norm = scores.exp_().sum(1)
            total += ((norm.log() - hit) * weight).sum()
            if left_gradient is None or right_gradient is None:
                continue
            scores *= (weight / norm)[:, None]
            scores.scatter_add_(1, target[:, None], -weight[:, None])
            torch.mm(scores, right, out=left_gradient[start : start + rows])
            right_gradient.addmm_(scores.T, part)
        ctx.save_for_backward(left_gradient, right_gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        left, right = ctx.saved_tensors
        return left * gradient, right * gradient, None, None


def full_softmax_loss(
    left: Float32[Tensor, "n E"],
    right: Float32[Tensor, "R E"],
    targets: Int64[Tensor, "n"],
    weights: Float32[Tensor, "n"] | None = None,
) -> Float32[Tensor, ""]:
    """Mean of ``-log softmax(left @ right.T)[target]``: ``torch.nn.functional.cross_entropy``, but never ``[n, R]``.

    Args:
        left: queries, see :class:`recgym.encoders.FactoredScorer`.
        right: item factors.
        targets: the item that each query should have found, ``0..R-1``.
        weights: how much each query counts; all alike if None.

    Returns:
        The mean over queries, weighted; 0 if there are none.
    """
    if len(left) == 0:
        return (left.sum() + right.sum()) * 0.0
    share = torch.full((len(left),), 1 / len(left), device=left.device) if weights is None else weights / weights.sum()
    loss: Tensor = _ChunkedCrossEntropy.apply(left, right, targets, share)  # type: ignore[no-untyped-call]
    return loss
