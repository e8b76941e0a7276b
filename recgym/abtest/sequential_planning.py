"""Plans of tests that may stop at any look: their power has no formula, so it is simulated."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from recgym.abtest.decisions import Analysis, decide
from recgym.abtest.looks import Looks
from recgym.seeding import make_generator

__all__ = ["SequentialPlan", "plan_by_simulation"]

_MOST_LOOKS = 1024


class SequentialPlan(NamedTuple):
    """What a test with many looks needs.

    Attributes:
        users: in both arms together, the longest that the experiment may take.
        power: probability to find the effect by then.
        expected_users: mean of the users when it stops.
        stopped: users at which each simulated experiment rejected; ``users`` and one look more if it did not.
    """

    users: int
    power: float
    expected_users: float
    stopped: Int64[np.ndarray, "R"]


def plan_by_simulation(
    analysis: Callable[[tuple[int, ...]], Analysis],
    effect: float,
    sd: float,
    every: int,
    wanted: float = 0.8,
    *,
    treated: float = 0.5,
    replications: int = 10_000,
    seed: int = 0,
) -> SequentialPlan:
    """The fewest users at a look with which a test that looks on and on finds an effect with the wanted probability.

    Users are normal and looks are sums of them, so one pass over long experiments gives the law of stopping: the plan
    is a quantile of it. Experiments are made twice as long until the quantile is reached.

    Args:
        analysis: from the users at each look to a test that allows peeking, whatever their number.
        effect: true difference in means.
        sd: standard deviation of the metric between users.
        every: users between looks.
        wanted: power.
        treated: share of users in the treatment arm.
        replications: simulated experiments.
        seed: root seed.

    Raises:
        ValueError: a number is not positive, or the effect is not found within 1024 looks.
    """
    if not effect > 0 or not sd > 0 or every < 2:
        raise ValueError(f"effect, sd and users between looks must be positive, found {effect}, {sd} and {every}")
    longest = 64
    while longest <= _MOST_LOOKS:
        at = tuple(every * (k + 1) for k in range(longest))
        looks = _normal_looks(effect, sd, longest, every, treated, replications, seed)
        decisions = decide(analysis(at), looks, peek=True)
        if decisions.rejected.mean() >= wanted:
            stopped = np.where(decisions.rejected, np.asarray(at)[decisions.look], at[-1] + every)
            users = int(np.quantile(stopped, wanted, method="higher"))
            spent = np.minimum(stopped, users)
            return SequentialPlan(users, float((stopped <= users).mean()), float(spent.mean()), stopped)
        longest *= 2
    raise ValueError(
        f"an effect of {effect:g} at a spread of {sd:g} is not found with {_MOST_LOOKS} looks {every} users apart; "
        "look less often"
    )


def _normal_looks(
    effect: float, sd: float, looks: int, every: int, treated: float, replications: int, seed: int
) -> Looks:
    """Looks at normal users whose variance is known to the analysis, as it is after many users."""
    generator = make_generator(seed, "plan", looks, "numpy")
    each = np.array([every * (1 - treated), every * treated])
    users = each * np.arange(1, looks + 1)[:, None]
    means = np.empty((replications, looks, 2))
    for arm in (0, 1):
        steps = generator.normal(0.0, sd * each[arm] ** 0.5, (replications, looks))
        means[:, :, arm] = steps.cumsum(1) / users[:, arm]
    means[:, :, 1] += effect
    counts = np.broadcast_to(np.round(users).astype(np.int64), means.shape)
    return Looks(counts, means, np.full_like(means, sd**2))
