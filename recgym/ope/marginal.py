"""Weights of states in place of weights of histories: the variance no longer grows exponentially with the steps.

Where few states are visited again and again, how often a policy reaches a state by step t can be estimated; a product
of all ratios before is then not needed. Sources: Xie, Ma and Wang (arXiv 1906.03393) for marginal importance sampling,
Kallus and Uehara (arXiv 1908.08526) for double reinforcement learning, Uehara, Huang and Jiang (arXiv 1910.12809) for
minimax weight learning, Nachum et al. (arXiv 1906.04733) for DualDICE.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int64

from recgym.ope.base import Fraction, Trajectories, needed

__all__ = ["DICE", "DRL", "MIS", "minimax_weights", "state_ratios", "weighted_value"]


def state_ratios(
    state: Int64[np.ndarray, "n T"], data: Trajectories, folds: int = 1, generator: np.random.Generator | None = None
) -> Float64[np.ndarray, "n T"]:
    """How much likelier the target policy is to be in a state at a step: ``d_pi,t(s) / d_beta,t(s)``.

    ``d_beta,t`` counts visits; ``d_pi,t+1(s') = mean_i ratio_t(s_i) rho_t,i 1[s_t+1,i = s']``, from the first step on,
    where both are the same.

    Args:
        state: number of each step's state, from 0; whatever at padding.
        data: gives ratios and mask.
        folds: with more than one, what an episode gets is estimated from the episodes of other folds, as
            :class:`DRL` needs it where it is fitted on the same log.
        generator: draws the folds.

    Raises:
        ValueError: the states do not have the shape of the data, or folds are asked for without a generator.
    """
    if state.shape != data.mask.shape:
        raise ValueError(f"states have shape {state.shape}, the trajectories {data.mask.shape}")
    if folds == 1:
        return _ratios(state, data, np.ones(data.n, bool))
    if generator is None or folds < 1:
        raise ValueError(f"folds need a generator and a positive number, found {folds}")
    fold = generator.permutation(np.arange(data.n) % folds)
    ratios = np.ones(data.mask.shape)
    for each in range(folds):
        ratios[fold == each] = _ratios(state, data, fold != each)[fold == each]
    return ratios


def _ratios(state: np.ndarray, data: Trajectories, used: np.ndarray) -> np.ndarray:
    states = int(state[data.mask].max()) + 1
    ratios = np.ones(data.mask.shape)
    for t in range(1, data.mask.shape[1]):
        here = data.mask[:, t] & used
        arrived = np.bincount(state[here, t], minlength=states)
        weight = ratios[here, t - 1] * data.ratio[here, t - 1]
        wanted = np.bincount(state[here, t], weights=weight, minlength=states)
        table = np.divide(wanted, arrived, out=np.zeros(states), where=arrived > 0)
        there = data.mask[:, t]
        ratios[there, t] = table[state[there, t]]
    return ratios


@dataclass(frozen=True)
class MIS:
    """Marginal importance sampling: ``mean sum_t gamma^t d_t rho_t r_t`` with ``d_t`` of :func:`state_ratios`.

    Attributes:
        ratios: of the states of the data at hand.
    """

    name: ClassVar[str] = "MIS"

    ratios: Float64[np.ndarray, "n T"]

    def weights(self, data: Trajectories) -> Float64[np.ndarray, "n"]:
        """See :class:`recgym.ope.base.Weighted`: the mean weight of an episode's steps."""
        weight: np.ndarray = (self.ratios * data.ratio * data.mask).sum(1) / data.mask.sum(1)
        return weight

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`. Resamples keep the ratios as they are."""
        return (Fraction((self.ratios * data.ratio * data.reward) @ data.discount),)


@dataclass(frozen=True)
class DRL:
    """Double reinforcement learning: ``mean sum_t gamma^t (d_t rho_t (r_t - Q_t) + d_t V_t)``.

    :class:`recgym.ope.TrajectoryDR` with weights of states in place of weights of histories; right if either the
    ratios or the model are, and of the least variance that any regular estimator has if both are.

    Attributes:
        ratios: of the states of the data at hand, cross-fitted.
    """

    name: ClassVar[str] = "DRL"

    ratios: Float64[np.ndarray, "n T"]

    def weights(self, data: Trajectories) -> Float64[np.ndarray, "n"]:
        """See :class:`recgym.ope.base.Weighted`."""
        return MIS(self.ratios).weights(data)

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`. Resamples keep the ratios as they are."""
        q, v = needed(data.q, "q"), needed(data.v, "v")
        step = self.ratios * data.ratio * (data.reward - q) + self.ratios * v
        return (Fraction((step * data.mask) @ data.discount),)


@dataclass(frozen=True)
class DICE:
    """``sum w_t r_t / sum w_t (1 - gamma alive_t)``: weights of discounted visits; no product of ratios, no discount.

    Whatever visits are like, what flows into an episode has to flow out of it, at its end or by the discount; so what
    is below is 1 an episode for exact weights, and mends the scale of others. ``alive`` is 1 but for the last step.

    Attributes:
        weight: of the steps of the data at hand, from :func:`recgym.ope.dice.fitted_dice` or :func:`minimax_weights`.
    """

    name: ClassVar[str] = "DICE"

    weight: Float64[np.ndarray, "n T"]

    def weights(self, data: Trajectories) -> Float64[np.ndarray, "n"]:
        """See :class:`recgym.ope.base.Weighted`: the mean weight of an episode's steps."""
        weight: np.ndarray = (self.weight * data.mask).sum(1) / data.mask.sum(1)
        return weight

    def fractions(self, data: Trajectories) -> tuple[Fraction, ...]:
        """See :class:`recgym.ope.base.Estimator`. Resamples keep the weights as they are."""
        weight = self.weight * data.mask
        alive = np.concatenate([data.mask[:, 1:], np.zeros((data.n, 1), bool)], 1)
        return (Fraction((weight * data.reward).sum(1), (weight * (1 - data.gamma * alive)).sum(1)),)


def minimax_weights(
    features: Float64[np.ndarray, "n D"],
    later: Float64[np.ndarray, "n D"],
    first: Float64[np.ndarray, "e D"],
    gamma: float,
    ridge: float = 1e-6,
) -> Float64[np.ndarray, "n"]:
    """Weights of steps by minimax weight learning with linear functions, which is DICE with linear functions too.

    Weights and critics are both linear in the features, so the game has a closed form: ``w = Phi beta`` with
    ``mean((Phi - gamma Phi') Phi') beta = mean(Phi_0)``. The saddle points of DualDICE (whose inner maximisation spares
    it two draws of the next state) and GradientDICE are the same where that matrix can be inverted. They are weights of
    discounted occupancy: see :func:`weighted_value`.

    Args:
        features: ``phi(s, a)`` of each step.
        later: ``sum_a pi(a | s') phi(s', a)`` of the step after; zero after the end of an episode.
        first: the same of the first states of episodes.
        gamma: discount factor.
        ridge: added to the diagonal, in units of its mean.
    """
    moments = (features - gamma * later).T @ features / len(features)
    lift = ridge * np.abs(np.diag(moments)).mean() * np.eye(len(moments))
    weight: np.ndarray = features @ np.linalg.lstsq(moments + lift, first.mean(0), rcond=None)[0]
    return weight


def weighted_value(weight: Float64[np.ndarray, "n"], reward: Float64[np.ndarray, "n"]) -> float:
    """The value of an episode: ``mean(w r)``.

    Weights of steps have the mean discounted length of an episode under the target policy as their mean, where the
    features can express it.
    """
    return float((weight * reward).mean())
