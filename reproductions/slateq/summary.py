"""From the finished runs to rows and claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recgym.stats import t_interval
from reproductions.claims import Claim, at_least, at_most, difference
from reproductions.slateq.arms import LONG_TERM, MYOPIC, PUBLISHED

__all__ = ["best_long_term", "claims", "lifts", "rows", "user_claims"]

Runs = Sequence[dict[str, Any]]

ROUNDING = 1e-4
"""Minutes: what float32 values of about 100 leave uncertain."""
_MEANS = ("quality", "steps", "choice_error", "exact_minus_greedy", "steps_per_s")


def _by_seed(runs: Runs, arm: str) -> dict[int, float]:
    return {run["seed"]: run["return"] for run in runs if run["arm"] == arm}


def lifts(runs: Runs, arm: str) -> list[float]:
    """Per cent by which an arm's sessions are longer than random ones, seed by seed, on the same users."""
    random, ours = _by_seed(runs, "random"), _by_seed(runs, arm)
    return [100 * (ours[seed] / random[seed] - 1) for seed in sorted(set(ours) & set(random))]


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One row an arm: minutes a session, lift over random slates, and what was seen beside it."""
    made = []
    for arm in dict.fromkeys(run["arm"] for run in runs):
        mine = [run for run in runs if run["arm"] == arm]
        returns, lift = np.array([run["return"] for run in mine]), np.array(lifts(runs, arm))
        row = {
            "arm": arm, "seeds": len(mine), "return": float(returns.mean()), "lift_percent": float(lift.mean()),
            "published": PUBLISHED.get(arm),
            "published_lift_percent": 100 * (PUBLISHED[arm] / PUBLISHED["random"] - 1) if arm in PUBLISHED else None,
            "by_seed": [round(value, 2) for value in returns.tolist()],
        }  # fmt: skip
        if len(mine) > 1:
            interval, of_lift = t_interval(returns), t_interval(lift)
            row |= {"low": float(interval.low), "high": float(interval.high)}
            row |= {"lift_low": float(of_lift.low), "lift_high": float(of_lift.high)}
        row |= {name: float(np.mean([run[name] for run in mine])) for name in _MEANS if name in mine[0]}
        made.append(row)
    return made


def best_long_term(runs: Runs) -> str:
    """The long-term arm with the longest sessions."""
    there = {run["arm"] for run in runs}
    return max((arm for arm in LONG_TERM if arm in there), key=lambda arm: float(np.mean(lifts(runs, arm))))


def _exact_claim(runs: Runs) -> Claim:
    least = min(run["least_exact_minus_greedy"] for run in runs if "least_exact_minus_greedy" in run)
    sentence = "exact slate minus greedy slate, least of all users and runs, minutes: not below 0 but for rounding"
    return Claim(sentence, least, least, least, -ROUNDING, least >= -ROUNDING)


def claims(runs: Runs) -> list[Claim]:
    """What runs with several seeds decide: lifts in per cent, differences in minutes, paired over the same users."""
    best = best_long_term(runs)
    myopic = lifts(runs, MYOPIC)
    made = [
        at_least("lift of the myopic agent over random slates, per cent, at least 3", myopic, 3.0),
        at_most("lift of the myopic agent over random slates, per cent, at most 7", myopic, 7.0),
        at_least(f"lift of the best long-term agent ({best}) over random slates, per cent, at least 8",
                 lifts(runs, best), 8.0),
    ]  # fmt: skip
    theirs = _by_seed(runs, MYOPIC)
    for arm in LONG_TERM:
        ours = _by_seed(runs, arm)
        common = sorted(set(ours) & set(theirs))
        if len(common) > 1:
            sentence = f"{arm} minus {MYOPIC}, minutes a session, {len(common)} seeds: above 0"
            made.append(difference(sentence, [ours[s] for s in common], [theirs[s] for s in common]))
    return [*made, _exact_claim(runs)]


def user_claims(runs: Runs) -> list[Claim]:
    """What a single seed decides: intervals are over its users, who are the same for all arms."""
    returns = {run["arm"]: np.array(run["returns"]) for run in runs}
    best = best_long_term(runs)
    over_random = t_interval(100 * (returns[best] - returns["random"]) / returns["random"].mean())
    lift = Claim(
        f"lift of {best} over random slates, per cent (one seed, interval over users), at least 8",
        float(over_random.mean), float(over_random.low), float(over_random.high), 8.0, bool(over_random.mean >= 8),
    )  # fmt: skip
    gap = difference(
        f"{best} minus {MYOPIC}, minutes a session (one seed, interval over users): above 0",
        returns[best].tolist(), returns[MYOPIC].tolist(),
    )  # fmt: skip
    return [lift, gap, _exact_claim(runs)]
