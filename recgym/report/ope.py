"""The report of an off-policy evaluation: every estimator with its interval, and what speaks against it."""

from collections.abc import Mapping
from html import escape
from typing import Any

import plotly.graph_objects as go

from recgym.report.document import Fact, Plot, Report, Section, Table
from recgym.report.making import making_section
from recgym.report.plots import GREY, ORANGE, TEAL, layout, whiskers
from recgym.report.words import bound, bounds

__all__ = ["estimates_plot", "ope_report"]

Result = Mapping[str, Any]


def ope_report(result: Result) -> Report:
    """The page of ``recgym ope``.

    Args:
        result: ``name``, ``steps``, ``episodes``, ``logged_return``, and ``policies``: name to ``estimates``
            (``estimator``, ``value``, ``low``, ``high``, ``diagnostics``) and, if it was simulated, ``online``.
    """
    sections = [_policy(name, entry, result["logged_return"]) for name, entry in result["policies"].items()]
    summary = (
        f"What {len(sections)} policies would return, judged by {result['episodes']:,} episodes of {result['name']} "
        f"that another policy served; those returned {result['logged_return']:.4g}.\n\nEstimators that agree, with a "
        "large effective sample size, can be believed; where they do not, the log is too far from the policy."
    )
    facts = [Fact("Episodes in the log", f"{result['episodes']:,}", f"{result['steps']:,} steps"),
             Fact("Logged return", f"{result['logged_return']:.4g}")]  # fmt: skip
    warned = [
        f"{name}: {warning}"
        for name, entry in result["policies"].items()
        for warning in dict.fromkeys(
            w for each in entry["estimates"] for w in each["diagnostics"].get("warnings") or ()
        )
    ]
    title = f"Off-policy evaluation on {result['name']}"
    return Report(title, summary, [part for part in (*sections, making_section(result)) if part], warned, facts)


def estimates_plot(entry: Result, logged: float) -> Plot:
    """Estimates with intervals, one row an estimator; what was earned online and in the log as lines.

    Args:
        entry: ``estimates`` and perhaps ``online``.
        logged: return of the log.
    """
    known = [each for each in entry["estimates"] if each.get("value") is not None][::-1]
    figure = go.Figure(layout=layout(110 + 34 * max(len(known), 1), "return of an episode", ""))
    names = [escape(str(each["estimator"])) for each in known]
    values = [each["value"] for each in known]
    lows, highs = ([bound(each, side, "value") for each in known] for side in ("low", "high"))
    figure.add_scatter(
        x=values, y=list(range(len(known))), mode="markers", name="estimate",
        marker={"color": TEAL, "size": 10},
        error_x=whiskers(lows, values, highs, TEAL),
        text=names, hovertemplate="%{text}: %{x:.4g}<extra></extra>",
    )  # fmt: skip
    lines = [("in the log", logged, GREY)]
    if entry.get("online"):
        lines.append(("really earned", entry["online"]["return"], ORANGE))
    for name, value, colour in lines:
        figure.add_scatter(
            x=[value, value], y=[-0.6, len(known) - 0.4], mode="lines", name=name, hoverinfo="skip",
            line={"color": colour, "width": 1.5, "dash": "dash"},
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(known))), ticktext=[f"{name}  " for name in names], range=[-0.6, len(known) - 0.4],
        ticks="",
    )  # fmt: skip
    return Plot(figure, "Estimates with their intervals; the dashed lines are what is known.")


def _policy(name: str, entry: Result, logged: float) -> Section:
    rows = [
        (
            str(each["estimator"]), each["value"], bounds(each), each["diagnostics"].get("effective_n"),
            each["diagnostics"].get("max_weight"),
        )
        for each in entry["estimates"]
    ]  # fmt: skip
    if entry.get("online"):
        rows.append(("really earned", entry["online"]["return"], bounds(entry["online"]), None, None))
    columns = ("Estimator", "Value", "Interval", "Effective sample size", "Largest weight")
    return Section(name, "", [Table(columns, rows, "Estimates of the return")], [estimates_plot(entry, logged)])
