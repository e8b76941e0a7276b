"""How many users, and how many days, an experiment needs."""

import math
from typing import NamedTuple

from scipy import optimize, stats

from recgym.abtest.group_sequential import Spending, boundaries, crossing

__all__ = ["Plan", "duration_days", "group_sequential_users", "power", "required_users"]


class Plan(NamedTuple):
    """What a planned experiment can show.

    Attributes:
        users: in both arms together.
        power: probability of finding the planned effect.
        effect: planned difference in means.
        sd: standard deviation of the metric between users.
        alpha: level.
        treated: share of users in the treatment arm.
    """

    users: int
    power: float
    effect: float
    sd: float
    alpha: float
    treated: float


def _score(users: float, effect: float, sd: float, treated: float) -> float:
    """Expected score at the end."""
    return abs(effect) / sd * math.sqrt(users * treated * (1 - treated))


def power(users: float, effect: float, sd: float, alpha: float = 0.05, treated: float = 0.5) -> float:
    """Probability that a two-sided z-test of so many users in all rejects.

    Args:
        users: in both arms together.
        effect: true difference in means.
        sd: standard deviation of the metric between users.
        alpha: level.
        treated: share of users in the treatment arm.
    """
    score, edge = _score(users, effect, sd, treated), stats.norm.ppf(1 - alpha / 2)
    return float(stats.norm.sf(edge - score) + stats.norm.cdf(-edge - score))


def required_users(effect: float, sd: float, wanted: float = 0.8, alpha: float = 0.05, treated: float = 0.5) -> Plan:
    """The fewest users with which a two-sided z-test at one look finds an effect with the wanted probability.

    Raises:
        ValueError: effect or spread are not positive, or power, level or share do not lie between 0 and 1.
    """
    _check(effect, sd, wanted, alpha, treated)

    def missing(users: float) -> float:
        return power(users, effect, sd, alpha, treated) - wanted

    high = 4.0
    while missing(high) < 0:
        high *= 2
    users = math.ceil(optimize.brentq(missing, 1e-9, high))
    return Plan(users, power(users, effect, sd, alpha, treated), effect, sd, alpha, treated)


def group_sequential_users(
    effect: float,
    sd: float,
    looks: int,
    kind: Spending = Spending.OBRIEN_FLEMING,
    wanted: float = 0.8,
    alpha: float = 0.05,
    treated: float = 0.5,
) -> Plan:
    """The same for a test with evenly spaced looks; ``users`` are those of an experiment that goes on to its end.

    Raises:
        ValueError: as :func:`required_users`, or there is no look.
    """
    _check(effect, sd, wanted, alpha, treated)
    if looks < 1:
        raise ValueError(f"at least 1 look is needed, found {looks}")
    share = tuple((k + 1) / looks for k in range(looks))
    bound = boundaries(kind, share, alpha)
    drift = float(optimize.brentq(lambda x: crossing(bound, share, x) - wanted, 0.0, 20.0))
    users = math.ceil((drift * sd / effect) ** 2 / (treated * (1 - treated)))
    return Plan(users, crossing(bound, share, _score(users, effect, sd, treated)), effect, sd, alpha, treated)


def duration_days(users: int, users_a_day: float) -> int:
    """Whole days until so many new users have come.

    Raises:
        ValueError: no users come.
    """
    if not users_a_day > 0:
        raise ValueError(f"users must come each day, found {users_a_day}")
    return math.ceil(users / users_a_day)


def _check(effect: float, sd: float, wanted: float, alpha: float, treated: float) -> None:
    if not effect > 0 or not sd > 0:
        raise ValueError(f"effect and standard deviation must be positive, found {effect} and {sd}")
    for name, value in (("power", wanted), ("alpha", alpha), ("share of treated users", treated)):
        if not 0 < value < 1:
            raise ValueError(f"the {name} must lie between 0 and 1, found {value}")
    if wanted <= alpha:
        raise ValueError(f"a test of level {alpha} has at least that power, found a wanted power of {wanted}")
