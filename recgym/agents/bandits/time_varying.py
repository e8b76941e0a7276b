"""Time-varying bandits: rewards whose weights drift at a rate that is learned.

The weights of arm a walk at random: ``w_t = c + theta * eta_t``, ``eta_t = eta_(t-1) + v``, ``v ~ N(0, I)``; the reward
is ``y ~ N(x^T w_t, sigma^2)``. Source: Zeng, Wang, Mokhtari and Li, "Online Context-Aware Recommendation with Time
Varying Multi-Armed Bandit", KDD 2016. A particle is one drift rate theta. Given theta, ``w_t`` and ``sigma^2`` have a
normal-inverse-gamma posterior that is followed exactly: with ``m``, ``P`` of the arm (P in units of ``sigma^2``) and
``a``, ``b`` of the noise,

* for n rounds that passed since the arm was shown, ``P += n theta^2 I``;
* a reward with error ``e = y - x^T m`` and room ``s = 1 + x^T P x`` moves ``m += P x e / s``, ``P -= P x x^T P / s``,
  ``a += 1/2``, ``b += e^2 / (2 s)``;
* the particle's weight is multiplied by how likely it held the reward, a Student density: ``(b s)^(-1/2) (1 + e^2 / (2
  b s))^(-a - 1/2)`` with a and b from before.

TVUCB takes the arm with the largest mean of ``x^T w_t`` plus ``alpha`` standard deviations, over the particles; TVTP
draws a particle and then ``x^T w_t`` of every arm, and takes the largest.

Differences from the paper:

1. Particles carry theta only, as values that stay: all else is integrated out and not drawn, so there is nothing to
   resample and no noise of a small number of particles.
2. Theta is one number for all arms and weights, in units of the noise, where the paper has a vector for each arm: a
   service has seen enough to tell one number, and arms that are seldom shown profit from the others.
3. An arm drifts while it is not shown, too. But no arm becomes less certain than it was before anything was known.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from recgym.agents.bandits.base import BanditSpec, Certain, Context, best, mask_of, monte_carlo

__all__ = ["TVTP", "TVUCB", "DriftPrior", "Particles"]


@dataclass(frozen=True)
class DriftPrior:
    """What is believed before any reward.

    Attributes:
        rates: theta of each particle: standard deviation of a weight's step in one round, in units of the noise.
        weight_sd: of a weight at the start, in the same units.
        noise_shape: of the inverse-gamma prior of ``sigma^2``.
        noise_scale: of the same; their quotient is about the variance that is expected.
    """

    rates: tuple[float, ...] = (0.0, 0.01, 0.02, 0.04, 0.08)
    weight_sd: float = 1.0
    noise_shape: float = 2.0
    noise_scale: float = 0.5

    def __post_init__(self) -> None:
        if not self.rates or min(self.rates) < 0 or self.weight_sd <= 0:
            raise ValueError(f"drift rates must not be negative, and there must be some; found {self.rates}")


class Particles(NamedTuple):
    """P particles of each replication.

    Attributes:
        mean: of the weights of each arm (m).
        cover: their covariance in units of ``sigma^2`` (P), as of the round in which the arm was last shown.
        shape: a, the same for all particles.
        scale: b.
        log_weight: of the particles; the largest is 0.
        shown: round in which each arm was last shown.
        round: rounds so far.
    """

    mean: Float64[np.ndarray, "R A P d"]
    cover: Float64[np.ndarray, "R A P d d"]
    shape: Float64[np.ndarray, "R"]
    scale: Float64[np.ndarray, "R P"]
    log_weight: Float64[np.ndarray, "R P"]
    shown: Float64[np.ndarray, "R A"]
    round: int

    def weights(self) -> Float64[np.ndarray, "R P"]:
        """Probability of each drift rate."""
        weight = np.exp(self.log_weight)
        normalised: np.ndarray = weight / weight.sum(1, keepdims=True)
        return normalised


class _TimeVarying:
    """What both bandits share: what is known, and how it is learned."""

    prior: DriftPrior

    def init_state(self, spec: BanditSpec) -> Particles:
        """See :class:`recgym.agents.bandits.Bandit`."""
        if spec.width < 1:
            raise ValueError("a time-varying bandit needs features of users, found none")
        prior, r, p = self.prior, spec.replications, len(self.prior.rates)
        cover = np.tile(prior.weight_sd**2 * np.eye(spec.width), (r, spec.arms, p, 1, 1))
        return Particles(
            np.zeros(cover.shape[:-1]), cover, np.full(r, prior.noise_shape), np.full((r, p), prior.noise_scale),
            np.zeros((r, p)), np.zeros((r, spec.arms)), 0,
        )  # fmt: skip

    def moments(
        self, state: Particles, x: Float64[np.ndarray, "R U d"]
    ) -> tuple[Float64[np.ndarray, "R U A P"], Float64[np.ndarray, "R U A P"]]:
        """Mean and variance of ``x^T w_t`` under each particle."""
        r, arms, p, d = state.mean.shape
        mean = (x @ state.mean.reshape(r, arms * p, d).swapaxes(1, 2)).reshape(r, -1, arms, p)
        square = (x[..., :, None] * x[..., None, :]).reshape(r, -1, d * d)
        variance = (square @ state.cover.reshape(r, arms * p, d * d).swapaxes(1, 2)).reshape(mean.shape)
        length = (x * x).sum(-1)[..., None, None]
        walked = (state.round - state.shown)[:, None, :, None] * np.square(self.prior.rates)
        variance = np.clip(variance + walked * length, 0, self.prior.weight_sd**2 * length)
        return mean, variance * (state.scale / state.shape[:, None])[:, None, None]

    def update(
        self,
        state: Particles,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Particles:
        """See :class:`recgym.agents.bandits.Bandit`. A round has one user: the order of rewards matters.

        Raises:
            ValueError: the round has several users.
        """
        if action.shape[1] != 1:
            raise ValueError(f"time-varying bandits learn from one user a round, found {action.shape[1]}")
        state = state._replace(round=state.round + 1)
        rows = np.flatnonzero(mask_of(mask, action)[:, 0])
        return self._learned(state, rows, action[rows, 0], context.user[rows, 0], reward[rows, 0])

    def _learned(self, state: Particles, rows: np.ndarray, arm: np.ndarray, x: np.ndarray, y: np.ndarray) -> Particles:
        at, d = (rows, arm), x.shape[1]
        age = (state.round - state.shown[at])[:, None] * np.square(self.prior.rates)
        cover = state.cover[at] + age[..., None, None] * np.eye(d)
        # No wider than at first, in any direction's average: the whole is scaled down.
        wide = np.trace(cover, axis1=-2, axis2=-1) / (d * self.prior.weight_sd**2)
        cover /= np.maximum(wide, 1.0)[..., None, None]
        moved = (cover @ x[:, None, :, None])[..., 0]
        room = 1 + np.einsum("npd,nd->np", moved, x)
        mean = state.mean[at]
        error = y[:, None] - np.einsum("npd,nd->np", mean, x)
        scale, shape = state.scale[rows], state.shape[rows]
        half_square = error**2 / (2 * room)
        log_weight = state.log_weight[rows] - 0.5 * np.log(scale * room)
        log_weight -= (shape[:, None] + 0.5) * np.log1p(half_square / scale)
        state.mean[at] = mean + moved * (error / room)[..., None]
        state.cover[at] = cover - moved[..., :, None] * (moved / room[..., None])[..., None, :]
        state.shape[rows], state.scale[rows] = shape + 0.5, scale + half_square
        state.log_weight[rows] = log_weight - log_weight.max(1, keepdims=True)
        state.shown[at] = state.round
        return state


@dataclass(frozen=True)
class TVUCB(_TimeVarying, Certain[Particles]):
    """See the module.

    Attributes:
        prior: what is believed before any reward, with the particles' drift rates.
        alpha: standard deviations above the mean.
    """

    prior: DriftPrior = DriftPrior()
    alpha: float = 2.5

    def scores(self, state: Particles, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        mean, variance = self.moments(state, context.user)
        weight = state.weights()[:, None, None]
        centre = (weight * mean).sum(-1)
        spread = (weight * (variance + (mean - centre[..., None]) ** 2)).sum(-1)
        scores: np.ndarray = centre + self.alpha * np.sqrt(spread)
        return scores


@dataclass(frozen=True)
class TVTP(_TimeVarying):
    """See the module.

    Attributes:
        prior: what is believed before any reward, with the particles' drift rates.
        scale: by which standard deviations are multiplied in the draw.
        draws: for propensities.
    """

    prior: DriftPrior = DriftPrior()
    scale: float = 0.7
    draws: int = 1000
    exact: ClassVar[bool] = False

    def _scores(self, state: Particles, context: Context, draws: int, generator: np.random.Generator) -> np.ndarray:
        mean, variance = self.moments(state, context.user)
        cumulative = state.weights().cumsum(1)[:, None, None]
        # One drift rate for all arms of a draw, because it is the same for all of them.
        threshold = generator.random((draws, *mean.shape[:2], 1, 1))
        particle = np.broadcast_to((cumulative[..., :-1] <= threshold).sum(-1), (draws, *mean.shape[:3]))[..., None]
        chosen = np.take_along_axis(mean[None], particle, -1)[..., 0]
        sd = np.sqrt(np.take_along_axis(variance[None], particle, -1)[..., 0])
        drawn: np.ndarray = chosen + self.scale * sd * generator.standard_normal(chosen.shape)
        return drawn

    def choose(self, state: Particles, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return best(self._scores(state, context, 1, generator)[0], context.allowed)

    def probabilities(
        self, state: Particles, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return monte_carlo(self._scores(state, context, self.draws, generator), context.allowed)
