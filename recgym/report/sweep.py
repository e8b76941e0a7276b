"""The report of a sweep: which settings of an agent came to what over seeds, and every trial."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from recgym.report.document import Cell, Fact, Report, Section, Table
from recgym.report.making import making_section
from recgym.report.plots import policy_plot
from recgym.report.ranking import best_policies, ranked
from recgym.report.words import bounds, listed, with_bounds

__all__ = ["by_settings", "sweep_report"]

Result = Mapping[str, Any]

_OUTCOME = ("seed", "steps", "return", "low", "high", "finished")


def sweep_report(result: Result, begun: Result) -> Report:
    """The page of a sweep, also while it goes on.

    Args:
        result: of ``recgym sweep``: ``env``, ``agent``, ``trials`` and ``settings``; empty while it goes on.
        begun: what it was told: ``agent``, ``env``, ``grid``, ``seeds``, ``steps``.
    """
    told = result.get("sweep") or begun
    found = by_settings(result)
    best, known = best_policies(found), ranked(found)
    if len(best) == 1:
        summary = f"{best[0]} came to most, {with_bounds(found[best[0]], 'return')}."
    elif best:
        summary = f"{listed(best)} cannot be told apart: their intervals over seeds overlap."
    else:
        summary = "No combination of settings has come to an end yet; the trials have pages of their own."
    facts = [
        Fact("Combinations", f"{_combinations(told):,}", f"times {len(told.get('seeds') or ()):,} seeds"),
        Fact("Trials", f"{len(result.get('trials') or ()):,}", f"of {told.get('steps') or 0:,} steps"),
    ]
    sections = []
    if known:
        rows: list[Sequence[Cell]] = [
            (name, found[name]["return"], bounds(found[name]), found[name]["finished"]) for name in known
        ]
        columns = ("Settings", "Return", "Interval over seeds", "Seeds that finished")
        caption = "Mean return of a session for each combination, with its interval over seeds."
        plot = replace(policy_plot({name: found[name] for name in known}), caption=caption)
        sections.append(
            Section("Settings", "", [Table(columns, rows, "Means over the seeds that finished", 20)], [plot])
        )
    if result.get("trials"):
        sections.append(Section("Trials", "", [_trials(result["trials"])]))
    title = f"Sweep of {told.get('agent') or 'an agent'} on {told.get('env') or 'an environment'}"
    return Report(title, summary, [part for part in (*sections, making_section(result)) if part], (), facts)


def by_settings(result: Result) -> dict[str, Result]:
    """The combinations of a sweep by a name made of their values."""
    return {_named(row): row for row in result.get("settings") or ()}


def _named(row: Result) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if name not in _OUTCOME) or "as they were"


def _combinations(told: Result) -> int:
    count = 1
    for values in (told.get("grid") or {}).values():
        count *= len(values)
    return count


def _trials(trials: Sequence[Result]) -> Table:
    rows: list[Sequence[Cell]] = [
        (
            _named(row),
            str(row["seed"]),
            row["steps"],
            row["return"],
            bounds(row),
            "yes" if row["finished"] else "stopped",
        )
        for row in trials
    ]
    return Table(("Settings", "Seed", "Steps", "Return", "Interval", "Finished"), rows, "Every trial", 20)
