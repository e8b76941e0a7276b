"""From the finished runs on long-term satisfaction to rows and claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recgym.stats import t_interval
from reproductions.claims import Claim, at_least, at_most, difference
from reproductions.sim2rec.arms import TARGET

__all__ = ["claims", "rows"]

Runs = Sequence[dict[str, Any]]


def _scores(runs: Runs, setting: str, arm: str, choc: int = TARGET, measure: str = "score") -> dict[int, float]:
    """By seed."""
    return {
        run["seed"]: run["tests"][str(choc)][measure] for run in runs if (run["setting"], run["arm"]) == (setting, arm)
    }


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One row for each setting, arm and world tested: normalised score and share of the oracle, mean over seeds."""
    found = []
    for setting, arm in dict.fromkeys((run["setting"], run["arm"]) for run in runs):
        mine = [run for run in runs if (run["setting"], run["arm"]) == (setting, arm)]
        for choc in (TARGET, 6, 8):
            score = list(_scores(runs, setting, arm, choc).values())
            share = list(_scores(runs, setting, arm, choc, "of_oracle").values())
            interval = t_interval(np.asarray(score)) if len(score) > 1 else None
            found.append(
                {
                    "setting": setting, "arm": arm, "choc": choc, "seeds": len(score), "score": sum(score) / len(score),
                    "low": None if interval is None else float(interval.low),
                    "high": None if interval is None else float(interval.high),
                    "by_seed": [round(value, 4) for value in score], "of_oracle": sum(share) / len(share),
                    "steps": mine[0]["steps"], "seconds": round(sum(run["seconds"] for run in mine) / len(mine), 1),
                }
            )  # fmt: skip
            if choc == TARGET and "alone" in mine[0]:
                found[-1]["served_one_by_one"] = sum(run["alone"] for run in mine) / len(mine)
                found[-1]["probe"] = [run["probe"] for run in mine]
    return found


def _paired(
    runs: Runs, setting: str, arms: tuple[str, str], choc: int, measure: str
) -> tuple[list[float], list[float]]:
    ours, theirs = (_scores(runs, setting, arm, choc, measure) for arm in arms)
    common = sorted(set(ours) & set(theirs))
    return [ours[seed] for seed in common], [theirs[seed] for seed in common]


def claims(runs: Runs) -> list[Claim]:
    """The claims that the finished runs can decide: those with two seeds or more."""
    made: list[Claim] = []

    def compare(
        setting: str, ours: str, theirs: str, reference: float, choc: int = TARGET, measure: str = "score"
    ) -> None:
        one, two = _paired(runs, setting, (ours, theirs), choc, measure)
        if len(one) > 1:
            where = f"{setting}, choc {choc}, {measure}, {len(one)} seeds"
            sentence = f"{where}: {ours} minus {theirs} is above {reference:g}"
            made.append(difference(sentence, one, two, reference))

    compare("alpha=4", "sim2rec", "dr_uni", 0.1)
    compare("alpha=4", "dr_uni", "direct_transfer", 0.0)
    compare("alpha=4", "sim2rec", "dr_osi", -0.03)
    for alpha in (2, 6):
        compare(f"alpha={alpha}", "sim2rec", "dr_uni", 0.1)
    for choc in (6, 8):
        compare("from=10", "sim2rec", "dr_osi", 0.0, choc, "of_oracle")
    target = list(_scores(runs, "alpha=4", "sim2rec").values())
    if len(target) > 1:
        made.append(at_least("alpha=4, choc 14: normalised score of sim2rec, target", target, 0.75))
        made.append(at_least("alpha=4, choc 14: normalised score of sim2rec, aim", target, 0.85))
    probes = [run["probe"] for run in runs if (run["setting"], run["arm"]) == ("alpha=4", "sim2rec")]
    if len(probes) > 1:
        worst = [max(probe["rmse_by_step"].values()) for probe in probes]
        made.append(at_most("alpha=4: RMSE of a linear probe of v for unseen chocs, at its worst step", worst, 0.6))
    return made
