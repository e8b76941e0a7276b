"""The timeline of one user: the hidden state above, what the policy kept of it, what was shown and chosen below.

All panels share the steps to the right. As elsewhere, names from outside are escaped.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from recgym.report.document import Plot
from recgym.report.plots import GREY, ORANGE, SERIES, TEAL, layout

__all__ = ["compared_plot", "timeline_plot"]

Result = Mapping[str, Any]

_GAP = 44
"""Pixels between panels, for the title of the lower one."""
_HEAD = 18
"""Pixels for the name of the policy."""
_MOST_TOPICS = 24


def compared_plot(users: Mapping[str, Result], name: str) -> Plot:
    """One part of a user's mood under several policies.

    Args:
        users: policy -> the story of the same user.
        name: of the mood; ``reward so far`` for that.
    """
    figure = go.Figure(layout=layout(320, "step", escape(name)))
    for index, (policy, user) in enumerate(users.items()):
        values = _so_far(user["reward"]) if name == "reward so far" else user["mood"].get(name) or []
        figure.add_scatter(
            x=list(range(len(values))), y=values, mode="lines", name=escape(policy),
            line={"color": SERIES[index % len(SERIES)], "width": 2.25},
            hovertemplate="step %{x}: %{y:.4g}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    return Plot(figure, f"{name.capitalize()} of the same user under each policy.", wide=False)


def timeline_plot(user: Result, story: Result, policy: str) -> Plot:
    """The whole sequence of one user under one policy.

    Args:
        user: see :func:`recgym.evaluation.stories`.
        story: the file that it is from, for its channels and items.
        policy: its name.
    """
    panels = [*_moods(user), *_topics(user), *_memory(user), _rewards(user), _slates(user, story)]
    heights = [panel.height for panel in panels]
    total = sum(heights) + _GAP * len(panels) + _HEAD + 46
    base = layout(total, "", "")
    figure = go.Figure(layout=base)
    figure.update_layout(margin={"l": 8, "r": 16, "t": 4, "b": 40}, bargap=0.25)
    inner = total - 44
    top = float(inner - _HEAD)
    figure.add_annotation(
        text=f"<b>{escape(policy)}</b>", x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="top",
        showarrow=False, font={"size": 16},
    )  # fmt: skip
    for row, panel in enumerate(panels, start=1):
        number = "" if row == 1 else str(row)
        top -= _GAP
        bottom = top - panel.height
        axis: dict[str, Any] = {"domain": [max(bottom / inner, 0.0), top / inner], "anchor": "x", "automargin": True}
        figure.update_layout({f"yaxis{number}": {"zeroline": False, "showgrid": panel.grid, **axis, **panel.axis}})
        figure.add_annotation(
            text=f"<b>{escape(panel.title)}</b>", x=0, y=top / inner, xref="paper", yref="paper", xanchor="left",
            yanchor="bottom", yshift=5, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip
        for trace in panel.traces:
            figure.add_trace(trace.update(xaxis="x", yaxis=f"y{number}"))
        top = bottom
    last = len(panels)
    figure.update_layout(
        xaxis={
            "anchor": "y" if last == 1 else f"y{last}", "title": {"text": "step", "standoff": 8, "font": {"size": 12}},
            "zeroline": False, "showgrid": False, "automargin": True, "range": [-0.8, user["steps"] + 0.3],
            "tickformat": ",d",
        },
        showlegend=False,
    )  # fmt: skip
    for step in _session_starts(user):
        figure.add_vline(x=step - 0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    return Plot(figure, _caption(policy, user, story))


class _Panel:
    """One row of the timeline.

    Args:
        title: above it.
        height: in pixels.
        traces: what is drawn; the axes are set later.
        axis: settings of its vertical axis.
        grid: whether level lines are drawn.
    """

    def __init__(self, title: str, height: int, traces: list[Any], axis: dict[str, Any], grid: bool = True) -> None:
        self.title, self.height, self.traces, self.axis, self.grid = title, height, traces, axis, grid


def _moods(user: Result) -> list[_Panel]:
    panels = []
    scalars = {**user["mood"], **{n: v for n, v in user["parts"].items() if v and not isinstance(v[0], list)}}
    for index, (name, values) in enumerate(scalars.items()):
        colour = SERIES[index % len(SERIES)] if name in user["mood"] else GREY
        line = go.Scatter(
            x=list(range(len(values))), y=values, mode="lines", line={"color": colour, "width": 2.5},
            fill="tozeroy" if min(v for v in values if v is not None) >= 0 and name in user["mood"] else None,
            fillcolor=_faint(colour), hovertemplate=f"before step %{{x}}: %{{y:.4g}}<extra>{escape(name)}</extra>",
        )  # fmt: skip
        hidden = "hidden" if name in user["mood"] else "user state"
        panels.append(_Panel(f"{name.capitalize()} ({hidden})", 96 if name in user["mood"] else 70, [line],
                             {"nticks": 4}))  # fmt: skip
    return panels[:5]


def _topics(user: Result) -> list[_Panel]:
    """Short vectors of the state, such as interests: a row a number, its colour the value."""
    panels = []
    for name, values in user["parts"].items():
        if not values or not isinstance(values[0], list) or len(values[0]) > _MOST_TOPICS:
            continue
        width = len(values[0])
        largest = max((abs(v) for row in values for v in row if v is not None), default=1.0) or 1.0
        heat = go.Heatmap(
            x=list(range(len(values))), y=list(range(width)), z=[list(column) for column in zip(*values, strict=True)],
            zmin=-largest, zmax=largest, showscale=False,
            colorscale=[[0, ORANGE], [0.5, "rgba(139, 148, 154, 0.12)"], [1, TEAL]],
            hovertemplate=f"before step %{{x}}, %{{y}}: %{{z:.3g}}<extra>{escape(name)}</extra>",
        )  # fmt: skip
        title = f"{name.capitalize()} ({width} numbers)"
        panels.append(_Panel(title, min(max(12 * width, 60), 200), [heat], {"nticks": 5, "tickformat": "d"}, False))
    return panels[:2]


def _memory(user: Result) -> list[_Panel]:
    memory = user.get("memory")
    if not memory:
        return []
    steps = list(range(len(memory["norm"])))
    traces: list[Any] = [
        go.Scatter(
            x=steps, y=[point[axis] for point in memory["plane"]], mode="lines",
            line={"color": SERIES[2 + axis], "width": 2},
            hovertemplate=f"step %{{x}}: %{{y:.4g}}<extra>component {axis + 1}</extra>",
        )
        for axis in (0, 1)
    ]  # fmt: skip
    share = f"{100 * (memory['explained'] or 0):.0f} %"
    title = f"The policy's memory ({share})"
    return [_Panel(title, 96, traces, {"nticks": 4})]


def _rewards(user: Result) -> _Panel:
    rewards = user["reward"]
    colours = [TEAL if (value or 0) >= 0 else ORANGE for value in rewards]
    bars = go.Bar(
        x=list(range(len(rewards))), y=rewards, marker={"color": colours, "line": {"width": 0}},
        hovertemplate="step %{x}: %{y:.4g}<extra>reward</extra>",
    )  # fmt: skip
    return _Panel("Reward", 80, [bars], {"nticks": 4})


def _slates(user: Result, story: Result) -> _Panel:
    """What was shown: a mark for each position, filled where the user answered."""
    slates, channel = user["slate"], story["channels"][0]["name"]
    answers = user["feedback"][channel]
    k = len(slates[0])
    features = {int(item): entry.get("features") or [] for item, entry in story["items"].items()}
    width = max((len(values) for values in features.values()), default=0)
    peak = max((abs(value or 0.0) for row in answers for value in row), default=1.0) or 1.0
    chosen: list[tuple[float, float, str, float, str]] = []
    passed: list[tuple[float, float, str]] = []
    for step, (slate, answer) in enumerate(zip(slates, answers, strict=True)):
        for position, (item, value) in enumerate(zip(slate, answer, strict=True)):
            y = float(position + 1) if k > 1 else _height(item, features[item])
            text = _told(step, item, user, position, story)
            if value:
                chosen.append((step, y, text, abs(value) / peak, _colour(features.get(item) or [])))
            else:
                passed.append((step, y, text))
    size = 11
    traces: list[Any] = [
        go.Scatter(
            x=[p[0] for p in passed], y=[p[1] for p in passed], text=[p[2] for p in passed], mode="markers",
            marker={"symbol": "square-open", "size": size - 2, "color": GREY, "opacity": 0.65, "line": {"width": 1}},
            hovertemplate="%{text}<extra></extra>",
        ),
        go.Scatter(
            x=[c[0] for c in chosen], y=[c[1] for c in chosen], text=[c[2] for c in chosen], mode="markers",
            marker={"symbol": "square", "size": [size * (0.55 + 0.6 * c[3]) for c in chosen],
                    "color": [c[4] for c in chosen], "line": {"width": 0}},
            hovertemplate="%{text}<extra></extra>",
        ),
    ]  # fmt: skip
    if k > 1:
        title = "Slates, position by position"
        axis = {"autorange": "reversed", "dtick": 1 if k <= 12 else 5, "tickformat": "d"}
        return _Panel(title, max(24 * k, 60), traces, axis, False)
    what = "its id" if not width else "its feature" if width == 1 else "its strongest feature"
    return _Panel(f"Shown, by {what}", 150, traces, {"nticks": 5})


def _height(item: int, features: Sequence[float]) -> float:
    """Where the mark of a single item stands: at its feature, at the strongest of several, at its id if it has none."""
    if not features:
        return float(item)
    return features[0] if len(features) == 1 else float(_strongest(features))


def _strongest(features: Sequence[float]) -> int:
    return max(range(len(features)), key=lambda index: features[index])


def _told(step: int, item: int, user: Result, position: int, story: Result) -> str:
    title = (story["items"].get(str(item)) or {}).get("title")
    named = f"item {item}" + (f": {escape(title)}" if title else "")
    found = [
        f"{escape(channel['name'])} {user['feedback'][channel['name']][step][position]:.4g}"
        for channel in story["channels"]
        if user["feedback"][channel["name"]][step][position]
    ]
    return f"step {step}, {named}<br>{', '.join(found) or 'passed over'}"


def _colour(features: Sequence[float]) -> str:
    """Of an item's topic, where its features look like one; the colour of all others else."""
    if len(features) < 2:
        return TEAL
    return SERIES[_strongest(features) % len(SERIES)]


def _session_starts(user: Result) -> list[int]:
    session = user["session"]
    return [step for step in range(1, len(session)) if session[step] != session[step - 1]]


def _caption(policy: str, user: Result, story: Result) -> str:
    end = "the user left" if user["left"] else "the story is cut here" if user["cut"] else "the episode was cut"
    words = [f"One user under {policy}: {user['steps']:,} steps, then {end}."]
    if _topics(user):
        words.append("Rows of numbers are teal above 0 and orange below.")
    memory = user.get("memory")
    if memory:
        words.append(f"The policy's memory is {memory['width']} numbers, drawn by the two axes in which it moves most.")
    channel = story["channels"][0]["name"]
    words.append(f"A mark is filled where the user answered, and larger with more {channel}.")
    if _session_starts(user):
        words.append("Dotted lines part sessions.")
    return " ".join(words)


def _so_far(rewards: Sequence[float | None]) -> list[float]:
    total, sums = 0.0, []
    for value in rewards:
        total += value or 0.0
        sums.append(total)
    return sums


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.12)"
