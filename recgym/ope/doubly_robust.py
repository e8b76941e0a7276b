"""Estimators that correct a model by weighted rewards, or switch between the two."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from recgym.ope.base import Fraction, LoggedRounds, needed, of_taken
from recgym.ope.weights import Weights, importance, unshrunk

__all__ = ["DR", "SNDR", "SwitchIPW"]


@dataclass(frozen=True)
class DR:
    """Doubly robust: ``mean(sum_a target(a) q(a) + w (r - q(a_i)))`` (Dudik et al., 2011).

    Unbiased if the propensities are true or the model is; a good model takes variance away. With other weights it is
    Switch-DR (:class:`~recgym.ope.weights.Switched`), DRos (:class:`~recgym.ope.weights.Shrunk`) or the sub-Gaussian
    DR (:class:`~recgym.ope.weights.SubGaussian`).

    Attributes:
        weigh: the weights, see :mod:`recgym.ope.weights`.
        name: in results.
    """

    weigh: Weights = importance
    name: str = "DR"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One mean; needs ``q``."""
        return (Fraction(data.q_target + self.weigh(data) * (data.reward - data.q_taken)),)

    def weights(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """Of each round, before any shrinking."""
        return unshrunk(self.weigh)(data)

    def residual(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """What is weighed: rewards less what the model expects."""
        residual: np.ndarray = data.reward - data.q_taken
        return residual


@dataclass(frozen=True)
class SNDR:
    """Self-normalised doubly robust: ``mean(sum_a target(a) q(a)) + sum(w (r - q(a_i))) / sum(w)``.

    Attributes:
        weigh: the weights, see :mod:`recgym.ope.weights`.
        name: in results.
    """

    weigh: Weights = importance
    name: str = "SNDR"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """A mean and a quotient; needs ``q``."""
        weight = self.weigh(data)
        return (Fraction(data.q_target), Fraction(weight * (data.reward - data.q_taken), weight))

    def weights(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """Of each round, before any shrinking."""
        return unshrunk(self.weigh)(data)


@dataclass(frozen=True)
class SwitchIPW:
    """``mean(w r 1[w <= t] + sum_a target(a) q(a) 1[w(a) > t])``: the model only for what is weighed heavily.

    The Switch estimator of Wang et al. (2017) over IPW; actions that the logging policy never takes count as of
    infinite weight. Unlike Switch-DR the model is not used where weights are small.

    Attributes:
        threshold: largest weight that is trusted.
        name: in results.
    """

    threshold: float
    name: str = "Switch-IPW"

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise ValueError(f"threshold must not be negative, found {self.threshold}")

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One mean; needs ``q`` and ``logging``."""
        q, logging = needed(data.q, "q"), needed(data.logging, "logging")
        heavy = data.target > self.threshold * logging
        trusted = np.where(of_taken(heavy, data.action), 0.0, data.weight)
        return (Fraction(trusted * data.reward + np.einsum("na,na,na->n", heavy, data.target, q)),)
