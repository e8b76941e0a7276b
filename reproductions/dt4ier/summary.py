"""From the finished runs to rows and claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recgym.stats import t_interval
from reproductions.claims import Claim, at_least, at_most
from reproductions.dt4ier.arms import ABLATIONS
from reproductions.dt4ier.data import PARTS

__all__ = ["claims", "gain", "rows"]

NON_INFERIOR = -2.0

Runs = Sequence[dict[str, Any]]


def gain(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Mean of ``100 (ours / theirs - 1)`` over seeds, and its 95 % interval."""
    percent = 100 * (np.asarray(ours) / np.asarray(theirs) - 1)
    interval = t_interval(percent)
    return float(interval.mean), float(interval.low), float(interval.high)


def rows(runs: Runs, references: Runs, duels: Runs) -> list[dict[str, Any]]:
    """One row an arm: both parts with intervals over seeds; then the duels and the ablations in per cent."""
    found = []
    everything = [*references, *runs, *({**duel, "arm": f"dt4ier against {duel['rival']}"} for duel in duels)]
    for arm in dict.fromkeys(run["arm"] for run in everything):
        mine = [run for run in everything if run["arm"] == arm]
        row: dict[str, Any] = {"arm": arm, "seeds": len(mine)}
        for axis, part in enumerate(PARTS):
            values = np.array([run["test"][axis] for run in mine])
            row[part] = float(values.mean())
            if len(mine) > 1:
                interval = t_interval(values)
                row[f"{part}, low"], row[f"{part}, high"] = float(interval.low), float(interval.high)
        row |= {name: [run[name] for run in mine] for name in ("prompt", "axis 0", "axis 1") if name in mine[0]}
        if "cpu_seconds" in mine[0]:
            row["cpu_seconds"] = round(sum(run["cpu_seconds"] for run in mine) / len(mine), 1)
        found.append(row)
    return found + _ablations(runs)


def _paired(runs: Runs, one: str, other: str, axis: int) -> tuple[list[float], list[float]]:
    by_seed = [{run["seed"]: run["test"][axis] for run in runs if run["arm"] == arm} for arm in (one, other)]
    seeds = sorted(set(by_seed[0]) & set(by_seed[1]))
    return [by_seed[0][seed] for seed in seeds], [by_seed[1][seed] for seed in seeds]


def _ablations(runs: Runs) -> list[dict[str, Any]]:
    """What each part of DT4IER adds, in per cent of the ablation, both asked for the same."""
    found = []
    for ablation in ABLATIONS:
        for axis, part in enumerate(PARTS):
            ours, theirs = _paired(runs, "dt4ier", ablation, axis)
            if len(ours) > 1:
                mean, low, high = gain(ours, theirs)
                told = low > 0 or high < 0
                found.append(
                    {
                        "comparison": f"dt4ier over {ablation}", "part": part, "percent": mean, "low": low,
                        "high": high, "seeds": len(ours), "told_from_zero": told,
                    }
                )  # fmt: skip
    return found


def claims(runs: Runs, duels: Runs) -> list[Claim]:
    """The claims that two seeds or more can decide."""
    made: list[Claim] = []
    for rival in dict.fromkeys(duel["rival"] for duel in duels):
        mine = [duel for duel in duels if duel["rival"] == rival]
        if len(mine) > 1:
            made += _duel(rival, mine)
    full = [run for run in runs if run["arm"] == "dt4ier"]
    if len(full) > 1:
        for axis, part in enumerate(PARTS):
            rank = [run[f"axis {axis}"]["spearman"] for run in full]
            made.append(at_least(f"dt4ier, {part}: Spearman of what is asked for and what users do", rank, 0.7))
        apart = [max(run["nearest"], *(run[f"axis {axis}"]["nearest"] for axis in (0, 1))) for run in full]
        made.append(
            at_most("dt4ier: distance of the loneliest prompt from the log's episodes, in deviations", apart, 0.5)
        )
    return made


def _duel(rival: str, duels: Runs) -> list[Claim]:
    """Better in one part, and not worse than by 2 % in the other."""
    gains = [gain([duel["test"][axis] for duel in duels], [duel["theirs"][axis] for duel in duels]) for axis in (0, 1)]
    better = 0 if gains[0][1] >= gains[1][1] else 1
    other = 1 - better
    where = f"dt4ier over {rival}, {len(duels)} seeds, common users"
    return [
        Claim(f"{where}: {PARTS[better]}, per cent, above 0", *gains[better], 0.0, gains[better][1] > 0),
        Claim(f"{where}: {PARTS[other]}, per cent, not below -2", *gains[other], NON_INFERIOR,
              gains[other][1] > NON_INFERIOR),
    ]  # fmt: skip
