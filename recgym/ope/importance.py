"""Estimators that weigh logged rewards: inverse propensity weighting, its self-normalised form, and replay."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from recgym.ope.base import Fraction, LoggedRounds, of_taken
from recgym.ope.weights import Weights, importance, unshrunk

__all__ = ["IPW", "SNIPW", "Replay"]


@dataclass(frozen=True)
class IPW:
    """Inverse propensity weighting, ``mean(w r)`` (Horvitz and Thompson, 1952; Precup et al., 2000).

    Attributes:
        weigh: the weights, see :mod:`recgym.ope.weights`.
        name: in results.
    """

    weigh: Weights = importance
    name: str = "IPW"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One mean."""
        return (Fraction(self.weigh(data) * data.reward),)

    def weights(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """Of each round, before any shrinking."""
        return unshrunk(self.weigh)(data)

    def residual(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """What is weighed: the rewards."""
        return data.reward


@dataclass(frozen=True)
class SNIPW:
    """Self-normalised inverse propensity weighting, ``sum(w r) / sum(w)`` (Swaminathan and Joachims, 2015).

    Biased to order ``1 / n``, of less variance, and always within the range of the rewards.

    Attributes:
        weigh: the weights, see :mod:`recgym.ope.weights`.
        name: in results.
    """

    weigh: Weights = importance
    name: str = "SNIPW"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One quotient."""
        weight = self.weigh(data)
        return (Fraction(weight * data.reward, weight),)

    def weights(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """Of each round, before any shrinking."""
        return unshrunk(self.weigh)(data)


@dataclass(frozen=True)
class Replay:
    """Mean reward of the rounds in which a deterministic target policy would have done the same (Li et al., 2011).

    Unbiased where actions were logged uniformly at random.

    Attributes:
        name: in results.
    """

    name: str = "Replay"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One quotient, over the rounds that agree; NaN if none does.

        Raises:
            ValueError: the target policy is not deterministic.
        """
        same = self.weights(data)
        return (Fraction(same * data.reward, same),)

    def weights(self, data: LoggedRounds) -> Float64[np.ndarray, "n"]:
        """1 where the target policy agrees, else 0."""
        likely = of_taken(data.target, data.action)
        unsure = (likely > 0) & (likely < 1)
        if unsure.any():
            row = int(np.flatnonzero(unsure)[0])
            raise ValueError(
                f"replay needs a deterministic target policy; in round {row} it takes the action with probability "
                f"{likely[row]:g}"
            )
        agrees: np.ndarray = likely.astype(np.float64)
        return agrees
