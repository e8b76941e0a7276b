"""Many runs on one page: a table of them all, and what can be laid over one another."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recgym.report.abtest_plots import sequence_plot
from recgym.report.document import Cell, Fact, Link, Plot, Report, Section, Table
from recgym.report.fidelity import check_parts
from recgym.report.plots import ASIDE, channel_plot, curves_plot, policy_plot, reliability_plot
from recgym.report.ranking import best_policies, ranked
from recgym.report.runs import Found, Kind, Run, State
from recgym.report.sweep import by_settings
from recgym.report.training import unit_of
from recgym.report.words import bounds, share, with_bounds

__all__ = ["overview"]

Result = Mapping[str, Any]

_RANKED_BY = ("hr@10", "ndcg@10")
_LONG_NAME, _WIDE_CHANNELS = 22, 2
_CURVES, _PLOTS, _ROWS = 12, 6, 15
"""Curves in a plot, plots of a kind, rows of a table at a time: at most."""


def overview(found: Found, title: str, target: Callable[[Run], str]) -> Report:
    """The page that compares runs.

    Args:
        found: the runs.
        title: of the page.
        target: where the link to a run leads.
    """
    runs = found.runs
    sections = [
        _table(runs, target), _learning(runs), _policies(runs), _rankings(runs), _fidelity(runs),
        _experiments(runs), _estimates(runs),
    ]  # fmt: skip
    return Report(title, _summary(runs), [section for section in sections if section], found.problems, _facts(runs))


def _summary(runs: Sequence[Run]) -> str:
    if not runs:
        return (
            "There are no runs here yet. A run is what recgym train, evaluate, demo, abtest, ope, encoder fit or "
            "simulator check writes into its --out folder; this page looks for new ones by itself."
        )
    going = sum(run.state is State.RUNNING for run in runs)
    return f"{len(runs)} runs, the newest first." + (f" {going} of them go on." if going else "")


def _facts(runs: Sequence[Run]) -> list[Fact]:
    counts = {kind: sum(run.kind is kind for run in runs) for kind in Kind}
    return [Fact(kind[0].upper() + kind[1:], f"{count:,}") for kind, count in counts.items() if count]


def _table(runs: Sequence[Run], target: Callable[[Run], str]) -> Section | None:
    if not runs:
        return None
    rows = [
        (
            Link(run.name, target(run)),
            str(run.kind),
            run.world or None,
            _outcome(run),
            str(run.state),
            _ago(run.changed),
        )
        for run in runs
    ]
    columns = ("Run", "What it is", "World or log", "What came of it", "State", "Written")
    return Section("Runs", "", [Table(columns, rows, "", _ROWS)])


def _outcome(run: Run) -> str:
    """The one figure of a run that says most."""
    result = run.result
    points = result.get("learning_curve") or []
    match run.kind:
        case Kind.ENCODER if "ranking" in result:
            found = result["ranking"]["metrics"]["all"]["ndcg@10"]
            return f"{run.config['encoder']}: NDCG@10 {with_bounds(found, 'mean')}"
        case Kind.TRAINING | Kind.OFFLINE | Kind.ENCODER:
            agent = str(run.config.get("agent") or run.config.get("encoder") or result.get("agent") or "agent")
            if not points:
                return f"{agent}, nothing yet"
            last = points[-1]
            unit = unit_of(last)
            found = f"return {with_bounds(last, 'return')}" if last.get("return") is not None else _losses(last)
            return f"{agent}: {found} after {last[unit]:,} {unit}"
        case Kind.DEMO | Kind.EVALUATION:
            return _best(result.get("policies") or {}, result.get("gate") or {})
        case Kind.CHECK:
            failed = len(result.get("failures") or ())
            return "gate passed" if result["passed"] else f"gate not passed: {failed} checks failed"
        case Kind.EXPERIMENT:
            return f"{result['replications']:,} experiments, {' against '.join(result['arms'])}"
        case Kind.OPE:
            return f"{len(result['policies'])} policies judged by {result['episodes']:,} episodes"
        case Kind.SWEEP:
            return _best(by_settings(result), {})
        case Kind.STORY:
            return f"stories under {len(run.story.get('policies') or {})} policies"
        case _:
            return "not known to this version"


def _losses(point: Result) -> str:
    named = {name: value for name, value in point.items() if name != unit_of(point) and value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in list(named.items())[:2])


def _best(policies: Mapping[str, Result], gate: Result) -> str:
    best = best_policies(policies)
    if not best:
        return ("gate passed" if gate.get("passed") else "gate not passed") if gate else "no policies"
    text = f"{best[0]}: return {with_bounds(policies[best[0]], 'return')}"
    return text + (f", not told from {len(best) - 1} more" if len(best) > 1 else "")


def _ago(changed: float) -> str:
    """How long ago, in words that stay true while a page stands: a date, once a day has gone by."""
    minutes = (time.time() - changed) / 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes:.0f} min ago"
    if minutes < 24 * 60:
        return f"{minutes / 60:.0f} h ago"
    return time.strftime("%Y-%m-%d", time.localtime(changed))


def _learning(runs: Sequence[Run]) -> Section | None:
    worlds: dict[str, dict[str, Sequence[Result]]] = {}
    for run in runs:
        points = run.result.get("learning_curve") or []
        if points and points[0].get("return") is not None:
            worlds.setdefault(run.world, {})[run.name] = points
    if not worlds:
        return None
    plots: list[Plot] = []
    for world, curves in list(worlds.items())[:_PLOTS]:
        shown = dict(list(curves.items())[:_CURVES])
        left = f" The {len(shown)} newest of {len(curves)} runs." if len(curves) > len(shown) else ""
        whose = f"{next(iter(shown))}: return" if len(shown) == 1 else "Return"
        caption = f"{whose} of a session while training{f' on {world}' if world else ''}.{left}"
        plots.append(curves_plot(shown, "steps", "return", caption, wide=len(worlds) == 1))
    text = "Curves are laid over one another where the world is the same; bands are intervals over sessions."
    return Section("Learning", text, plots=plots)


def _rankings(runs: Sequence[Run]) -> Section | None:
    """Encoders that answered the same queries by the same rules, beside one another."""
    logs: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.kind is Kind.ENCODER and "ranking" in run.result:
            logs.setdefault((run.world, run.result["ranking"]["protocol"]["digest"]), []).append(run)
    if not logs:
        return None
    tables = []
    for (world, digest), fitted in logs.items():
        found = {run.name: run.result["ranking"]["metrics"]["all"] for run in fitted}
        rows = [
            (name, *(cell for metric in _RANKED_BY for cell in (entry[metric]["mean"], bounds(entry[metric]))))
            for name, entry in sorted(found.items(), key=lambda item: -float(item[1][_RANKED_BY[-1]]["mean"]))
        ]
        columns = ("Run", *(cell for metric in _RANKED_BY for cell in (metric.upper(), "Interval")))
        tables.append(Table(columns, rows, f"{world}, protocol {digest}", _ROWS))
    return Section("Encoders", "Only figures of one protocol can be compared; intervals are over users.", tables)


def _policies(runs: Sequence[Run]) -> Section | None:
    worlds: dict[str, list[Run]] = {}
    for run in runs:
        if run.kind in (Kind.DEMO, Kind.EVALUATION) and ranked(run.result.get("policies") or {}):
            worlds.setdefault(run.world or run.name, []).append(run)
    if not worlds:
        return None
    plots: list[Plot] = []
    rows: list[Sequence[Cell]] = []
    for index, (world, here) in enumerate(worlds.items()):
        named = _named(here)
        where = f"{world}, {here[0].name}" if len(here) == 1 else world
        plots += _outcomes(named, where) if index < _PLOTS else []
        for name in ranked(named):
            entry = named[name]
            found = [f"{c} {entry['channels'][c]['mean']:.4g}" for c in entry.get("channels") or {}]
            rows.append(
                (name, where, entry["return"], bounds(entry), entry.get("session_length"), ", ".join(found) or None)
            )
    columns = ("Policy", "World or log, and run", "Return", "Interval", "Session length", "Channels")
    table = Table(columns, rows, "What policies came to, a session of a user", _ROWS)
    return Section("Outcomes", "Every policy that was rolled out, channel by channel.", [table], plots)


def _named(runs: Sequence[Run]) -> dict[str, Result]:
    """Policies of runs in one world by name, folders by their last part; several runs have theirs named beside it."""
    named: dict[str, Result] = {}
    for run in runs:
        policies = run.result["policies"]
        for name in ranked(policies):
            short = name.rstrip("/").rsplit("/", maxsplit=1)[-1]
            beside = "" if len(runs) == 1 else f"{ASIDE}{run.name}"
            label = f"{short}{beside}" if f"{short}{beside}" not in named else f"{name}{beside}"
            named[label] = policies[name]
    return named


def _outcomes(named: Mapping[str, Result], where: str) -> list[Plot]:
    """Return and channels of policies; names that are long get a wide plot, and then the first channels alone."""
    shown = dict(list(named.items())[:_CURVES])
    channels = list(dict.fromkeys(channel for entry in shown.values() for channel in entry.get("channels") or {}))
    wide = max(len(part) for name in shown for part in name.split(ASIDE)) > _LONG_NAME
    plots = [Plot(policy_plot(shown).figure, f"{where}: mean return of a session under each policy.", wide)]
    for channel in channels[: _WIDE_CHANNELS if wide else None]:
        plots.append(Plot(channel_plot(shown, channel).figure, f"{where}: {channel} in a session.", wide))
    return plots


def _fidelity(runs: Sequence[Run]) -> Section | None:
    rows: list[Sequence[Cell]] = []
    curves: dict[str, dict[str, Sequence[Result]]] = {}
    for run in runs:
        if run.kind not in (Kind.DEMO, Kind.CHECK):
            continue
        parts = check_parts(run.result) if run.kind is Kind.CHECK else run.result
        gate = parts.get("gate") or {}
        for channel, entry in (parts.get("fidelity") or {}).items():
            passed = "passed" if gate.get("passed") else "not passed"
            rows.append((
                run.name, channel, entry.get("auc"), bounds(entry, "auc"), entry.get("ece"), entry.get("rate_ratio"),
                passed if gate else None,
            ))  # fmt: skip
            if entry.get("reliability"):
                curves.setdefault(channel, {})[run.name] = entry["reliability"]
    if not rows:
        return None
    plots = [
        reliability_plot(dict(list(named.items())[:_CURVES]), channel)
        for channel, named in list(curves.items())[:_PLOTS]
    ]
    columns = ("Run", "Channel", "AUC", "Interval", "ECE", "Rate ratio", "Gate")
    caption = "ECE: expected calibration error. Rate ratio: predicted over observed rate."
    text = "How far the simulated users of each run can be trusted: a calibrated model lies on the diagonal."
    return Section("Fidelity and calibration", text, [Table(columns, rows, caption, _ROWS)], plots)


def _experiments(runs: Sequence[Run]) -> Section | None:
    rows: list[Sequence[Cell]] = []
    plots: list[Plot] = []
    for run in (run for run in runs if run.kind is Kind.EXPERIMENT):
        compared, looks = run.result.get("comparisons") or [], run.result.get("looks") or []
        for row in compared:
            rows.append((
                run.name, f"{row['metric']}: {row['arm']}, {row['method']}", row["truth"], share(row["rejected"]),
                row["users"], share(row["coverage"]),
            ))  # fmt: skip
        valid = [row for row in compared if row["method"] not in ("peeking", "fixed") and row.get("path")]
        if valid and len(looks) > 1:
            row = valid[-1]
            name = f"{run.name}: {row['arm']}, {row['metric']}, {row['method']}"
            plots.append(sequence_plot(looks, row["path"], row["truth"], name))
    if not rows:
        return None
    columns = ("Run", "Comparison", "True difference", "Finds a difference", "Users when it stops", "Bounds cover")
    text = "Always-valid bounds over the looks of one experiment of each run, and what came of all experiments."
    return Section("A/B sequences", text, [Table(columns, rows, "", _ROWS)], plots[:_PLOTS])


def _estimates(runs: Sequence[Run]) -> Section | None:
    rows: list[Sequence[Cell]] = []
    for run in (run for run in runs if run.kind is Kind.OPE):
        for policy, entry in run.result["policies"].items():
            known = (entry.get("online") or {}).get("return")
            for each in entry["estimates"]:
                rows.append((
                    run.name, policy, str(each["estimator"]), each["value"], bounds(each),
                    each["diagnostics"].get("effective_n"), known,
                ))  # fmt: skip
    if not rows:
        return None
    columns = ("Run", "Policy", "Estimator", "Value", "Interval", "Effective sample size", "Really earned")
    return Section("Off-policy estimates", "", [Table(columns, rows, "", _ROWS)])
