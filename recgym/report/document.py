"""A report in parts, and the one self-contained HTML page that they become."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from importlib.resources import files
from pathlib import Path

from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from recgym.files import atomic_file

__all__ = ["Cell", "Fact", "Plot", "Report", "Section", "Table", "Tone", "render", "write_report"]

Cell = str | int | float | None

_LONG_TEXT = 40  # characters; a longer cell is folded, a shorter one stays on its line


class Tone(StrEnum):
    """Whether a fact is good news, bad news, or neither."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class Fact:
    """One figure at the head of a report, such as ``Fact("AUC of click", "0.71", "popularity 0.62")``."""

    label: str
    value: str
    detail: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        columns: the headings.
        rows: as many cells each as there are columns; None is an absent value.
        caption: what the table shows.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.caption!r} of {len(self.columns)} columns was given {len(row)} cells: {list(row)}"
                )


@dataclass(frozen=True)
class Plot:
    """An interactive figure. Names that come from outside must be escaped in it; the builders of this package do so.

    Attributes:
        figure: the Plotly figure; its fonts and neutral colours are set by the page, for light and dark.
        caption: what it shows.
        wide: whether it takes the whole width; others share a row where there is room.
    """

    figure: Figure
    caption: str
    wide: bool = True


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs (separated by blank lines), plots, then tables."""

    heading: str
    text: str = ""
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: its name.
        summary: what was found, in a few sentences; paragraphs are separated by blank lines.
        sections: the parts, in reading order.
        notes: warnings, shown above the sections.
        facts: a few figures for the head of the page.
    """

    title: str
    summary: str
    sections: Sequence[Section] = ()
    notes: Sequence[str] = ()
    facts: Sequence[Fact] = ()


def write_report(report: Report, path: Path) -> None:
    """Write the page, all or nothing. It needs no network: styles, scripts and data are inside."""
    with atomic_file(path) as temporary:
        temporary.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """The page as HTML."""
    plots = [plot for section in report.sections for plot in section.plots]
    sections = [_section(number, section) for number, section in enumerate(report.sections, start=1)]
    body = [_header(report), _contents(report), "<main>", _notes(report.notes), *sections, "</main>"]
    if plots:
        body += [f"<script>{get_plotlyjs()}</script>", f"<script>{_asset('report.js')}</script>"]
    return _PAGE.format(title=escape(report.title), style=_asset("report.css"), body="\n".join(body))


# The policy in the page forbids it to load anything, so "no network" is enforced by the browser.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""  # noqa: E501 - HTML does not wrap inside an attribute


def _asset(name: str) -> str:
    return files("recgym.report").joinpath("assets", name).read_text(encoding="utf-8")


def _header(report: Report) -> str:
    facts = "".join(
        f'<div class="fact {fact.tone}"><dt>{escape(fact.label)}</dt><dd>{escape(fact.value)}</dd>'
        + (f"<dd class=detail>{escape(fact.detail)}</dd>" if fact.detail else "")
        + "</div>"
        for fact in report.facts
    )
    return (
        f"<header><p class=brand>recgym</p><h1>{escape(report.title)}</h1>"
        f"<div class=summary>{_paragraphs(report.summary)}</div>"
        + (f"<dl class=facts>{facts}</dl>" if facts else "")
        + "</header>"
    )


def _contents(report: Report) -> str:
    links = "".join(
        f'<li><a href="#section-{number}">{escape(section.heading)}</a></li>'
        for number, section in enumerate(report.sections, start=1)
    )
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>' if len(report.sections) > 1 else ""


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return (
        f"<aside class=notes><h2>Take note</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul></aside>"
    )


def _section(number: int, section: Section) -> str:
    plots = "".join(_plot(plot) for plot in section.plots)
    tables = "".join(_table(table) for table in section.tables)
    return (
        f'<section id="section-{number}"><h2>{escape(section.heading)}</h2>{_paragraphs(section.text)}'
        + (f"<div class=plots>{plots}</div>" if plots else "")
        + f"{tables}</section>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def _plot(plot: Plot) -> str:
    # "</script>" inside the data would end the element early; "<" in a JSON string may be written as an escape.
    data = json.dumps(json.loads(plot.figure.to_json()), allow_nan=False).replace("<", "\\u003c")
    height = int(plot.figure.layout.height or 360)
    return (
        f'<figure class="{"wide" if plot.wide else "small"}">'
        f'<div class=plot role=img aria-label="{escape(plot.caption)}" style="height:{height}px"></div>'
        f'<script type="application/json">{data}</script>'
        "<noscript>The plots need JavaScript; the tables hold the figures.</noscript>"
        f"<figcaption>{escape(plot.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    numeric = [all(isinstance(cell, int | float | None) for cell in column) for column in columns]
    head = "".join(
        f"<th scope=col{' class=number' if number else ''}>{escape(heading)}</th>"
        for heading, number in zip(table.columns, numeric, strict=True)
    )
    rows = "".join(
        f"<tr><th scope=row>{escape(_written(row[0]))}</th>"
        + "".join(_cell(cell, number) for cell, number in zip(row[1:], numeric[1:], strict=True))
        + "</tr>"
        for row in table.rows
    )
    caption = f"<figcaption>{escape(table.caption)}</figcaption>" if table.caption else ""
    label = escape(table.caption or " and ".join(table.columns))
    return (
        f'<figure class=table>{caption}<div class=scroll role=region tabindex=0 aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></figure>"
    )


def _cell(cell: Cell, numeric: bool) -> str:
    text = _written(cell)
    kind = " class=number" if numeric else " class=prose" if len(text) > _LONG_TEXT else ""
    return f"<td{kind}>{escape(text)}</td>"


def _written(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else cell
