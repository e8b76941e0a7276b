"""Ways to compare two arms by name, each made for the size of an experiment and the spread of a metric."""

import math
from enum import StrEnum

from scipy import stats

from recgym.abtest.always_valid import MSPRT, ConfidenceSequence, StitchedSequence, mixture_scale
from recgym.abtest.decisions import Analysis
from recgym.abtest.fixed import FixedHorizon
from recgym.abtest.group_sequential import GroupSequential, Spending

__all__ = ["Method", "analysis_for", "detectable_effect"]

_GROUPS = 5
_BURN_IN = 100


class Method(StrEnum):
    """How arms are compared."""

    FIXED = "fixed"
    PEEKING = "peeking"
    MSPRT = "msprt"
    CONFIDENCE_SEQUENCE = "confidence-sequence"
    STITCHED = "stitched"
    OBRIEN_FLEMING = "obrien-fleming"
    POCOCK = "pocock"

    @property
    def peek(self) -> bool | None:
        """What :func:`recgym.abtest.decide` is told: to stop at any look where only a fixed horizon is allowed."""
        return True if self is Method.PEEKING else None


def detectable_effect(sd: float, first: float, second: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The difference that a z-test of two arms of these sizes finds with this power (the far tail left out).

    Args:
        sd: of the metric between users.
        first: users of one arm.
        second: users of the other.
        alpha: level.
        power: wanted.
    """
    scores = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(scores * sd * math.sqrt(1 / first + 1 / second))


def analysis_for(
    method: Method, looks: tuple[int, ...], effect: float, alpha: float = 0.05, burn_in: int = _BURN_IN
) -> Analysis:
    """The analysis of a name.

    Group sequential tests get five evenly spaced looks among those planned, or all if there are fewer.

    Args:
        method: which.
        looks: how many users of both arms will have come at each look, ascending.
        effect: to which mixtures are tuned; see :func:`recgym.abtest.mixture_scale`.
        alpha: level.
        burn_in: users of each arm before the first look of an always-valid analysis counts.
    """
    match method:
        case Method.FIXED | Method.PEEKING:
            return FixedHorizon(alpha)
        case Method.MSPRT:
            return MSPRT(mixture_scale(effect), alpha, burn_in)
        case Method.CONFIDENCE_SEQUENCE:
            return ConfidenceSequence(mixture_scale(effect), alpha, burn_in)
        case Method.STITCHED:
            return StitchedSequence(alpha, burn_in)
        case Method.OBRIEN_FLEMING | Method.POCOCK:
            groups = min(_GROUPS, len(looks))
            planned = tuple(looks[round((k + 1) * len(looks) / groups) - 1] for k in range(groups))
            return GroupSequential(planned, Spending(method.value), alpha)
