"""The direct method: believe the model."""

from dataclasses import dataclass

from recgym.ope.base import Fraction, LoggedRounds

__all__ = ["DM"]


@dataclass(frozen=True)
class DM:
    """``mean(sum_a target(a) q(a))`` (Beygelzimer and Langford, 2009): low variance, and the model's bias.

    Attributes:
        name: in results.
    """

    name: str = "DM"

    def fractions(self, data: LoggedRounds) -> tuple[Fraction, ...]:
        """One mean; needs ``q``."""
        return (Fraction(data.q_target),)
