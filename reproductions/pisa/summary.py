"""What the table claims: ratios that the paper reports, controls where nothing is to be gained, and who wins."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recgym.evaluation.ranking import UserBootstrap
from recgym.stats import Interval
from reproductions.claims import Claim, at_least, at_most, difference
from reproductions.pisa.bounds import BOUNDS
from reproductions.pisa.data import DATASETS
from reproductions.pisa.models import BASELINES, MODELS
from reproductions.pisa.runs import RUNS, SEEDS, Run, per_query

__all__ = ["claims", "done", "notes"]

Row = dict[str, Any]
CONTROLS = ("markov", "iid")
REAL = ("online-retail", "wikipedia")


def done(folder: Path) -> list[Run]:
    """The runs that are finished."""
    return [run for run in RUNS if (folder / f"{run.key}.json").exists()]


def claims(rows: Sequence[Row], folder: Path) -> list[Claim]:
    """What the finished runs can decide."""
    table = _Table(rows)
    stated: list[Callable[[], Claim | None]] = [
        lambda: _repeats(table),
        lambda: _ratio(table, "session-sasrec", 1.5, "paper: 2.28 on LFM-1b, 1.85 on Deezer"),
        lambda: _above(table, "tifu-knn", "paper: 1.34 and 1.09 times"),
        lambda: _best_on_repeats(table),
        lambda: _nothing_explored(table),
        lambda: _spreading_gains_most(table),
        *(partial(_control, name, folder) for name in CONTROLS),
    ]
    return [claim for state in stated if (claim := state()) is not None]


class _Table:
    """Means by data set and model, in the order of seeds."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {(row["dataset"], row["model"], row["seed"]): row for row in rows if "seed" in row}

    def all_seeds(self, dataset: str, *models: str) -> bool:
        """Whether every seed of all these models is done."""
        return all((dataset, model, seed) in self._rows for model in models for seed in SEEDS)

    def means(self, dataset: str, model: str, metric: str) -> np.ndarray:
        """The mean of a metric, a seed each."""
        return np.array([self._rows[dataset, model, seed][metric]["mean"] for seed in SEEDS])

    def repeats(self, dataset: str, model: str) -> list[float]:
        """The share of repeats in the log, a seed each."""
        return [self._rows[dataset, model, seed]["repeats_of_log"] for seed in SEEDS]


def _repeats(table: _Table) -> Claim | None:
    if not table.all_seeds("actr", "g-top"):
        return None
    found = at_least("actr: share of repeats in the log, between 0.6 and 0.7", table.repeats("actr", "g-top"), 0.6)
    return Claim(found.claim, found.value, found.low, found.high, found.reference, 0.6 <= found.value <= 0.7)


def _ratio(table: _Table, other: str, reference: float, paper: str) -> Claim | None:
    if not table.all_seeds("actr", "pisa-p", other):
        return None
    ours, theirs = (table.means("actr", model, "ndcg@10") for model in ("pisa-p", other))
    return at_least(f"actr: NDCG@10 of pisa-p over that of {other} ({paper})", list(ours / theirs), reference)


def _above(table: _Table, other: str, paper: str) -> Claim | None:
    if not table.all_seeds("actr", "pisa-p", other):
        return None
    ours, theirs = (table.means("actr", model, "ndcg@10") for model in ("pisa-p", other))
    return difference(f"actr: NDCG@10 of pisa-p minus {other} ({paper})", list(ours), list(theirs))


def _best_on_repeats(table: _Table) -> Claim | None:
    apart = {"actr-repeat", "actr-repeat-bl", *BOUNDS}
    rivals = [model for model in MODELS if model not in apart and table.all_seeds("actr", model)]
    if not table.all_seeds("actr", "actr-repeat", *BASELINES):
        return None
    ours = table.means("actr", "actr-repeat", "ndcg@10_repeated")
    theirs = np.max([table.means("actr", model, "ndcg@10_repeated") for model in rivals], axis=0)
    words = "actr: NDCG@10 on repeated items of actr-repeat minus the best of all others"
    return at_least(words, list(ours - theirs), 0.0)


def _nothing_explored(table: _Table) -> Claim | None:
    if not table.all_seeds("actr", "actr-repeat"):
        return None
    found = table.means("actr", "actr-repeat", "ndcg@10_explored")
    return at_most("actr: NDCG@10 on explored items of actr-repeat is 0", list(found), 0.0)


