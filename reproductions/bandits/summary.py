"""From regrets to rows and claims."""

from typing import Any

import numpy as np

from recgym.stats import t_interval
from reproductions.bandits.arms import DRIFT_PLAIN
from reproductions.bandits.regret import Regret, slopes
from reproductions.claims import Claim

__all__ = ["Found", "clusters", "drift", "peers", "prices", "row", "stationary"]

Found = dict[tuple[str, str], Regret]
"""Regret by part and bandit."""

LEARNERS_OF_DRIFT = ("TVUCB", "TVTP")


def row(part: str, name: str, found: Regret) -> dict[str, Any]:
    """What one bandit did in one world."""
    interval = t_interval(found.last)
    curve = zip(found.steps.tolist(), found.total.mean(1).tolist(), strict=True)
    return {
        "part": part, "bandit": name, "steps": int(found.steps[-1]), "replications": len(found.last),
        "regret": float(interval.mean), "low": float(interval.low), "high": float(interval.high),
        "share_of_random": float(found.share_of_random.mean()), "seconds": round(found.seconds, 1),
        "curve": [[step, round(value, 2)] for step, value in curve],
    }  # fmt: skip


def _ends(claim: str, values: np.ndarray, reference: float, below: bool, by: str = "mean") -> Claim:
    """A claim about the mean, or about the end of its interval that lies towards the reference."""
    mean, low, high = (float(value) for value in t_interval(values))
    end = mean if by == "mean" else high if below else low
    return Claim(claim, mean, low, high, reference, end < reference if below else end > reference)


def stationary(found: Found, low: int) -> list[Claim]:
    """Regret that grows more slowly than rounds, and is small beside that of random arms."""
    made = []
    for name in ("LinUCB", "LinTS"):
        run = found["stationary", name]
        span = f"from {low:,} to {run.steps[-1]:,}"
        sentence = f"{name}, weights that stay: slope of log regret over log rounds {span}, upper limit below 0.75"
        made.append(_ends(sentence, slopes(run, low), 0.75, True, "limit"))
        sentence = f"{name}, weights that stay: regret after {run.steps[-1]:,} rounds, share of that of random arms"
        made.append(_ends(f"{sentence}, at most 0.1", run.share_of_random, 0.1, True))
    return made


def _saved(found: Found, part: str, name: str, plain: str) -> np.ndarray:
    """Share of the plain bandit's mean regret that the other saved, by replication."""
    theirs = found[part, plain].last
    saved: np.ndarray = (theirs - found[part, name].last) / theirs.mean()
    return saved


def drift(found: Found) -> list[Claim]:
    """Less regret under drift; hardly more without, for those that learn the rate of drift."""
    made = []
    for name, plain in DRIFT_PLAIN.items():
        saved = _saved(found, "drifting", name, plain)
        made.append(_ends(f"{name} under drift: regret saved beside {plain}, share, at least 0.2", saved, 0.2, False))
    for name in LEARNERS_OF_DRIFT:
        price = -_saved(found, "staying", name, DRIFT_PLAIN[name])
        sentence = f"{name} without drift: more regret than {DRIFT_PLAIN[name]}, share, at most 0.1"
        made.append(_ends(sentence, price, 0.1, True))
    return made


def prices(found: Found) -> list[str]:
    """What forgetting costs where nothing drifts."""
    notes = []
    for name in ("DiscountedLinUCB", "SlidingLinUCB"):
        mean, low, high = t_interval(-_saved(found, "staying", name, DRIFT_PLAIN[name]))
        notes.append(f"{name} without drift: {mean:.2f} [{low:.2f}, {high:.2f}] more regret than LinUCB, as a share")
    return notes


def clusters(found: Found) -> list[Claim]:
    """Sharing within clusters helps where there are clusters, and not where there are none."""
    helped = _saved(found, "clustered", "ClusterTS", "GaussianTS")
    none = _saved(found, "without clusters", "ClusterTS", "GaussianTS")
    mean, low, high = (float(value) for value in t_interval(none))
    return [
        _ends("ClusterTS in clusters: regret saved beside GaussianTS, share, above 0", helped, 0.0, False, "limit"),
        Claim(
            "ClusterTS without clusters: regret saved beside GaussianTS, share, not above 0", mean, low, high, 0.0,
            low <= 0.0,
        ),
    ]  # fmt: skip


def peers(ours: dict[str, np.ndarray], theirs: dict[str, list[float]]) -> list[Claim]:
    """On the same rounds, the difference of regret to a peer's is within noise."""
    made = []
    for name, regret in ours.items():
        reference = np.asarray(theirs[name])
        mean, low, high = (float(value) for value in t_interval(regret - reference))
        exact = bool(np.abs(regret - reference).max() <= 1e-9)
        made.append(
            Claim(
                f"regret less that of {name} ({reference.mean():.1f}) on the same rounds: 0, within noise", mean, low,
                high, 0.0, exact or low <= 0.0 <= high,
            )
        )  # fmt: skip
    return made
