"""Time-varying bandits: rewards whose weights drift at a rate that is learned.

The weights of arm a walk at random: ``w_t = c + theta * eta_t``, ``eta_t = eta_(t-1) + v``, ``v ~ N(0, I)``; the reward
is ``y ~ N(x^T w_t, sigma^2)``. Constant part ``c``, drift rate ``theta`` of each weight, place ``eta_t`` and noise are
tracked by particle learning. A particle knows the normal-inverse-gamma posterior of ``(c, theta)`` and of ``sigma^2``
as sufficient statistics, and the Kalman filter of ``eta_t``. When the arm is shown:

1. particles are weighed by how likely they held the reward, ``N(y; x^T(c + theta * m), sigma^2 + s^T V s)`` with ``s =
   x * theta``, and drawn anew by these weights (systematic resampling);
2. the Kalman filter is updated by ``(s, y - x^T c)`` and ``eta_t`` is drawn from it;
3. the statistics of ``(c, theta)`` learn from the row ``(x, x * eta_t)`` by recursive least squares, those of
   ``sigma^2`` from its error, and ``(c, theta, sigma^2)`` are drawn anew.

TVTP takes the arm whose ``x^T w_t``, of one particle drawn for each arm and with ``eta_t`` drawn, is largest; TVUCB the
one with the largest mean plus ``alpha`` standard deviations of ``x^T w_t`` over the particles. Source: Zeng, Wang,
Mokhtari and Li, "Online Context-Aware Recommendation with Time Varying Multi-Armed Bandit", KDD 2016.

Differences from the paper:

1. An arm drifts while it is not shown, too: its filter widens by one variance of the walk for each round that passed.
2. The walk's steps are scaled: ``v ~ N(0, rate^2 I)``, so that ``theta`` near 1 is drift of a plausible speed and the
   prior of ``theta`` says what is plausible.
3. Resampling is systematic and happens only where the effective number of particles falls below half of them; weights
   are kept else.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from recgym.agents.bandits.base import BanditSpec, Context, best, mask_of, monte_carlo, one_hot
from recgym.seeding import make_generator

__all__ = ["TVTP", "TVUCB", "ParticleConfig", "Particles"]


@dataclass(frozen=True)
class ParticleConfig:
    """What is believed of arms before they are shown.

    Attributes:
        particles: of each arm.
        constant_sd: of the constant part of a weight.
        theta_sd: of the drift rate of a weight; 0 would be no drift.
        rate: standard deviation of a step of the walk.
        noise_shape: of the inverse-gamma prior of ``sigma^2``.
        noise_scale: of the same.
        seed: of the draws of the particles.
    """

    particles: int = 10
    constant_sd: float = 1.0
    theta_sd: float = 1.0
    rate: float = 0.03
    noise_shape: float = 5.0
    noise_scale: float = 1.0
    seed: int = 0


class Particles(NamedTuple):
    """P particles of each arm of each replication.

    Attributes:
        nu: drawn ``(c, theta)``.
        mean: of the posterior of ``(c, theta)``.
        cover: its covariance, in units of ``sigma^2``.
        noise: drawn ``sigma^2``.
        shape: of the inverse-gamma posterior of ``sigma^2``.
        scale: of the same.
        place: mean of the filter of eta.
        spread: its covariance.
        log_weight: of the particles, not normalised.
        shown: round in which the arm was last shown.
        round: rounds so far.
        generator: of the particles' draws.
    """

    nu: Float64[np.ndarray, "R A P 2d"]
    mean: Float64[np.ndarray, "R A P 2d"]
    cover: Float64[np.ndarray, "R A P 2d 2d"]
    noise: Float64[np.ndarray, "R A P"]
    shape: Float64[np.ndarray, "R A P"]
    scale: Float64[np.ndarray, "R A P"]
    place: Float64[np.ndarray, "R A P d"]
    spread: Float64[np.ndarray, "R A P d d"]
    log_weight: Float64[np.ndarray, "R A P"]
    shown: Float64[np.ndarray, "R A"]
    round: int
    generator: np.random.Generator


def _start(config: ParticleConfig, spec: BanditSpec) -> Particles:
    if spec.width < 1:
        raise ValueError("a time-varying bandit needs features of users, found none")
    d, lead = spec.width, (spec.replications, spec.arms, config.particles)
    generator = make_generator(config.seed, "particles", device="numpy")
    prior = np.repeat([config.constant_sd, config.theta_sd], d)
    noise = config.noise_scale / generator.gamma(config.noise_shape, size=lead)
    # The posterior's covariance is in units of sigma^2, the prior of the weights is not: it is divided by the mean.
    unit = config.noise_scale / max(config.noise_shape - 1, 1e-3)
    cover = np.broadcast_to(np.diag(prior**2 / unit), (*lead, 2 * d, 2 * d)).copy()
    nu = prior * generator.standard_normal((*lead, 2 * d))
    spread = np.broadcast_to(1e-12 * np.eye(d), (*lead, d, d)).copy()
    return Particles(
        nu, np.zeros_like(nu), cover, noise, np.full(lead, config.noise_shape), np.full(lead, config.noise_scale),
        np.zeros((*lead, d)), spread, np.zeros(lead), np.zeros(lead[:2]), 0, generator,
    )  # fmt: skip


def _weights(log_weight: np.ndarray) -> np.ndarray:
    weight = np.exp(log_weight - log_weight.max(-1, keepdims=True))
    normalised: np.ndarray = weight / weight.sum(-1, keepdims=True)
    return normalised


def _moments(config: ParticleConfig, state: Particles, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of ``x^T w_t`` under each particle, ``[R, U, A, P]``; of eta and (c, theta), both unknown."""
    d = x.shape[-1]
    theta = state.nu[..., d:]
    weight = state.mean[..., :d] + state.mean[..., d:] * state.place
    mean = np.einsum("rud,rapd->ruap", x, weight)
    age = config.rate**2 * (state.round - state.shown)
    walk = state.spread + age[:, :, None, None, None] * np.eye(d)
    walk = theta[..., :, None] * walk * theta[..., None, :]
    # What is not known of c and theta: the same quadratic form at (x, x * place).
    spot = np.concatenate([np.ones_like(state.place), state.place], -1)
    known = state.noise[..., None, None] * spot[..., :, None] * state.cover * spot[..., None, :]
    both = known[..., :d, :d] + known[..., :d, d:] + known[..., d:, :d] + known[..., d:, d:]
    flat = (walk + both).reshape(*walk.shape[:3], -1)
    square = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:2], -1)
    return mean, np.maximum(np.einsum("ruk,rapk->ruap", square, flat), 0)