def _spreading_gains_most(table: _Table) -> Claim | None:
    steps = ("pisa-bl", "pisa-bl-spr", "pisa-p")
    if not table.all_seeds("actr", *steps):
        return None
    base, spreading, matching = (table.means("actr", model, "ndcg@10") for model in steps)
    words = "actr: what spreading adds to base level in NDCG@10 minus what matching adds to both (paper, %: 2.09, 0.12)"
    return at_least(words, list((spreading - base) - (matching - spreading)), 0.0)


def _control(dataset: str, folder: Path) -> Claim | None:
    """Nothing is to be gained: the upper limit of the difference is at most 5 % of the plain model's NDCG."""
    parts: list[list[np.ndarray]] = [[], [], []]
    for seed in SEEDS:
        ours, theirs = (Run(dataset, model, seed) for model in ("pisa-p", "session-sasrec"))
        found = per_query(ours, folder, "ndcg@10"), per_query(theirs, folder, "ndcg@10")
        users = per_query(ours, folder, "users")
        if found[0] is None or found[1] is None or users is None:
            return None
        for part, values in zip(parts, (users * len(SEEDS) + seed, found[0] - found[1], found[1]), strict=True):
            part.append(values)
    users, less, plain = (np.concatenate(part) for part in parts)
    mean, low, high = np.array(UserBootstrap(users).means({"less": less})["less"]) / plain.mean()
    words = f"{dataset}: NDCG@10 of pisa-p minus session-sasrec, of the latter's, is at most 0.05 with its upper limit"
    return Claim(words, float(mean), float(low), float(high), 0.05, bool(high <= 0.05))


def notes(rows: Sequence[Row]) -> list[str]:
    """How far a ranking can get where the law is known; on real logs, which model is best, and what it wins by."""
    found = _ceiling(_Table(rows))
    for dataset in REAL:
        mine = [row for row in rows if row.get("dataset") == dataset and "ndcg@10" in row]
        if mine:
            found.append(_winner(dataset, mine))
    return [*found, f"data sets: {', '.join(DATASETS)}; models: {', '.join(MODELS)}"]


def _ceiling(table: _Table) -> list[str]:
    names = ("oracle", "session-sasrec", "pisa-p", "tifu-knn")
    if not table.all_seeds("actr", *names):
        return []
    oracle, plain, pisa, tifu = (float(table.means("actr", name, "ndcg@10").mean()) for name in names)
    return [
        f"actr: who knows the law by which people choose has an NDCG@10 of {oracle:.3f}, {oracle / plain:.2f} times "
        f"session-sasrec's; tifu-knn has {tifu / oracle:.0%} of it, pisa-p {pisa / oracle:.0%}"
    ]


def _winner(dataset: str, rows: Sequence[Row]) -> str:
    """A sentence or two on the best model, beside the best of the other kind."""

    def best(simple: bool) -> Row | None:
        kind = [row for row in rows if (row["model"] in BASELINES) == simple]
        return max(kind, key=lambda row: row["ndcg@10"]["mean"]) if kind else None

    def parts(row: Row) -> str:
        values = [row[f"ndcg@10{part}"]["mean"] or 0.0 for part in ("_repeated", "_explored")]
        return f"{values[0]:.3f} on repeated and {values[1]:.3f} on explored items"

    ranked = [row for row in (best(True), best(False)) if row is not None]
    ranked.sort(key=lambda row: -row["ndcg@10"]["mean"])
    winner, kind = ranked[0], "a simple baseline" if ranked[0]["model"] in BASELINES else "a learned model"
    interval = Interval(**winner["ndcg@10"])
    words = (
        f"{dataset}: {kind}, {winner['model']}, is best by NDCG@10 ({interval.mean:.3f} [{interval.low:.3f}, "
        f"{interval.high:.3f}]), with {parts(winner)}; {winner['repeats_of_targets']:.0%} of the items to be found are "
        f"repeats, and {winner['repeats@10']['mean']:.0%} of its lists"
    )
    if len(ranked) == 1:
        return words
    other = ranked[1]
    return (
        f"{words}. {other['model']} has {other['ndcg@10']['mean']:.3f}, with {parts(other)}; "
        f"{other['repeats@10']['mean']:.0%} of its lists are repeats"
    )
