"""Bayesian linear regressions, many at once, updated by each observation: what linear bandits know.

The posterior of the weights of regression g, with prior precision ``lambda I`` and noise of variance 1, is normal with
mean ``m = P b`` and covariance ``P = (lambda I + sum x x^T)^-1``, ``b = sum y x``. One observation changes it by the
Sherman-Morrison formula, in the form of recursive least squares::

    gain = P x / (1 + x^T P x)        m += gain (y - x^T m)        P -= gain (P x)^T

Several observations of a round change it by ``P' = (I + P G)^-1 P`` with ``G = sum x x^T``.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from recgym.agents.bandits.base import BanditSpec, one_hot

__all__ = ["Ridge", "learn", "outer", "predict", "predict_shared", "start"]

_MANY = 1000


class Ridge(NamedTuple):
    """R x G regressions.

    Attributes:
        inverse: covariance of the weights (P), symmetric.
        mean: their mean (m).
    """

    inverse: Float[np.ndarray, "R G d d"]
    mean: Float[np.ndarray, "R G d"]


def start(spec: BanditSpec, groups: int, width: int, precision: float) -> Ridge:
    """Regressions of which nothing is known but the prior.

    Raises:
        ValueError: there are no features to learn from, or the prior precision is not positive.
    """
    if width < 1:
        raise ValueError("a linear bandit needs features of users or of items, found none")
    if precision <= 0:
        raise ValueError(f"the prior precision must be positive, found {precision}")
    one = np.eye(width, dtype=spec.dtype) / spec.dtype(precision)
    return Ridge(
        np.tile(one, (spec.replications, groups, 1, 1)), np.zeros((spec.replications, groups, width), spec.dtype)
    )


def predict(
    state: Ridge, x: Float[np.ndarray, "R U d"]
) -> tuple[Float[np.ndarray, "R U G"], Float[np.ndarray, "R U G"]]:
    """Mean and variance of ``x^T w`` under each of the G regressions.

    ``x^T P x`` of all of them is one product of the flat ``P`` and ``x x^T``, which is read once from memory.
    """
    replications, groups, width = state.mean.shape
    x = x.astype(state.mean.dtype, copy=False)
    if x.size == width:
        return _predict_one(state, x[0, 0])
    square = outer(x, x).reshape(replications, -1, width * width)
    flat = state.inverse.reshape(replications, groups, width * width)
    mean = state.mean @ x.transpose(0, 2, 1)
    variance = np.maximum(flat @ square.transpose(0, 2, 1), 0)
    return mean.transpose(0, 2, 1), variance.transpose(0, 2, 1)


def _predict_one(state: Ridge, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """:func:`predict` for one user of one replication, in the fewest calls."""
    groups, width = state.mean.shape[1:]
    variance = (state.inverse.reshape(groups * width, width) @ x).reshape(groups, width) @ x
    np.maximum(variance, 0, out=variance)
    return (state.mean[0] @ x)[None, None], variance[None, None]


def outer(x: Float[np.ndarray, "*n d"], y: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d d"]:
    """``x y^T`` of each row. Many short rows are faster on torch, whose inner loop is over more than one of them."""
    if x.size < _MANY:
        small: np.ndarray = x[..., :, None] * y[..., None, :]
        return small
    one, other = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y))
    product: np.ndarray = (one[..., :, None] * other[..., None, :]).numpy()
    return product


def predict_shared(
    state: Ridge, z: Float[np.ndarray, "R U A k"]
) -> tuple[Float[np.ndarray, "R U A"], Float[np.ndarray, "R U A"]]:
    """Mean and variance of ``z^T w`` of every arm under the only regression (G = 1)."""
    rows = z.reshape(z.shape[0], -1, z.shape[-1]).astype(state.mean.dtype, copy=False)
    mean = (rows @ state.mean[:, 0, :, None])[..., 0]
    variance = np.einsum("rnk,rnk->rn", rows @ state.inverse[:, 0], rows)
    return mean.reshape(z.shape[:3]), np.maximum(variance, 0).reshape(z.shape[:3])


def learn(
    state: Ridge,
    group: Int64[np.ndarray, "R U"],
    x: Float[np.ndarray, "R U d"],
    y: Float[np.ndarray, "R U"],
    mask: Bool[np.ndarray, "R U"] | None = None,
) -> Ridge:
    """The regressions after ``y`` was seen at ``x`` in regression ``group``; the arrays are written over."""
    x, y = x.astype(state.mean.dtype, copy=False), y.astype(state.mean.dtype, copy=False)
    if mask is not None:
        x = x * mask[..., None]  # an observation at 0 says nothing
    if group.shape[1] > 1:
        return _many(state, group, x, y)
    if group.shape[0] == 1:
        return _single(state, int(group[0, 0]), x[0, 0], float(y[0, 0]))
    return _one_each(state, group[:, 0], x[:, 0], y[:, 0])


def _single(state: Ridge, group: int, x: np.ndarray, y: float) -> Ridge:
    """One observation of one replication: in place, in the fewest calls."""
    inverse, mean = state.inverse[0, group], state.mean[0, group]
    moved = inverse @ x
    gain = moved / (1 + moved @ x)
    mean += gain * (y - float(x @ mean))
    inverse -= gain[:, None] * moved
    return state


def _one_each(state: Ridge, group: np.ndarray, x: np.ndarray, y: np.ndarray) -> Ridge:
    """One observation of each replication."""
    rows = np.arange(len(group))
    inverse, mean = state.inverse[rows, group], state.mean[rows, group]
    moved = (inverse @ x[..., None])[..., 0]
    gain = moved / (1 + np.einsum("rd,rd->r", moved, x))[:, None]
    inverse -= outer(gain, moved)
    mean += gain * (y - np.einsum("rd,rd->r", x, mean))[:, None]
    state.inverse[rows, group], state.mean[rows, group] = inverse, mean
    return state


def _many(state: Ridge, group: np.ndarray, x: np.ndarray, y: np.ndarray) -> Ridge:
    """Observations of several users of each replication."""
    groups, width = state.mean.shape[1:]
    member = one_hot(group, groups).astype(x.dtype)
    error = y - np.einsum("rud,rud->ru", x, np.take_along_axis(state.mean, group[..., None], 1))
    square = outer(x, x).reshape(*x.shape[:2], -1)
    gram = (member.transpose(0, 2, 1) @ square).reshape(*state.inverse.shape)
    pull = member.transpose(0, 2, 1) @ (x * error[..., None])
    inverse = np.linalg.solve(np.eye(width, dtype=x.dtype) + state.inverse @ gram, state.inverse)
    inverse = (inverse + inverse.swapaxes(-1, -2)) / 2
    return Ridge(inverse, state.mean + (inverse @ pull[..., None])[..., 0])