class _TimeVarying:
    """What both bandits share: the particles and how they learn."""

    config: ParticleConfig

    def init_state(self, spec: BanditSpec) -> Particles:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return _start(self.config, spec)

    def update(
        self,
        state: Particles,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Particles:
        """See :class:`recgym.agents.bandits.Bandit`. A round has one user, because each moves every particle.

        Raises:
            ValueError: the round has several users.
        """
        if action.shape[1] != 1:
            raise ValueError(f"time-varying bandits learn from one user a round, found {action.shape[1]}")
        state = state._replace(round=state.round + 1)
        rows = np.flatnonzero(mask_of(mask, action)[:, 0])
        if rows.size:
            _learn(self.config, state, (rows, action[rows, 0]), context.user[rows, 0], reward[rows, 0])
        return state


def _learn(
    config: ParticleConfig, state: Particles, at: tuple[np.ndarray, np.ndarray], x: np.ndarray, y: np.ndarray
) -> None:
    """One observation of some replications, in place."""
    d, generator = x.shape[1], state.generator
    age = config.rate**2 * (state.round - state.shown[at])
    spread = state.spread[at] + age[:, None, None, None] * np.eye(d)
    nu, noise, place = state.nu[at], state.noise[at], state.place[at]
    # Weigh, and draw anew where few particles carry the weight.
    slope = x[:, None] * nu[..., d:]
    moved = (spread @ slope[..., None])[..., 0]
    error = y[:, None] - np.einsum("nd,npd->np", x, nu[..., :d]) - (slope * place).sum(-1)
    variance = noise + (slope * moved).sum(-1)
    log_weight = state.log_weight[at] - 0.5 * (np.log(variance) + error**2 / variance)
    order, log_weight = _resample(log_weight, generator)
    pick = lambda array: np.take_along_axis(array, order.reshape(order.shape + (1,) * (array.ndim - 2)), 1)  # noqa: E731
    nu, noise, place, spread, moved, error, variance = map(pick, (nu, noise, place, spread, moved, error, variance))
    mean, cover, shape, scale = map(pick, (state.mean[at], state.cover[at], state.shape[at], state.scale[at]))
    # Kalman filter of eta, and a draw of it.
    gain = moved / variance[..., None]
    place = place + gain * error[..., None]
    spread = spread - gain[..., :, None] * moved[..., None, :]
    eta = place + _correlated(spread, generator)
    # Statistics of (c, theta) and of the noise.
    row = np.concatenate([np.broadcast_to(x[:, None], eta.shape), x[:, None] * eta], -1)
    turned = (cover @ row[..., None])[..., 0]
    room = 1 + (row * turned).sum(-1)
    miss = y[:, None] - (row * mean).sum(-1)
    mean = mean + turned * (miss / room)[..., None]
    cover = cover - turned[..., :, None] * (turned / room[..., None])[..., None, :]
    shape, scale = shape + 0.5, scale + 0.5 * miss**2 / room
    noise = scale / generator.standard_gamma(shape)
    nu = mean + np.sqrt(noise)[..., None] * _correlated(cover, generator)
    for array, value in zip(state[:9], (nu, mean, cover, noise, shape, scale, place, spread, log_weight), strict=True):
        array[at] = value
    state.shown[at] = state.round


def _correlated(cover: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A normal draw with each of these covariances."""
    width = cover.shape[-1]
    level = np.trace(cover, axis1=-2, axis2=-1)[..., None, None] / width
    cover = (cover + cover.swapaxes(-1, -2)) / 2 + (1e-9 * level + 1e-15) * np.eye(width)
    noise = generator.standard_normal((*cover.shape[:-1], 1))
    drawn: np.ndarray = (np.linalg.cholesky(cover) @ noise)[..., 0]
    return drawn


def _resample(log_weight: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which particles go on, and with what weights."""
    weight, size = _weights(log_weight), log_weight.shape[1]
    few = 1 / (weight**2).sum(1) < size / 2
    ladder = (np.arange(size) + generator.random((len(weight), 1))) / size
    drawn = (weight.cumsum(1)[:, None, :-1] <= ladder[:, :, None]).sum(-1)
    order = np.where(few[:, None], drawn, np.arange(size))
    centred = log_weight - log_weight.max(1, keepdims=True)
    return order, np.where(few[:, None], 0.0, centred)


@dataclass(frozen=True)
class TVUCB(_TimeVarying):
    """See the module.

    Attributes:
        config: of the particles.
        alpha: standard deviations above the mean.
    """

    config: ParticleConfig = ParticleConfig()
    alpha: float = 1.0
    exact: ClassVar[bool] = True

    def choose(self, state: Particles, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, variance = _moments(self.config, state, context.user)
        weight = _weights(state.log_weight)[:, None]
        centre = (weight * mean).sum(-1)
        spread = (weight * (variance + (mean - centre[..., None]) ** 2)).sum(-1)
        return best(centre + self.alpha * np.sqrt(spread), context.allowed)

    def probabilities(
        self, state: Particles, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return one_hot(self.choose(state, context, generator), state.nu.shape[1])


@dataclass(frozen=True)
class TVTP(_TimeVarying):
    """See the module.

    Attributes:
        config: of the particles.
        scale: by which a particle's standard deviation is multiplied in the draw.
        draws: for propensities.
    """

    config: ParticleConfig = ParticleConfig()
    scale: float = 1.0
    draws: int = 1000
    exact: ClassVar[bool] = False

    def _scores(self, state: Particles, context: Context, draws: int, generator: np.random.Generator) -> np.ndarray:
        mean, variance = _moments(self.config, state, context.user)
        cumulative = _weights(state.log_weight).cumsum(-1)[:, None]
        threshold = generator.random((draws, *mean.shape[:3], 1))
        particle = (cumulative[..., :-1] <= threshold).sum(-1)[..., None]
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
