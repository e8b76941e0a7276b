"""Plots of A/B tests from plain results: what somebody who peeks sees, and what became of all replications."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from recgym.report.document import Plot
from recgym.report.plots import BAND, GREY, ORANGE, SERIES, TEAL, layout

__all__ = [
    "effect_plot",
    "exposure_plot",
    "p_value_plot",
    "rejection_plot",
    "regret_plot",
    "sequence_plot",
    "stopping_plot",
]

Result = Mapping[str, Any]

_LEAST_P = 1e-6


def effect_plot(effects: Mapping[str, Result], metric: str) -> Plot:
    """Difference from the control over all simulated users, one row an arm.

    Args:
        effects: arm -> ``{"mean", "low", "high"}``.
        metric: of what.
    """
    names = list(effects)[::-1]
    figure = go.Figure(layout=layout(110 + 40 * len(names), f"{escape(metric)}: arm minus control", ""))
    means = [effects[name]["mean"] for name in names]
    figure.add_scatter(
        x=means, y=[escape(name) for name in names], mode="markers", marker={"color": TEAL, "size": 11},
        showlegend=False,
        error_x={
            "type": "data", "symmetric": False, "thickness": 2.5, "width": 0, "color": TEAL,
            "array": [effects[name]["high"] - effects[name]["mean"] for name in names],
            "arrayminus": [effects[name]["mean"] - effects[name]["low"] for name in names],
        },
        hovertemplate="%{y}: %{x:.4g}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    return Plot(figure, f"{metric}: difference from the control over all simulated users.", wide=False)


def exposure_plot(row: Result) -> Plot:
    """An effect over a user's exposure.

    Args:
        row: ``arm``, ``channel``, ``steps`` of a period, and ``effect`` and ``error`` of each period.
    """
    steps = [row["steps"] * (period + 1) for period in range(len(row["effect"]))]
    figure = go.Figure(layout=layout(320, "steps of exposure", f"difference in {escape(row['channel'])}"))
    figure.add_scatter(
        x=steps, y=list(row["effect"]), mode="lines+markers", line={"color": TEAL, "width": 2}, showlegend=False,
        error_y={"type": "data", "array": [1.96 * error for error in row["error"]], "color": TEAL, "thickness": 1.5},
        hovertemplate="%{x} steps: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 1, "dash": "dot"})
    return Plot(figure, f"{row['arm']}: effect on {row['channel']} by exposure, with 95 % intervals.", wide=False)


def sequence_plot(looks: Sequence[int], path: Result, truth: float, title: str) -> Plot:
    """A difference and its bounds over the users of one experiment.

    Args:
        looks: users at each look.
        path: ``difference``, ``low``, ``high`` at each look; a bound that is not there yet is None.
        truth: the true difference.
        title: arm, metric and method.
    """
    figure = go.Figure(layout=layout(360, "users", "difference"))
    known = [i for i in range(len(looks)) if path["low"][i] is not None and path["high"][i] is not None]
    x = [looks[i] for i in known]
    figure.add_scatter(
        x=x + x[::-1], y=[path["high"][i] for i in known] + [path["low"][i] for i in known][::-1], fill="toself",
        fillcolor=BAND, line={"width": 0}, hoverinfo="skip", name="bounds",
    )  # fmt: skip
    figure.add_scatter(
        x=list(looks), y=list(path["difference"]), mode="lines", name="seen", line={"color": TEAL, "width": 2},
        hovertemplate="%{x:,} users: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    for value, name, colour in ((truth, "true difference", ORANGE), (0.0, "no difference", GREY)):
        figure.add_scatter(
            x=[looks[0], looks[-1]], y=[value, value], mode="lines", name=name, hoverinfo="skip",
            line={"color": colour, "width": 1.5, "dash": "dash"},
        )  # fmt: skip
    if known:  # the first bounds are wide: the scale is that of the later ones
        half = known[len(known) // 4]
        values = [truth, 0.0, path["low"][half], path["high"][half]]
        room = 0.1 * (max(values) - min(values))
        figure.update_yaxes(range=[min(values) - room, max(values) + room])
    return Plot(figure, f"{title}: what one experiment shows, with its bounds.", wide=False)


def p_value_plot(looks: Sequence[int], paths: Mapping[str, Sequence[float]], alpha: float) -> Plot:
    """p-values of one experiment over its users, one line a method.

    Args:
        looks: users at each look.
        paths: method -> p-value at each look.
        alpha: level, drawn as a line.
    """
    figure = go.Figure(layout=layout(360, "users", "p-value"))
    for index, (name, p) in enumerate(paths.items()):
        figure.add_scatter(
            x=list(looks), y=[max(value, _LEAST_P) for value in p], mode="lines", name=escape(name),
            line={"color": SERIES[index % len(SERIES)], "width": 2},
            hovertemplate="%{x:,} users: %{y:.3g}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=[looks[0], looks[-1]], y=[alpha, alpha], mode="lines", name="level", hoverinfo="skip",
        line={"color": GREY, "width": 1.5, "dash": "dash"},
    )  # fmt: skip
    figure.update_yaxes(type="log", exponentformat="power")
    return Plot(figure, "p-values of one experiment at each look.", wide=False)


def rejection_plot(looks: Sequence[int], curves: Mapping[str, Sequence[float]], metric: str, alpha: float) -> Plot:
    """Share of replications that had found a difference by each look.

    Args:
        looks: users at each look.
        curves: name -> share at each look.
        metric: on what.
        alpha: level, drawn as a line.
    """
    figure = go.Figure(layout=layout(380, "users", "share of experiments"))
    for index, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=list(looks), y=list(curve), mode="lines", name=escape(name),
            line={"color": SERIES[index % len(SERIES)], "width": 2.5},
            hovertemplate="%{x:,} users: %{y:.1%}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=[looks[0], looks[-1]], y=[alpha, alpha], mode="lines", name="level", hoverinfo="skip",
        line={"color": GREY, "width": 1.5, "dash": "dash"},
    )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return Plot(figure, f"{metric}: share of experiments that have found a difference by then.")


def stopping_plot(rows: Sequence[Result], metric: str) -> Plot:
    """When experiments stopped: the median, and the range of the middle 80 percent.

    Args:
        rows: ``label``, ``users``, ``users_10``, ``users_90``.
        metric: on what.
    """
    labels = [escape(str(row["label"])) for row in rows][::-1]
    turned = list(rows)[::-1]
    figure = go.Figure(layout=layout(110 + 34 * len(rows), "users when it stopped", ""))
    figure.add_scatter(
        x=[row["users"] for row in turned], y=labels, mode="markers", marker={"color": TEAL, "size": 11},
        showlegend=False,
        error_x={
            "type": "data", "symmetric": False, "thickness": 2.5, "width": 0, "color": TEAL,
            "array": [row["users_90"] - row["users"] for row in turned],
            "arrayminus": [row["users"] - row["users_10"] for row in turned],
        },
        hovertemplate="%{y}: %{x:,}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(rangemode="tozero")
    return Plot(figure, f"{metric}: users when experiments stopped; median and middle 80 %.", wide=False)


def regret_plot(users: Sequence[int], curves: Mapping[str, Result], metric: str) -> Plot:
    """What was lost against the best arm, over users.

    Args:
        users: at the end of each batch.
        curves: allocation -> ``{"mean", "low", "high"}`` at the end of each batch; bounds may be missing.
        metric: of what.
    """
    figure = go.Figure(layout=layout(380, "users", f"regret ({escape(metric)})"))
    for index, (name, curve) in enumerate(curves.items()):
        if "low" in curve:
            figure.add_scatter(
                x=list(users) + list(users)[::-1], y=list(curve["high"]) + list(curve["low"])[::-1], fill="toself",
                fillcolor=BAND, line={"width": 0}, hoverinfo="skip", showlegend=False,
            )  # fmt: skip
        figure.add_scatter(
            x=list(users), y=list(curve["mean"]), mode="lines", name=escape(name),
            line={"color": SERIES[index % len(SERIES)], "width": 2.5},
            hovertemplate="%{x:,} users: %{y:.4g}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    return Plot(
        figure, f"{metric} lost against serving all users with the best arm; the band holds 80 % of experiments."
    )
