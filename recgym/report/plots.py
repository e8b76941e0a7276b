"""Plots from plain results, as they stand in a run's JSON.

Every builder escapes the names it is given: Plotly reads a little HTML in its labels, and names come from data files.
Colours are of middle lightness, so that they read on light and dark pages; the page sets the neutral ones.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from recgym.report.document import Plot
from recgym.report.words import bound

__all__ = [
    "channel_plot", "curves_plot", "distribution_plot", "interval_plot", "learning_curve", "policy_plot", "rates_plot",
    "reliability_plot", "survival_plot", "layout", "whiskers",
]  # fmt: skip

TEAL, ORANGE, GREY = "#16908f", "#e0812f", "#8b949a"
SERIES = (TEAL, ORANGE, "#8a6fd1", "#3f86d6", "#cf5b78", "#7c9a3c")
BAND = "rgba(22, 144, 143, 0.18)"
ASIDE = " · "
"""Parts a name from what is said beside it, which goes on a line of its own where names are drawn below one another."""
_DASHES = ("solid", "dash", "dot")
_FEW_POINTS = 60

Result = Mapping[str, Any]


def policy_plot(policies: Mapping[str, Result], truth: Mapping[str, Result] | None = None) -> Plot:
    """Returns with intervals, one row a policy, the best on top.

    Args:
        policies: name -> ``{"return", "low", "high"}``.
        truth: the same policies with the true users, drawn beside them.
    """
    caption = "Mean return of a session for each policy; the bar is its confidence interval."
    if truth:
        caption += " Teal: with the learned users. Orange: the same policies with the true users."
    return interval_plot(policies, truth, "return", "return of a session", caption, wide=True)


def channel_plot(policies: Mapping[str, Result], channel: str) -> Plot:
    """One feedback channel under each policy, with intervals.

    Args:
        policies: name -> ``{"channels": {channel: {"mean", "low", "high"}}}``.
        channel: which of the channels.
    """
    values = {name: result.get("channels", {}).get(channel, {}) for name, result in policies.items()}
    return interval_plot(values, None, "mean", channel, f"{channel} in a session: mean under each policy.", wide=False)


def learning_curve(points: Sequence[Result], references: Mapping[str, float] | None = None) -> Plot:
    """Return against steps of training, with a band.

    Args:
        points: ``{"steps", "return", "low", "high"}`` in order of steps; a point without bounds has no band.
        references: name -> return of policies that do not learn, drawn as level lines.
    """
    steps = [point["steps"] for point in points]
    figure = go.Figure(layout=layout(380, "steps of training", "return of a session"))
    band = [point for point in points if point.get("low") is not None and point.get("high") is not None]
    if band:
        x = [point["steps"] for point in band]
        figure.add_scatter(
            x=x + x[::-1], y=[point["high"] for point in band] + [point["low"] for point in band][::-1],
            fill="toself", fillcolor=BAND, mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    figure.add_scatter(
        x=steps, y=[point["return"] for point in points], mode="lines+markers", name="training",
        line={"color": TEAL, "width": 2.5}, marker={"size": 6}, hovertemplate="%{x:,} steps: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    for index, (name, level) in enumerate((references or {}).items()):
        figure.add_scatter(
            x=[min(steps), max(steps)], y=[level, level], mode="lines", name=escape(name),
            line={"color": SERIES[1 + index % (len(SERIES) - 1)], "width": 1.5, "dash": "dash"},
            hovertemplate="%{fullData.name}: %{y:.4g}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(tickformat="~s", rangemode="tozero")
    return Plot(figure, "Return while training; the band is the confidence interval over evaluation sessions.")


def curves_plot(curves: Mapping[str, Sequence[Result]], x: str, y: str, caption: str, *, wide: bool = True) -> Plot:
    """Several learning curves in one plot, each with its band if it has bounds.

    Args:
        curves: name -> points in order of ``x``, each with ``x``, ``y`` and perhaps ``low`` and ``high``.
        x: name of what goes to the right, such as ``steps``.
        y: name of what goes up, such as ``return``.
        caption: what it shows.
        wide: see :class:`recgym.report.Plot`.
    """
    figure = go.Figure(layout=layout(420 if wide else 320, escape(x), escape(y.replace("_", " "))))
    for index, (name, points) in enumerate(curves.items()):
        colour = SERIES[index % len(SERIES)]
        known = [point for point in points if point.get(y) is not None]
        band = [point for point in known if y == "return" and None not in (point.get("low"), point.get("high"))]
        if band:
            at = [point[x] for point in band]
            figure.add_scatter(
                x=at + at[::-1], y=[point["high"] for point in band] + [point["low"] for point in band][::-1],
                fill="toself", fillcolor=_faint(colour), mode="lines", line={"width": 0}, hoverinfo="skip",
                showlegend=False, legendgroup=str(index),
            )  # fmt: skip
        figure.add_scatter(
            x=[point[x] for point in known], y=[point[y] for point in known], name=escape(name),
            mode="lines+markers" if len(known) < _FEW_POINTS else "lines", legendgroup=str(index),
            line={"color": colour, "width": 2.25, "dash": _DASHES[index // len(SERIES) % len(_DASHES)]},
            marker={"size": 5}, hovertemplate="%{x:,}: %{y:.4g}<extra>%{fullData.name}</extra>",
            showlegend=len(curves) > 1,
        )  # fmt: skip
    figure.update_xaxes(tickformat="~s", rangemode="tozero")
    return Plot(figure, caption, wide)


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.14)"


def reliability_plot(curves: Mapping[str, Sequence[Result]], title: str = "") -> Plot:
    """Observed against predicted rates: a calibrated model lies on the diagonal.

    Args:
        curves: model or baseline -> its bins, ``{"predicted", "observed", "n"}``; a marker's area grows with ``n``.
        title: what is predicted, such as a channel.
    """
    bins = [entry for curve in curves.values() for entry in curve]
    top = 1.08 * max((max(entry["predicted"], entry["observed"]) for entry in bins), default=1.0) or 1.0
    largest = max((entry.get("n", 1) for entry in bins), default=1) or 1
    figure = go.Figure(layout=layout(360, f"predicted {escape(title)}".strip(), "observed"))
    figure.add_scatter(
        x=[0, top], y=[0, top], mode="lines", name="calibrated", line={"color": GREY, "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
    )  # fmt: skip
    for index, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=[entry["predicted"] for entry in curve], y=[entry["observed"] for entry in curve],
            customdata=[entry.get("n") for entry in curve], mode="lines+markers", name=escape(name),
            line={"color": SERIES[index % len(SERIES)], "width": 2},
            marker={"size": [5 + 9 * (entry.get("n", 1) / largest) ** 0.5 for entry in curve]},
            hovertemplate="predicted %{x:.3g}, observed %{y:.3g}, %{customdata:,} rows<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(range=[0, top])
    figure.update_yaxes(range=[0, top])
    return Plot(figure, f"{title}: observed against predicted rate.".lstrip(": "), wide=False)


def distribution_plot(observed: Sequence[float], simulated: Sequence[float]) -> Plot:
    """Session lengths of real and simulated users, as shares of sessions.

    Args:
        observed: sessions in the log by length: entry ``i`` counts those of length ``i``.
        simulated: the same for simulated sessions. The longest percent of either may be drawn as one bar.
    """
    last = max(_quantile(observed, 0.99), _quantile(simulated, 0.99))
    first = 0 if (observed and observed[0]) or (simulated and simulated[0]) else 1
    lengths = list(range(first, last + 1))
    labels = [f"{length} or more" if length == last else str(length) for length in lengths]
    figure = go.Figure(layout=layout(360, "length of a session", "share of sessions"))
    figure.add_bar(
        x=lengths, y=_shares(observed, first, last), name="in the log", marker={"color": GREY, "opacity": 0.55},
        customdata=labels, hovertemplate="length %{customdata}: %{y:.1%}<extra>in the log</extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=lengths, y=_shares(simulated, first, last), name="simulated", mode="lines+markers",
        line={"color": TEAL, "width": 2.5, "shape": "hvh"}, marker={"size": 5},
        customdata=labels, hovertemplate="length %{customdata}: %{y:.1%}<extra>simulated</extra>",
    )  # fmt: skip
    figure.update_layout(bargap=0.12)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return Plot(figure, f"How long sessions last; the last bar holds those of {last} or more.")


def survival_plot(distance: Result, what: str, unit: float, unit_name: str) -> Plot:
    """Shares of real and simulated sessions that last beyond each time.

    Args:
        distance: ``{"grid", "real", "simulated"}``.
        what: what is timed.
        unit: by how much the grid is divided.
        unit_name: what the result is counted in.
    """
    figure = go.Figure(layout=layout(360, f"{escape(what)} ({unit_name})", "share longer than that"))
    times = [time / unit for time in distance["grid"]]
    for name, colour, label in (("real", GREY, "in the log"), ("simulated", TEAL, "simulated")):
        figure.add_scatter(
            x=times, y=distance[name], mode="lines", name=label, line={"color": colour, "width": 2.5, "shape": "hv"},
            hovertemplate=f"%{{x:.3g}} {unit_name}: %{{y:.1%}}<extra>{label}</extra>",
        )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    caption = f"{what.capitalize()}; what the log's end cuts short is allowed for (Kaplan and Meier)."
    return Plot(figure, caption, wide=False)


def rates_plot(parts: Sequence[Result], channel: str, by: str) -> Plot:
    """Mean feedback of real and simulated sessions in several parts, with intervals.

    Args:
        parts: ``{"label", "observed", "observed_low", "observed_high", "simulated", ...}`` in order.
        channel: whose feedback.
        by: what the parts were cut by.
    """
    figure = go.Figure(layout=layout(360, escape(by), f"mean {escape(channel)}"))
    labels = [escape(str(part["label"])) for part in parts]
    for name, colour, label in (("observed", GREY, "in the log"), ("simulated", TEAL, "simulated")):
        means = [part[name] for part in parts]
        lows, highs = (
            [mean if part.get(f"{name}_{side}") is None else part[f"{name}_{side}"] for part, mean in
             zip(parts, means, strict=True)]
            for side in ("low", "high")
        )  # fmt: skip
        figure.add_scatter(
            x=labels, y=means, mode="lines+markers", name=label, line={"color": colour, "width": 2},
            error_y=whiskers(lows, means, highs, colour) | {"thickness": 1.5, "width": 3},
            hovertemplate=f"%{{x}}: %{{y:.4g}}<extra>{label}</extra>",
        )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(rangemode="tozero")
    return Plot(figure, f"Mean {channel} by {by}.", wide=False)


def interval_plot(
    results: Mapping[str, Result],
    truth: Mapping[str, Result] | None,
    value: str,
    title: str,
    caption: str,
    *,
    wide: bool,
) -> Plot:
    """One row a name with a dot and a whisker, sorted by value; a second series is drawn a little below the first."""
    names = sorted(
        (name for name in results if results[name].get(value) is not None), key=lambda n: float(results[n][value])
    )
    rows = {name: row for row, name in enumerate(names)}
    series = [("learned users" if truth else "", results, TEAL, 0.13 if truth else 0.0)]
    if truth:
        series.append(("true users", truth, ORANGE, -0.13))
    height = 46 if wide or any(ASIDE in name for name in names) else 34
    figure = go.Figure(layout=layout(90 + height * max(len(names), 1), escape(title), ""))
    for label, values, colour, shift in series:
        shown = [name for name in names if values.get(name, {}).get(value) is not None]
        means = [float(values[name][value]) for name in shown]
        lows, highs = ([bound(values[name], side, value) for name in shown] for side in ("low", "high"))
        figure.add_scatter(
            x=means, y=[rows[name] + shift for name in shown], mode="markers", name=label, showlegend=bool(truth),
            marker={"color": colour, "size": 11},
            error_x=whiskers(lows, means, highs, colour),
            customdata=[[escape(name), low, high] for name, low, high in zip(shown, lows, highs, strict=True)],
            hovertemplate="%{customdata[0]}: %{x:.4g} [%{customdata[1]:.4g}, %{customdata[2]:.4g}]<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(rows.values()), ticktext=[escape(name).replace(ASIDE, "  <br>") + "  " for name in names],
        range=[-0.6, max(len(names), 1) - 0.4], showgrid=True, ticks="",
    )  # fmt: skip
    return Plot(figure, caption, wide=wide)


def whiskers(lows: Sequence[float], values: Sequence[float], highs: Sequence[float], colour: str) -> dict[str, Any]:
    """Plotly's error bars from the bounds of intervals."""
    return {
        "type": "data", "symmetric": False, "thickness": 2.5, "width": 0, "color": colour,
        "array": [high - value for high, value in zip(highs, values, strict=True)],
        "arrayminus": [value - low for low, value in zip(lows, values, strict=True)],
    }  # fmt: skip


def _quantile(counts: Sequence[float], share: float) -> int:
    """The smallest length that at least this share of the sessions do not exceed."""
    total, reached = sum(counts), 0.0
    for length, count in enumerate(counts):
        reached += count
        if reached >= share * total:
            return max(length, 1)
    return 1


def _shares(counts: Sequence[float], first: int, last: int) -> list[float]:
    """Shares of the lengths ``first..last``, where ``last`` also holds all longer ones."""
    total = sum(counts) or 1
    padded = [*counts, *([0] * (last + 1 - len(counts)))]
    return [count / total for count in (*padded[first:last], sum(padded[last:]))]


def layout(height: int, x_title: str, y_title: str) -> go.Layout:
    """What all figures share; titles must have been escaped."""
    axis = {"automargin": True, "zeroline": False, "title": {"standoff": 10, "font": {"size": 12}}}
    return go.Layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 16, "t": 12, "b": 8},
        xaxis={**axis, "title": {**axis["title"], "text": x_title}},  # type: ignore[dict-item]
        yaxis={**axis, "title": {**axis["title"], "text": y_title}},  # type: ignore[dict-item]
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hovermode="closest",
    )
