"""The report of the training of an agent or an encoder, also while it goes on: settings, learning curve, ranking."""

from collections.abc import Mapping, Sequence
from typing import Any

from recgym.report.document import Fact, Plot, Report, Section, Table
from recgym.report.making import making_section
from recgym.report.plots import curves_plot
from recgym.report.words import bounds, with_bounds

__all__ = ["training_report", "unit_of"]

Result = Mapping[str, Any]

_RECENT = 10


def training_report(result: Result, config: Result) -> Report:
    """The page of one agent or encoder.

    Args:
        result: ``learning_curve`` (rows of ``steps``, ``return``, ``low``, ``high``; or of ``updates`` or ``epochs``
            and losses), and when the run is done ``agent``, ``steps`` or ``updates``, and their number a second; of an
            encoder its ``ranking``.
        config: what the run was told: ``env``, ``log`` or ``data``, ``agent`` or ``encoder``, ``settings``, ``steps``
            or ``updates``, ``seed``.
    """
    known = {**config, **{key: value for key, value in result.items() if value is not None}}
    points = result.get("learning_curve") or []
    agent = str(known.get("agent") or known.get("encoder") or "an agent")
    world = known.get("env") or known.get("task") or known.get("log") or known.get("data")
    sections = [_ranking(result), _curve(points), _settings(config), making_section(result)]
    title = f"Training of {agent}" + (f" on {world}" if world else "")
    return Report(
        title, _summary(points, known), [part for part in sections if part], (), _facts(points, result, config)
    )


def unit_of(point: Result) -> str:
    """What a learning curve counts: ``epochs``, ``updates`` or ``steps``."""
    return next((unit for unit in ("epochs", "updates") if unit in point), "steps")


def _unit(points: Sequence[Result], known: Result) -> str:
    return unit_of(points[0] if points else known)


def _ranking(result: Result) -> Section | None:
    """How an encoder ranks what it was not fitted to."""
    ranking = result.get("ranking")
    if not ranking:
        return None
    tables = [
        Table(
            ("Metric", "Mean", "Interval"),
            [(name, entry["mean"], bounds(entry)) for name, entry in metrics.items()],
            "" if targets == "all" else f"{targets.capitalize()} targets",
        )
        for targets, metrics in ranking["metrics"].items()
    ]
    protocol = ranking["protocol"]
    text = f"{ranking['queries']:,} queries, {protocol['split']}; protocol {protocol['digest']}."
    return Section("Ranking", " ".join([text, *ranking["notes"]]), tables)


def _summary(points: Sequence[Result], known: Result) -> str:
    if known.get("ranking"):
        found = known["ranking"]["metrics"]["all"]
        return ", ".join(f"{name.upper()} {with_bounds(found[name], 'mean')}" for name in ("hr@10", "ndcg@10")) + "."
    if not points:
        return "Nothing has been learned yet that could be shown: the first point of the curve comes with an update."
    last, unit = points[-1], _unit(points, known)
    text = f"After {last[unit]:,} {unit}"
    if last.get("return") is not None:
        first = points[0].get("return")
        text += f" a session returns {with_bounds(last, 'return')}"
        text += f"; at the start it was {first:.4g}." if first is not None else "."
    else:
        losses = [f"{name.replace('_', ' ')} {last[name]:.4g}" for name in _numbers(points[-1:], unit)]
        text += f": {', '.join(losses)}."
    return text


def _facts(points: Sequence[Result], result: Result, config: Result) -> list[Fact]:
    unit = _unit(points, {**config, **result})
    facts = []
    done = points[-1][unit] if points else 0
    done = max(int(result.get(unit) or 0), int(done))
    wanted = config.get(unit)
    facts.append(Fact(unit.capitalize(), f"{done:,}", f"of {wanted:,}" if wanted else ""))
    if points and points[-1].get("return") is not None:
        facts.append(Fact("Return", f"{points[-1]['return']:.4g}", "of the last sessions"))
    speed = result.get(f"{unit}_per_s")
    if speed is not None:
        facts.append(Fact("Speed", f"{speed:,.0f}", f"{unit} a second"))
    return facts


def _curve(points: Sequence[Result]) -> Section | None:
    if not points:
        return None
    unit = _unit(points, {})
    names = ["return"] if "return" in points[0] else _numbers(points, unit)
    plots: list[Plot] = []
    for name in names:
        what = "Return of a session" if name == "return" else name.replace("_", " ").capitalize()
        plots.append(curves_plot({name: points}, unit, name, f"{what} over {unit}.", wide=len(names) == 1))
    text = "The return of sessions that ended between two points, with its interval." if names == ["return"] else (
        "What the updates brought down, averaged between two points."
    )  # fmt: skip
    return Section("Learning", text, plots=plots)


def _numbers(points: Sequence[Result], unit: str) -> list[str]:
    """What the last points give a number for; a validation may come only now and then."""
    found = {name: value for point in points[-_RECENT:] for name, value in point.items() if value is not None}
    return [name for name, value in found.items() if name != unit and isinstance(value, int | float)]


def _settings(config: Result) -> Section | None:
    rows = [(name.replace("_", " "), text) for name, text in _flat(config)]
    if not rows:
        return None
    return Section("Settings", "", [Table(("Setting", "Value"), rows, "What the run was told", 25)])


def _flat(values: Result, before: str = "") -> list[tuple[str, str]]:
    """Settings within settings, one row each, named by the way to them."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{name}: ")
        else:
            rows.append((f"{before}{name}", _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, list):
        return ", ".join(_text(entry) for entry in value) or "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else str(value)
