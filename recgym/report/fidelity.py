"""The section of a report that says how far the simulated users can be trusted."""

from collections.abc import Mapping, Sequence
from typing import Any

from recgym.report.document import Cell, Fact, Plot, Report, Section, Table, Tone
from recgym.report.plots import distribution_plot, rates_plot, reliability_plot, survival_plot
from recgym.report.words import bounds

__all__ = ["check_parts", "check_report", "fidelity_section"]

Result = Mapping[str, Any]

_TEXT = (
    "The simulated users are held against the end of the log, which they have not seen. A good simulator ranks "
    "items as people do (AUC above the baselines), predicts rates that come true (points on the diagonal) and ends "
    "sessions when people do."
)
_FREE_RUN = (
    "Whole sessions were simulated from the same starts as {sessions:,} held-out ones of {users:,} users, with the "
    "same slates. A classifier that looks at whole sessions tells the two apart with an AUC of {auc:.3f}: 0.5 is what "
    "it gets where nothing tells them apart, 1 where everything does."
)


def fidelity_section(result: Result) -> Section | None:
    """What a check of fidelity found, or None if there was none.

    Args:
        result: any of ``fidelity``, ``session_length``, ``free_run`` and ``gate``; see
            :meth:`recgym.evaluation.fidelity.FidelityReport.to_json`.
    """
    channels, length, run, gate = (result.get(key) or {} for key in ("fidelity", "session_length", "free_run", "gate"))
    if not (channels or length or run or gate):
        return None
    plots = _calibration(channels)
    if length.get("observed") and length.get("simulated"):
        plots.append(distribution_plot(length["observed"], length["simulated"]))
    tables = [*_checks(gate), *_predictions(channels)]
    text = _TEXT
    tests = run.get("two_sample") or {}
    if tests:
        found = tests["learned users"]["auc"]
        text += "\n\n" + _FREE_RUN.format(sessions=run["sessions"], users=run["users"], auc=found)
        tables += [_two_sample(tests), _telltales(tests["learned users"]), _distances(run)]
        plots += _free_run_plots(run)
    return Section("Fidelity", text, tables, plots)


def check_parts(result: Result) -> dict[str, Any]:
    """What ``recgym simulator check`` found, by the names that :func:`fidelity_section` takes."""
    return {
        "fidelity": result["channels"], "session_length": result.get("session_length"),
        "free_run": result.get("free_run"),
        "gate": {name: result.get(name) for name in ("passed", "failures", "checks")},
    }  # fmt: skip


def check_report(result: Result) -> Report:
    """The page of one check of simulated users.

    Args:
        result: see :meth:`recgym.evaluation.fidelity.FidelityReport.to_json`; ``simulator`` and ``data`` if known.
    """
    parts, passed = check_parts(result), bool(result["passed"])
    section = fidelity_section(parts)
    simulator = str(result.get("simulator") or "").rstrip("/").rsplit("/", maxsplit=1)[-1]
    summary = (
        "On behaviour they had not seen, the simulated users passed the fidelity gate."
        if passed
        else "On behaviour they had not seen, the simulated users did not pass the fidelity gate."
    )
    verdict = "passed" if passed else "not passed"
    facts = [Fact("Fidelity gate", verdict, tone=Tone.GOOD if passed else Tone.BAD)]
    facts += [
        Fact(f"AUC of {channel}", f"{entry['auc']:.3f}")
        for channel, entry in result["channels"].items()
        if entry.get("auc") is not None
    ]
    notes = [*(f"Fidelity gate: {failure}" for failure in result.get("failures") or ()), *(result.get("notes") or ())]
    title = f"Fidelity of {simulator}" if simulator else "Fidelity of simulated users"
    return Report(title, summary, [section] if section else [], notes, facts)


def _calibration(channels: Mapping[str, Result]) -> list[Plot]:
    plots: list[Plot] = []
    for channel, entry in channels.items():
        curves = {"learned users": entry.get("reliability") or []}
        curves |= {name: baseline.get("reliability") or [] for name, baseline in (entry.get("baselines") or {}).items()}
        curves = {name: curve for name, curve in curves.items() if curve}
        if curves:
            plots.append(reliability_plot(curves, channel))
    return plots


def _checks(gate: Result) -> list[Table]:
    rows = [
        (check["check"], check["found"], bounds(check), check["expected"], "passed" if check["passed"] else "FAILED")
        for check in gate.get("checks") or ()
    ]
    columns = ("Check", "Found", "Interval", "Expected", "Outcome")
    return [Table(columns, rows, "The fidelity gate")] if rows else []


def _predictions(channels: Mapping[str, Result]) -> list[Table]:
    rows: list[Sequence[Cell]] = []
    for channel, entry in channels.items():
        rows.append((channel, "learned users", *_measures(entry)))
        rows += [(channel, name, *_measures(baseline)) for name, baseline in (entry.get("baselines") or {}).items()]
    columns = ("Channel", "Predictor", "AUC", "AUC interval", "Log-loss", "ECE", "Rate ratio")
    caption = (
        "Predictions on held-out behaviour. ECE: expected calibration error. Rate ratio: predicted over observed rate."
    )
    return [Table(columns, rows, caption)] if rows else []


def _measures(entry: Result) -> tuple[Cell, ...]:
    interval = f"{entry['auc_low']:.3f} to {entry['auc_high']:.3f}" if entry.get("auc_low") is not None else None
    return (entry.get("auc"), interval, entry.get("log_loss"), entry.get("ece"), entry.get("rate_ratio"))


def _two_sample(tests: Mapping[str, Any]) -> Table:
    names = ("learned users", "popularity and overall rates", "real against real")
    rows = [
        (name, tests[name]["auc"], bounds(tests[name], "auc"), tests[name]["classifier"])
        for name in names
        if tests.get(name)
    ]
    caption = "How well a classifier tells sessions from real ones of users that it has not seen: 0.5 is best"
    return Table(("Sessions of", "AUC", "Interval", "Classifier"), rows, caption)


def _telltales(test: Result) -> Table:
    rows = [(t["name"].replace("_", " "), t["auc"], t["real"], t["simulated"]) for t in test["telltales"]]
    return Table(("Feature", "AUC by itself", "Real mean", "Simulated mean"), rows, "What tells most by itself")


def _distances(run: Result) -> Table:
    rows = [
        (label, entry["real_mean"], entry["simulated_mean"], entry["ks"], entry["relative"], bounds(entry, "relative"))
        for label, entry in (
            ("session length (steps)", run["session_length"]),
            ("time to the next session (s)", run["return_gap"]),
        )
    ]
    columns = ("Distribution", "Real mean", "Simulated mean", "KS", "Wasserstein over mean", "Interval")
    return Table(columns, rows, "Simulated against real sessions; means up to where the real ones were followed")


def _free_run_plots(run: Result) -> list[Plot]:
    plots = [survival_plot(run["return_gap"], "time to the next session", 3600.0, "h")]
    slices = run.get("slices") or []
    groups = dict.fromkeys((part["channel"], part["by"]) for part in slices)
    first = slices[0]["channel"] if slices else None
    for channel, by in groups:
        parts = [part for part in slices if (part["channel"], part["by"]) == (channel, by)]
        if channel == first and len(parts) > 1:
            plots.append(rates_plot(parts, channel, by))
    return plots
