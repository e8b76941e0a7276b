"""From finished runs to settings chosen on validation users, rows and claims."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recgym.evaluation.constraints import Constraint, ConstraintReport, constraint_report
from recgym.stats import t_interval
from reproductions.claims import Claim
from reproductions.tscac.arms import ARMS, LAMBDAS, Run
from reproductions.tscac.ncis import rank_agreement
from reproductions.tscac.runs import RESPONSES, arrays_of
from reproductions.tscac.world import AUXILIARIES, COSTS, MAIN

__all__ = ["chosen", "claims", "report", "rows"]

MARGIN = 0.02
CONSTRAINTS = tuple(Constraint(name, MARGIN, name in COSTS) for name in AUXILIARIES)

Runs = Sequence[dict[str, Any]]


def _seeds(runs: Runs, variant: str) -> list[int]:
    """Seeds of which every arm and setting is done."""
    done = {(run["arm"], run["setting"], run["seed"]) for run in runs if run["variant"] == variant}
    every = {seed for _, _, seed in done}
    wanted = [(arm, setting) for arm, settings in ARMS.items() for setting in settings]
    return sorted(seed for seed in every if all((arm, setting, seed) in done for arm, setting in wanted))


def _table(runs: Runs, variant: str, arm: str, setting: float, where: str) -> np.ndarray:
    """Means per video, ``[seeds, responses]``."""
    rows = {
        run["seed"]: [run[where][name] for name in RESPONSES]
        for run in runs
        if (run["variant"], run["arm"], run["setting"]) == (variant, arm, setting)
    }
    return np.array([rows[seed] for seed in _seeds(runs, variant)], dtype=np.float64).reshape(-1, len(RESPONSES))


def chosen(runs: Runs, variant: str) -> dict[str, float]:
    """The setting of each arm: on validation users the most watch time among those within the margins.

    Means over seeds are compared. Where no setting is within all margins it is the one that misses them by least.
    """
    base = _table(runs, variant, "bc", 0.0, "validation").mean(0)
    signs = np.array([-1.0 if name in COSTS else 1.0 for name in RESPONSES])
    picked = {}
    for arm, settings in ARMS.items():
        gains = [(_table(runs, variant, arm, s, "validation").mean(0) / base - 1) * signs for s in settings]
        short = [float(np.maximum(-MARGIN - gain[1:], 0).max()) for gain in gains]
        picked[arm] = min(zip(settings, short, gains, strict=True), key=lambda one: (one[1], -one[2][0]))[0]
    return picked


def report(runs: Runs, variant: str) -> ConstraintReport:
    """The arms at their chosen settings on test users; samples are seeds."""
    returns = {arm: _table(runs, variant, arm, setting, "test") for arm, setting in chosen(runs, variant).items()}
    return constraint_report(returns, RESPONSES, MAIN, CONSTRAINTS, "bc")


def rows(runs: Runs, variant: str) -> list[dict[str, Any]]:
    """A row for each arm and setting: changes against behaviour cloning on the same users and logs, in percent."""
    base, picked = _table(runs, variant, "bc", 0.0, "test"), chosen(runs, variant)
    found = []
    for arm, settings in ARMS.items():
        for setting in settings:
            mine = _table(runs, variant, arm, setting, "test")
            change = 100 * (mine - base) / base.mean(0)
            same = [run for run in runs if (run["variant"], run["arm"], run["setting"]) == (variant, arm, setting)]
            found.append(
                {
                    "variant": variant, "arm": arm, "setting": setting, "chosen": picked[arm] == setting,
                    "seeds": len(mine), "per_video": dict(zip(RESPONSES, mine.mean(0).tolist(), strict=True)),
                    "percent_against_bc": {
                        name: t_interval(change[:, column])._asdict() for column, name in enumerate(RESPONSES)
                    },
                    "session_length": float(np.mean([run["session_length"] for run in same])),
                    "ncis": float(np.mean([run["ncis"] for run in same])),
                    "ess": float(np.mean([run["ess"] for run in same])),
                    "training_seconds": float(np.mean([run["training_seconds"] for run in same])),
                }
            )  # fmt: skip
    return found


def claims(runs: Runs, variant: str, folder: Path) -> list[Claim]:
    """What the finished runs of a variant can decide; at least two seeds are needed."""
    seeds = _seeds(runs, variant)
    if len(seeds) < 2:
        return []
    held, picked = report(runs, variant), chosen(runs, variant)
    table = {arm: _table(runs, variant, arm, setting, "test")[:, 0] for arm, setting in picked.items()}
    where = f"{variant}, {len(seeds)} seeds"
    made = [_gain(where, table["tscac"], table["bc"])]
    for rival in ("rcpo", "rcpo-per-response"):
        gap = t_interval((table["tscac"] - table[rival]) / table[rival].mean())
        words = f"{where}: watch time of TSCAC minus {rival}, as a share, is not below 0 with its whole interval"
        made.append(Claim(words, gap.mean, gap.low, gap.high, 0.0, bool(gap.high >= 0)))
    for found in held.constraints["tscac"]:
        words = f"{where}: {found.constraint.response} of TSCAC is non-inferior to BC: change (harm negative) above"
        low, mean, high = (float(part) - MARGIN for part in (found.slack.low, found.slack.mean, found.slack.high))
        made.append(Claim(words, mean, low, high, -MARGIN, found.satisfied))
    made += [_worst(where, held), _falling(where, runs, variant)]
    return [*made, _ranking(where, runs, variant, folder)]


def _gain(where: str, ours: np.ndarray, theirs: np.ndarray) -> Claim:
    gain = t_interval((ours - theirs) / theirs.mean())
    words = f"{where}: watch time of TSCAC minus BC, as a share (in the paper 0.0223), is at least"
    return Claim(words, gain.mean, gain.low, gain.high, 0.03, bool(gain.mean >= 0.03))


def _worst(where: str, held: ConstraintReport) -> Claim:
    """Of the two arms and all responses, the change whose upper limit is lowest."""
    both = [found for arm in ("a2c", "rcpo") for found in held.constraints[arm]]
    worst = min(both, key=lambda found: found.slack.high)
    low, mean, high = (float(part) - MARGIN for part in (worst.slack.low, worst.slack.mean, worst.slack.high))
    words = f"{where}: A2C or RCPO lies below the margin in one response with the whole interval"
    return Claim(f"{words} (here {worst.constraint.response})", mean, low, high, -MARGIN, worst.violated)


def _falling(where: str, runs: Runs, variant: str) -> Claim:
    """Slope of watch time over the rank of lambda."""
    watch = np.stack([_table(runs, variant, "tscac", size, "test")[:, 0] for size in sorted(LAMBDAS)], 1)
    rank = np.arange(watch.shape[1]) - (watch.shape[1] - 1) / 2
    slope = t_interval(watch @ rank / (rank @ rank) / watch.mean())
    words = f"{where}: watch time rises as lambda falls: slope over the rank of lambda lies below 0"
    return Claim(words, slope.mean, slope.low, slope.high, 0.0, bool(slope.high < 0))


def _ranking(where: str, runs: Runs, variant: str, folder: Path) -> Claim:
    estimates, truth = {}, {}
    for seed in _seeds(runs, variant):
        mine = [run for run in runs if (run["variant"], run["seed"]) == (variant, seed)]
        estimates[seed] = [arrays_of(Run(variant, run["arm"], run["setting"], seed), folder) for run in mine]
        truth[seed] = [run["test"][MAIN] for run in mine]
    found = rank_agreement(estimates, truth)
    smallest = min(value.effective() for values in estimates.values() for value in values)
    words = f"{where}: NCIS ranks policies as test users do: Spearman above 0 (smallest ESS {smallest:,.0f} steps)"
    return Claim(words, found.mean, found.low, found.high, 0.0, bool(found.low > 0))
