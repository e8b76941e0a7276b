"""Whether policies keep to constraints: how much is to spare, and what the return costs in what is constrained."""

from collections.abc import Mapping
from html import escape
from typing import Any

import plotly.graph_objects as go

from recgym.report.document import Plot, Section, Table
from recgym.report.plots import GREY, TEAL, interval_plot, layout
from recgym.report.words import bounds, listed

__all__ = ["constraints_section"]

Result = Mapping[str, Any]


def constraints_section(result: Result) -> Section | None:
    """A table of all constraints, and two plots a constraint; None if the policies were held against none.

    Args:
        result: ``policies``, as for :func:`recgym.report.demo_report`, and ``constraints``, as
            :meth:`recgym.evaluation.constraints.ConstraintReport.to_json` has it.
    """
    held = result.get("constraints")
    if not held:
        return None
    text = (
        f"Policies are held against {held['reference']} with the same users. Slack is how much better a response is "
        "than it must be: a policy keeps to a constraint if the whole interval lies above 0. No other policy is at "
        f"least as good as {listed(held['front'])} in the return and in all that is constrained."
    )
    slacks, fronts = [], []
    for index, first in enumerate(next(iter(held["policies"].values()))["constraints"]):
        slack = {name: policy["constraints"][index]["slack"] for name, policy in held["policies"].items()}
        caption = f"{first['constraint']}: slack of each policy, with its confidence interval; 0 is the line to keep."
        slacks.append(_with_zero(interval_plot(slack, None, "mean", "slack", caption, wide=False)))
        fronts.append(_front(result, first["response"], first["cost"]))
    return Section("Constraints", text, [_table(held)], [*slacks, *fronts])


def _table(held: Result) -> Table:
    rows = [
        (
            name, each["constraint"], each["slack"]["mean"], bounds(each["slack"]), each["violation_rate"],
            "kept" if each["satisfied"] else "broken" if each["violated"] else "undecided",
        )
        for name, policy in held["policies"].items() for each in policy["constraints"]
    ]  # fmt: skip
    caption = "Constraints; violations are the share of seeds (of users, with one seed) that fall short"
    return Table(("Policy", "Constraint", "Slack", "Interval", "Violations", "Verdict"), rows, caption)


def _with_zero(plot: Plot) -> Plot:
    plot.figure.add_vline(x=0, line={"color": GREY, "width": 1.5, "dash": "dash"})
    return plot


def _front(result: Result, response: str, cost: bool) -> Plot:
    """The return against one response: a point a policy, those of the front filled."""
    policies, front = result["policies"], set(result["constraints"]["front"])
    names = [name for name in result["constraints"]["policies"] if response in policies[name].get("channels", {})]
    means = [float(policies[name]["channels"][response]["mean"]) for name in names]
    figure = go.Figure(layout=layout(300, escape(response), "return"))
    figure.add_scatter(
        x=means,
        y=[policies[name]["return"] for name in names], text=[escape(name) for name in names],
        mode="markers+text", textposition="top center", showlegend=False, cliponaxis=False,
        marker={"size": 11, "color": TEAL, "symbol": ["circle" if name in front else "circle-open" for name in names]},
        hovertemplate="%{text}: %{x:.4g}, return %{y:.4g}<extra></extra>",
    )  # fmt: skip
    better = "left" if cost else "right"
    room = 0.3 * ((max(means) - min(means)) or 1.0)  # for the names of the outermost
    figure.update_xaxes(range=[min(means) - room, max(means) + room])
    caption = f"Return against {response}; better is up and to the {better}. Filled: no other policy beats it in all."
    return Plot(figure, caption, wide=False)
