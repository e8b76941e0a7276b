"""Reports as HTML: one page that stands alone, several in one file, or a page of the live view, by one code."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from plotly.offline import get_plotlyjs

from recgym.files import atomic_file
from recgym.report.document import Cell, Link, Plot, Report, Section, Table

__all__ = ["HOME", "Policy", "asset", "render", "render_live", "render_site", "write_report", "write_site"]

HOME = "all"
"""Anchor of the first page of a site."""

_LONG_TEXT = 40  # characters; a longer cell is folded, a shorter one stays on its line


class Policy(StrEnum):
    """What the browser lets a page do, so that "no network" is enforced: a file loads nothing, a live page itself."""

    FILE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
    LIVE = (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src data: blob:; "
        "connect-src 'self'"
    )


def write_report(report: Report, path: Path | str) -> None:
    """Write the page, all or nothing. It needs no network: styles, scripts and data are inside."""
    _write(render(report), path)


def write_site(home: Report, pages: Mapping[str, Report], path: Path | str) -> None:
    """Write several pages as one file, all or nothing; see :func:`render_site`."""
    _write(render_site(home, pages), path)


def render(report: Report) -> str:
    """One report as a page that stands alone."""
    return _file(report.title, _body(report), _has_plots(report) or _has_pager(report))


def render_site(home: Report, pages: Mapping[str, Report]) -> str:
    """Several reports as one page that stands alone; it shows one at a time, and all of them without JavaScript.

    Args:
        home: what is shown first.
        pages: anchor to report; ``#anchor`` leads there and ``#all`` to the home page.
    """
    parts = [f'<article class=page id="{HOME}">{_body(home, f"{HOME}-")}</article>']
    back = f'<a class=back href="#{HOME}">All runs</a>'
    for anchor, report in pages.items():
        parts.append(f'<article class=page id="{escape(anchor)}">{_body(report, f"{anchor}-", back)}</article>')
    return _file(home.title, "\n".join(parts), True)


def render_live(report: Report, version: str, back: str = "") -> str:
    """One report as a page of the live view: scripts and styles come from its server, and it looks for news there.

    Args:
        report: the page.
        version: changes when the page does.
        back: where "All runs" leads; empty on that page itself.
    """
    link = f'<a class=back href="{escape(back)}">All runs</a>' if back else ""
    scripts = "".join(f"<script src=/{name} defer></script>" for name in ("plotly.js", "report.js"))
    style = "<link rel=stylesheet href=/report.css>"
    attributes = f' data-version="{escape(version)}"'
    return _PAGE.substitute(
        policy=Policy.LIVE, title=escape(report.title), style=style, attributes=attributes,
        body=f'<p class=live role=status>live</p><div id=content>{_body(report, "", link)}</div>{scripts}',
    )  # fmt: skip


def asset(name: str) -> str:
    """The text of a script or style sheet; ``plotly.js`` is the one inside the plotly package."""
    if name == "plotly.js":
        return str(get_plotlyjs())
    return files("recgym.report").joinpath("assets", name).read_text(encoding="utf-8")


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<link rel="icon" href="data:,">
$style
</head>
<body$attributes>
$body
</body>
</html>
""")


def _file(title: str, body: str, scripted: bool) -> str:
    scripts = f"<script>{asset('plotly.js')}</script><script>{asset('report.js')}</script>" if scripted else ""
    return _PAGE.substitute(
        policy=Policy.FILE, title=escape(title), style=f"<style>{asset('report.css')}</style>", attributes="",
        body=body + scripts,
    )  # fmt: skip


def _write(page: str, path: Path | str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _has_plots(report: Report) -> bool:
    return any(section.plots for section in report.sections)


def _has_pager(report: Report) -> bool:
    return any(table.page for section in report.sections for table in section.tables)


def _body(report: Report, prefix: str = "", back: str = "") -> str:
    """A report without the frame of its page; the ids of its sections begin with the prefix."""
    sections = [_section(f"{prefix}section-{n}", section) for n, section in enumerate(report.sections, start=1)]
    parts = [_header(report, back), _contents(report, prefix), "<main>", _notes(report.notes), *sections, "</main>"]
    return "\n".join(parts)


def _header(report: Report, back: str) -> str:
    facts = "".join(
        f'<div class="fact {fact.tone}"><dt>{escape(fact.label)}</dt><dd>{escape(fact.value)}</dd>'
        + (f"<dd class=detail>{escape(fact.detail)}</dd>" if fact.detail else "")
        + "</div>"
        for fact in report.facts
    )
    return (
        f"<header><p class=brand>recgym{back}</p><h1>{escape(report.title)}</h1>"
        f"<div class=summary>{_paragraphs(report.summary)}</div>"
        + (f"<dl class=facts>{facts}</dl>" if facts else "")
        + "</header>"
    )


def _contents(report: Report, prefix: str) -> str:
    links = "".join(
        f'<li><a href="#{prefix}section-{number}">{escape(section.heading)}</a></li>'
        for number, section in enumerate(report.sections, start=1)
    )
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>' if len(report.sections) > 1 else ""


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return (
        f"<aside class=notes><h2>Take note</h2><ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul></aside>"
    )


def _section(anchor: str, section: Section) -> str:
    plots = "".join(_plot(plot) for plot in section.plots)
    tables = "".join(_table(table) for table in section.tables)
    return (
        f'<section id="{anchor}"><h2>{escape(section.heading)}</h2>{_paragraphs(section.text)}'
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
        f"<tr><th scope=row>{_written(row[0])}</th>"
        + "".join(_cell(cell, number) for cell, number in zip(row[1:], numeric[1:], strict=True))
        + "</tr>"
        for row in table.rows
    )
    caption = f"<figcaption>{escape(table.caption)}</figcaption>" if table.caption else ""
    label = escape(table.caption or " and ".join(table.columns))
    paged = f" data-page={table.page}" if table.page else ""
    return (
        f'<figure class=table{paged}>{caption}<div class=scroll role=region tabindex=0 aria-label="{label}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></figure>"
    )


def _cell(cell: Cell, numeric: bool) -> str:
    long = isinstance(cell, str) and len(cell) > _LONG_TEXT
    kind = " class=number" if numeric else " class=prose" if long else ""
    return f"<td{kind}>{_written(cell)}</td>"


def _written(cell: Cell) -> str:
    """A cell as HTML."""
    if cell is None:
        return "–"
    if isinstance(cell, Link):
        return f'<a href="{escape(cell.target)}">{escape(cell.text)}</a>'
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else escape(cell)
