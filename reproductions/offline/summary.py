"""From finished runs to rows and claims."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recgym.ope.diagnostics import ENOUGH
from recgym.stats import Interval, rank_correlation, t_interval
from reproductions.claims import Claim, difference
from reproductions.offline.arms import ARMS, BASES, missing
from reproductions.offline.valuing import ESTIMATES

__all__ = ["claims", "rows"]

Runs = Sequence[dict[str, Any]]

_MEASURES = ("return", "watch_time", "like", "days_away", "steps")


def _of(runs: Runs, world: str, arm: str) -> dict[int, dict[str, Any]]:
    """The runs of an arm that came to figures, by seed."""
    mine = [run for run in runs if run["world"] == world and run["arm"] == arm]
    return {run["seed"]: run for run in mine if "reason" not in run}


def _estimate(run: dict[str, Any], estimator: str) -> float:
    value = run["estimates"].get(estimator, {}).get("value")
    return float("nan") if value is None else float(value)


def _interval(values: Sequence[float]) -> dict[str, float | None]:
    found = t_interval(np.asarray(values, np.float64))._asdict()
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def rows(runs: Runs, world: str) -> list[dict[str, Any]]:
    """A row for each arm; of those without figures, why there are none."""
    return [_row(runs, world, arm) for arm in ARMS]


def _row(runs: Runs, world: str, arm: str) -> dict[str, Any]:
    row: dict[str, Any] = {"world": world, "arm": arm}
    mine, base = _of(runs, world, arm), _of(runs, world, BASES.get(arm, "bc"))
    if not mine:
        reasons = [run["reason"] for run in runs if (run["world"], run["arm"]) == (world, arm)]
        return row | {"reason": reasons[0] if reasons else missing(arm) or "not run yet"}
    some, common = list(mine.values()), sorted(mine.keys() & base.keys())
    row |= {
        "held_against": BASES.get(arm, "bc"),
        "seeds": len(some),
        "training_seconds": float(np.mean([run["training_seconds"] for run in some])),
    }
    if world == "short-video":
        row |= {name: _interval([run["test"][name] for run in some]) for name in _MEASURES}
        gains = [mine[seed]["test"]["return"] - base[seed]["test"]["return"] for seed in common]
        row["return_gain"] = _interval(gains)
    row["estimates"] = {name: _summed(mine, base, "estimates", name) for name in ESTIMATES}
    if world == "ebnerd":
        row["read_time"] = {name: _summed(mine, base, "read_time", name) for name in ESTIMATES[:2]}
        row["logged"] = _interval([run["logged"] for run in some])
    return row


def _summed(mine: dict[int, Any], base: dict[int, Any], kind: str, name: str) -> dict[str, Any]:
    """An estimate over seeds, its gain over another arm on the same users, and what each seed said by itself."""
    by_seed = {seed: run[kind][name] for seed, run in mine.items() if name in run[kind]}
    if not by_seed:
        return {"reason": "a model of values sees one observation at a time, and the policy has a memory"}
    known = {seed: found["value"] for seed, found in by_seed.items() if found["value"] is not None}
    if not known:
        return {"reason": "the log never does what the policy does: no episode has a weight above 0"}
    cloned = {seed: base[seed][kind].get(name, {}).get("value") for seed in base}
    gains = [value - cloned[seed] for seed, value in known.items() if cloned.get(seed) is not None]
    return _interval(list(known.values())) | {
        "gain": _interval(gains) if gains else None,
        "ess": float(np.mean([found["ess"] for found in by_seed.values()])),
        "rows": float(np.mean([found["rows"] for found in by_seed.values()])),
        "supported_seeds": sum(not found["warnings"] for found in by_seed.values()),
        "by_seed": {str(seed): [found[key] for key in ("value", "low", "high")] for seed, found in by_seed.items()},
    }


def claims(runs: Runs, world: str) -> list[Claim]:
    """What the finished runs of a world can decide."""
    return _short_video(runs) if world == "short-video" else _ebnerd(runs)


def _paired(runs: Runs, first: str, second: str) -> tuple[list[float], list[float], str]:
    """Returns of two arms on the same users: one a log, or of a single log one for each seed of users."""
    ours, theirs = _of(runs, "short-video", first), _of(runs, "short-video", second)
    common = sorted(ours.keys() & theirs.keys())
    if len(common) == 1:
        seed = common[0]
        return ours[seed]["test"]["returns"], theirs[seed]["test"]["returns"], "seeds of users, one log"
    values = [[side[seed]["test"]["return"] for seed in common] for side in (ours, theirs)]
    return values[0], values[1], f"{len(common)} logs"


def _short_video(runs: Runs) -> list[Claim]:
    if not _of(runs, "short-video", "bc"):
        return []
    made = []
    ours, theirs, where = _paired(runs, "bc", "random")
    if theirs:
        made.append(difference(f"short-video, {where}: return of BC minus random, above 0", ours, theirs))
    gains, logs = {}, set()
    for arm, base in BASES.items():
        ours, theirs, where = _paired(runs, arm, base)
        if len(ours) > 1:
            gains[arm] = np.subtract(ours, theirs)
            logs.add(where)
    if gains:
        words = "return of 10 % BC or an RL arm minus BC served alike, above 0"
        made.append(_best(gains, f"short-video, {' or '.join(sorted(logs))}: {words}"))
    for estimator in ESTIMATES:
        found = _agreement(runs, estimator)
        if found is not None:
            made.append(found)
    return made


def _best(gains: dict[str, np.ndarray], words: str) -> Claim:
    """The gain whose lower limit is highest; limits are those of as many comparisons as there are."""
    level = 1 - 0.05 / len(gains)
    found = {arm: t_interval(values, level) for arm, values in gains.items()}
    arm = max(found, key=lambda name: found[name].low)
    best: Interval = found[arm]
    words = f"{words} (best of {len(gains)}: {arm}; level {level:.4f})"
    return Claim(words, best.mean, best.low, best.high, 0.0, bool(best.low > 0))


def _agreement(runs: Runs, estimator: str) -> Claim | None:
    """Spearman between estimated and true values over arms, one a log; None where too few can be compared."""
    found, arms = [], set()
    seeds = sorted({run["seed"] for run in runs if run["world"] == "short-video"})
    for seed in seeds:
        pairs = []
        for arm in ARMS:
            run = _of(runs, "short-video", arm).get(seed)
            if run is not None and np.isfinite(_estimate(run, estimator)):
                pairs.append((_estimate(run, estimator), run["test"]["return"]))
                arms.add(arm)
        value = rank_correlation(*np.array(pairs, np.float64).reshape(-1, 2).T)
        if np.isfinite(value):
            found.append(value)
    # Of several logs one alone says nothing of the others.
    if len(found) < min(len(seeds), 2):
        return None
    mean, low, high = np.clip(t_interval(np.array(found)), -1, 1) if len(found) > 1 else (found[0],) * 3
    words = f"short-video, logs: {len(found)}: {estimator} ranks up to {len(arms)} arms as the truth: Spearman, above 0"
    return Claim(words, float(mean), float(low), float(high), 0.0, bool(low > 0))


def _ebnerd(runs: Runs) -> list[Claim]:
    base = _of(runs, "ebnerd", "bc")
    made = []
    if len(base) > 1:
        share = [run["estimates"]["NCIS"]["ess"] / run["estimates"]["NCIS"]["rows"] for run in base.values()]
        found = t_interval(np.array(share))
        words = (
            f"ebnerd, {len(base)} folds: share of the held-out sessions that BC's weights are worth (ESS), above 0.5"
        )
        made.append(Claim(words, found.mean, found.low, found.high, 0.5, bool(found.low > 0.5)))
    for estimator in ("NCIS", "DR"):
        gains = {}
        for arm, rival in BASES.items():
            values = _supported(_of(runs, "ebnerd", arm), _of(runs, "ebnerd", rival), estimator)
            if len(values) > 1:
                gains[arm] = values
        if gains:
            words = f"ebnerd, {len(base)} folds: {estimator} of 10 % BC or an RL arm minus BC served alike, above 0"
            made.append(_best(gains, f"{words}, of arms with an ESS of {ENOUGH} in every fold"))
    return made


def _supported(ours: dict[int, Any], theirs: dict[int, Any], estimator: str) -> np.ndarray:
    """Gains in an estimate, one a fold; none where a fold's log is worth too few sessions of either policy."""
    gains = []
    for seed in sorted(ours.keys() & theirs.keys()):
        pair = [side[seed]["estimates"].get(estimator) for side in (ours, theirs)]
        if any(found is None or found["value"] is None or found["ess"] < ENOUGH for found in pair):
            return np.array([])
        gains.append(pair[0]["value"] - pair[1]["value"])
    return np.array(gains)
