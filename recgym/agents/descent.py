"""What every learner does with a loss and with its network, whatever the algorithm."""

import copy
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["descend", "frozen", "mean_of"]

M = TypeVar("M", bound=nn.Module)


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, max_norm: float | None = None) -> None:
    """One step down the gradient of a loss.

    Args:
        optimiser: of the weights that move.
        loss: one number.
        max_norm: the gradients of all these weights together are shortened to this length.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if max_norm is not None:
        nn.utils.clip_grad_norm_((weight for group in optimiser.param_groups for weight in group["params"]), max_norm)
    optimiser.step()


def frozen(network: M) -> M:
    """A copy in memory of its own that no longer learns."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def mean_of(values: Float[Tensor, "B"], weight: Float[Tensor, "B"]) -> Float[Tensor, ""]:
    """Mean of those that count; 0 if none does."""
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
