"""What an evaluation found: ranks of every target, and on request metrics with intervals, JSON and a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from rich.table import Table

from recgym.evaluation.ranking.intervals import UserBootstrap
from recgym.evaluation.ranking.metrics import Targets, query_metrics
from recgym.evaluation.ranking.popularity import catalogue_coverage, popularity_metrics
from recgym.evaluation.ranking.protocol import TIE_RULE, RankingProtocol
from recgym.evaluation.ranking.queries import RankingQueries
from recgym.stats import Interval

__all__ = ["RankingReport", "paired_difference"]


@dataclass(frozen=True)
class RankingReport:
    """How one recommender answered some queries.

    Attributes:
        name: of the recommender.
        protocol: how it was measured.
        ks: cuts of the metrics.
        queries: what was asked.
        ranks: place of each target, from 1; :data:`UNSERVED` if it is not in a served list.
        repeated: whether each target is in the history of its query.
        lists: the first K items of each query's list (K the largest cut, or the catalogue if that is smaller); N where
            there are no more. Seen items are taken out of it if the protocol masks them, even one that is a target.
        served: length of the lists if the recommender serves lists; None if it ranks the whole catalogue.
        seconds: time of the evaluation.
        recommender_seconds: how much of it the recommender took.
    """

    name: str
    protocol: RankingProtocol
    ks: tuple[int, ...]
    queries: RankingQueries
    ranks: Int64[np.ndarray, "P"]
    repeated: Bool[np.ndarray, "P"]
    lists: Int64[np.ndarray, "Q K"]
    served: int | None
    seconds: float
    recommender_seconds: float

    def per_query(self, targets: Targets = Targets.ALL) -> Mapping[str, Float64[np.ndarray, "Q"]]:
        """Each metric of each query (see :mod:`recgym.evaluation.ranking.metrics`); NaN where it does not count."""
        chosen = targets.chosen(self.repeated)
        query = self.queries.target_query
        found = query_metrics(self.ranks[chosen], query[chosen], len(self.queries), self.ks, self.served)
        if targets is not Targets.ALL:
            return found
        return {
            **found,
            **popularity_metrics(self.lists, self.queries.targets, query, self.queries.popularity, self._list_ks),
        }

    def metrics(self, targets: Targets = Targets.ALL, bootstrap: UserBootstrap | None = None) -> Mapping[str, Interval]:
        """The mean of each metric with its interval over users, for all targets also ``coverage@k``.

        Args:
            targets: which targets count.
            bootstrap: of the queries' users; None for the default one.
        """
        bootstrap = bootstrap or UserBootstrap(self.queries.users)
        found = bootstrap.means(self.per_query(targets))
        if targets is Targets.ALL:
            for k in self._list_ks:
                found[f"coverage@{k}"] = catalogue_coverage(
                    self.lists, self.queries.users, self.queries.num_items, k, bootstrap.level
                )
        return found

    def means(self, targets: Targets = Targets.ALL) -> Mapping[str, float]:
        """The mean of each metric without its interval, as for choosing an epoch; NaN where nothing counts."""
        found = self.per_query(targets)
        return {name: float(np.nanmean(value)) if np.isfinite(value).any() else np.nan for name, value in found.items()}

    @property
    def _list_ks(self) -> tuple[int, ...]:
        return tuple(k for k in self.ks if k <= self.lists.shape[1])

    def notes(self) -> tuple[str, ...]:
        """What one should know before trusting the numbers, one sentence each."""
        queries, protocol = self.queries, self.protocol
        found = []
        if queries.leaks_time:
            found.append(_leak_note(queries))
        if protocol.candidates is not None:
            found.append(
                f"Targets are ranked among {protocol.candidates.count} sampled negatives "
                f"({protocol.candidates.law.value}): this is not consistent with full ranking and can order two models "
                "the other way round (Krichene and Rendle, KDD 2020)."
            )
        if protocol.seen.value == "masked" and self.repeated.any():
            found.append(
                f"{self.repeated.mean():.1%} of the targets were seen before; they stay candidates while all other "
                "seen items are masked, which flatters them."
            )
        if self.served is not None:
            found.append(f"Ranks are places in served lists of {self.served} items, not in a ranking of the catalogue.")
        cold = int((queries.end == queries.start).sum())
        if cold:
            found.append(f"{cold} of {len(queries)} queries come from users without history.")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold; null for what is not defined."""
        bootstrap = UserBootstrap(self.queries.users)
        subsets = list(Targets) if self.repeated.any() else [Targets.ALL]
        later = self.queries.later
        return {
            "name": self.name,
            "protocol": {**self.protocol.to_json(), "digest": self.protocol.digest()},
            "queries": len(self.queries),
            "users": len(np.unique(self.queries.users)),
            "targets": len(self.ranks),
            "repeated_share": float(self.repeated.mean()),
            "served": self.served,
            "metrics": {
                subset.value: {name: _plain(value) for name, value in self.metrics(subset, bootstrap).items()}
                for subset in subsets
            },
            "later_training": None if later is None else later._asdict(),
            "notes": list(self.notes()),
            "seconds": self.seconds,
            "recommender_seconds": self.recommender_seconds,
        }

    def table(self) -> Table:
        """The metrics of all targets, and of repeated and explored ones if there are any, for the terminal."""
        bootstrap = UserBootstrap(self.queries.users)
        subsets = list(Targets) if self.repeated.any() else [Targets.ALL]
        columns = [self.metrics(subset, bootstrap) for subset in subsets]
        protocol = self.protocol
        caption = "; ".join(
            [
                f"candidates: {'all' if protocol.candidates is None else f'{protocol.candidates.count} sampled'}",
                f"seen items {protocol.seen.value}", TIE_RULE,
                f"query time {'visible' if protocol.query_time_visible else 'hidden'}", f"protocol {protocol.digest()}",
            ]
        )  # fmt: skip
        table = Table(title=f"{self.name}: {protocol.split}", caption="\n".join([caption, *self.notes()]))
        table.add_column("metric")
        for subset in subsets:
            table.add_column(subset.value, justify="right")
        for name in columns[0]:
            table.add_row(name, *(_words(column[name]) if name in column else "" for column in columns))
        return table


