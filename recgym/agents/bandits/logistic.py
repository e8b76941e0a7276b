"""Logistic Thompson sampling: clicks are ``sigmoid(x^T w_a)``, and the posterior of the weights is kept as a normal.

Each observation moves the posterior ``N(m, P)`` to its Laplace approximation: the mode of the prior times the
likelihood, and the inverse of the curvature there. The mode lies on a line, ``m + P x delta`` with ``delta = y -
sigmoid(x^T m + x^T P x delta)``, which Newton's method solves in one dimension; the curvature adds ``p (1 - p) x x^T``.
Several users of a round are learned by Newton's method in d dimensions. Sources: Chapelle and Li, NIPS 2011 (diagonal
P; ours is full); Russo et al., A Tutorial on Thompson Sampling, 2018.

In a choice the arm's score ``x^T w_a`` is drawn, which orders arms as ``sigmoid`` of it does.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import expit

from recgym.agents.bandits.base import BanditSpec, Context, best, gaussian_best, one_hot
from recgym.agents.bandits.ridge import Ridge, predict, start

__all__ = ["LogisticTS"]

_STEPS = 12


@dataclass(frozen=True)
class LogisticTS:
    """See the module.

    Attributes:
        precision: of the prior of each weight.
        scale: by which the posterior's standard deviations are multiplied.
    """

    precision: float = 1.0
    scale: float = 1.0
    exact: ClassVar[bool] = True

    def init_state(self, spec: BanditSpec) -> Ridge:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return start(spec, spec.arms, spec.width, self.precision)

    def choose(self, state: Ridge, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, variance = predict(state, context.user)
        return best(mean + self.scale * np.sqrt(variance) * generator.standard_normal(mean.shape), context.allowed)

    def probabilities(
        self, state: Ridge, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, variance = predict(state, context.user)
        return gaussian_best(mean, self.scale * np.sqrt(variance), context.allowed)

    def update(
        self,
        state: Ridge,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Ridge:
        """See :class:`recgym.agents.bandits.Bandit`."""
        x = context.user if mask is None else context.user * mask[..., None]
        return _one(state, action[:, 0], x[:, 0], reward[:, 0]) if action.shape[1] == 1 else _many(
            state, action, x, reward
        )  # fmt: skip


def _one(state: Ridge, arm: np.ndarray, x: np.ndarray, y: np.ndarray) -> Ridge:
    """One observation of each replication."""
    rows = np.arange(len(arm))
    inverse, mean = state.inverse[rows, arm], state.mean[rows, arm]
    moved = (inverse @ x[..., None])[..., 0]
    variance, score = np.einsum("rd,rd->r", moved, x), np.einsum("rd,rd->r", mean, x)
    low, high = y - 1.0, y + 0.0  # delta = y - p with p in (0, 1)
    delta = np.clip(y - expit(score), low, high)
    for _ in range(_STEPS):
        p = expit(score + variance * delta)
        error = delta - y + p  # increasing in delta
        low, high = np.where(error < 0, delta, low), np.where(error > 0, delta, high)
        newton = delta - error / (1 + variance * p * (1 - p))
        delta = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
    p = expit(score + variance * delta)
    curvature = p * (1 - p)
    state.mean[rows, arm] = mean + moved * delta[:, None]
    shrink = (curvature / (1 + curvature * variance))[:, None, None]
    state.inverse[rows, arm] = inverse - shrink * moved[:, :, None] * moved[:, None]
    return state


def _many(state: Ridge, action: np.ndarray, x: np.ndarray, y: np.ndarray) -> Ridge:
    """Observations of several users of each replication."""
    member = one_hot(action, state.mean.shape[1])
    precision = np.linalg.inv(state.inverse)
    square = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:2], -1)
    weights = state.mean
    for _ in range(_STEPS):
        p = expit(np.einsum("rud,rud->ru", x, np.take_along_axis(weights, action[..., None], 1)))
        pull = member.swapaxes(1, 2) @ (x * (y - p)[..., None])
        gram = (member.swapaxes(1, 2) @ (square * (p * (1 - p))[..., None])).reshape(state.inverse.shape)
        slope = pull - (precision @ (weights - state.mean)[..., None])[..., 0]
        step = np.linalg.solve(precision + gram, slope[..., None])[..., 0]
        # No step longer than 2 in score: Newton's method may overshoot where the sigmoid is flat.
        reach = np.abs(np.einsum("rud,rad->rua", x, step)).max(1)[..., None]
        weights = weights + step * np.minimum(1.0, 2.0 / np.maximum(reach, 1e-12))
    return Ridge(np.linalg.inv(precision + gram), weights)
