"""InfoNCE: two views of one thing should be nearer to one another than to the views of others."""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn import functional

__all__ = ["info_nce"]


def info_nce(
    first: Float32[Tensor, "n D"],
    second: Float32[Tensor, "n D"],
    temperature: float = 1.0,
    same: Bool[Tensor, "n n"] | None = None,
    normalised: bool = False,
) -> Float32[Tensor, ""]:
    """Mean over both directions of ``-log softmax_j(first_i . second_j / temperature)[i]``.

    Args:
        first: one view of each.
        second: the other.
        temperature: above 0.
        same: pairs that are alike in truth, such as rows of the same target, and so are no negatives; the diagonal
            counts as the positive whatever it says here.
        normalised: use cosines.
    """
    if normalised:
        first, second = functional.normalize(first, dim=-1), functional.normalize(second, dim=-1)
    scores = first @ second.T / temperature
    if same is not None:
        others = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        scores = scores.masked_fill(others, float("-inf"))
    labels = torch.arange(len(scores), device=scores.device)
    return 0.5 * (functional.cross_entropy(scores, labels) + functional.cross_entropy(scores.T, labels))