def paired_difference(
    first: RankingReport, second: RankingReport, targets: Targets = Targets.ALL, bootstrap: UserBootstrap | None = None
) -> Mapping[str, Interval]:
    """The mean of each metric of ``first`` less that of ``second`` on the same queries, with its interval over users.

    Metrics that either report lacks are left out, and coverage, which is not a mean over queries.

    Args:
        first: one report.
        second: another, of the same queries and protocol.
        targets: which targets count.
        bootstrap: of the queries' users; None for the default one.

    Raises:
        ValueError: the reports answer different queries, or differ in protocol.
    """
    if first.protocol != second.protocol:
        raise ValueError(
            f"reports of one protocol can be compared, found {first.protocol.digest()} for {first.name} and "
            f"{second.protocol.digest()} for {second.name}: {first.protocol} against {second.protocol}"
        )
    asked = [(report.queries.users, report.queries.target_start, report.queries.targets) for report in (first, second)]
    if not all(np.array_equal(one, other) for one, other in zip(*asked, strict=True)):
        raise ValueError(f"reports on the same queries can be compared, {first.name} and {second.name} answer others")
    mine, theirs = first.per_query(targets), second.per_query(targets)
    bootstrap = bootstrap or UserBootstrap(first.queries.users)
    return bootstrap.means({name: mine[name] - theirs[name] for name in mine if name in theirs})


def _leak_note(queries: RankingQueries) -> str:
    note = "Leave-one-out cuts each user's own history, so training may hold events of others later than a query"
    if queries.later is None:
        return f"{note}; the log knows the order of events but no times, so how many cannot be said."
    return (
        f"{note}: that is so for {queries.later.queries:.1%} of the queries, for which {queries.later.events:.1%} of "
        "the training events are later in the mean."
    )


def _plain(interval: Interval) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in interval._asdict().items()}


def _words(interval: Interval) -> str:
    bounds = f" [{interval.low:.4f}, {interval.high:.4f}]" if np.isfinite(interval.low) else ""
    return f"{interval.mean:.4f}{bounds}"
