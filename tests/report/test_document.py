"""The page: what is escaped, what is inside, and that nothing half-written is left."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest

from recgym.report import Fact, Plot, Report, Section, Table, Tone, write_report
from recgym.report.html import render

SCRIPT = "<script>alert(1)</script>"


class Outline(HTMLParser):
    """Counts tags and checks that each is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(report: Report) -> Outline:
    parser = Outline()
    parser.feed(render(report))
    assert parser.open == []
    return parser


def whole() -> Report:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="</script><b>"))
    table = Table(("name", "value", "text"), [("a", 1234, "x" * 50), ("b", None, "short")], "numbers")
    sections = [Section("One", "first\n\nsecond", [table], [Plot(figure, "a plot")]), Section("Two")]
    return Report("Title", "Summary.", sections, ["mind this"], [Fact("AUC", "0.7", "of click", Tone.GOOD)])


def test_the_page_is_well_formed_and_has_all_parts() -> None:
    count = outline(whole()).count
    assert (count["section"], count["h1"], count["table"], count["aside"], count["nav"]) == (2, 1, 1, 1, 1)
    assert count["figure"] == 2
    assert count["script"] == 3  # the data of the plot, plotly.js once, our own


def test_a_page_without_plots_carries_no_script() -> None:
    assert "script" not in outline(Report("Title", "Summary.")).count


def test_everything_that_is_given_is_escaped() -> None:
    table = Table((SCRIPT, SCRIPT), [(SCRIPT, SCRIPT)], SCRIPT)
    section = Section(SCRIPT, SCRIPT, [table])
    page = render(Report(SCRIPT, SCRIPT, [section, section], [SCRIPT], [Fact(SCRIPT, SCRIPT, SCRIPT)]))
    assert "<script" not in page
    head = 1 + 1 + 1 + 3 + 1  # title, h1, summary, the parts of a fact, note
    each = 1 + 1 + 1 + 6  # a section's link, heading and text; its table's caption, label, headings and cells
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == head + 2 * each


def test_quotes_cannot_leave_an_attribute() -> None:
    page = render(Report("t", "s", [Section("h", tables=[Table(("a",), [("b",)], 'x" onmouseover="y')])]))
    assert 'onmouseover="' not in page


def test_the_data_of_a_plot_survive_and_cannot_end_their_element() -> None:
    data = re.search(r'<script type="application/json">(.*?)</script>', render(whole()))
    assert data is not None
    assert json.loads(data.group(1))["data"][0]["name"] == "</script><b>"


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = render(whole())
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=[\"']?(https?:)?//", page)


def test_cells_are_written_for_people() -> None:
    page = render(Report("t", "s", [Section("h", tables=[Table(("n", "v"), [("a", 1234567), ("b", 0.123456)])])]))
    assert "<td class=number>1,234,567</td>" in page
    assert "<td class=number>0.1235</td>" in page
    text = render(whole())
    assert "<td class=number>–</td>" in text
    assert f"<td class=prose>{'x' * 50}</td>" in text
    assert "<td>yes</td>" in render(
        Report("t", "s", [Section("h", tables=[Table(("n", "v"), [("a", True), ("b", "-")])])])
    )


def test_an_empty_table_keeps_its_headings() -> None:
    assert outline(Report("t", "s", [Section("h", tables=[Table(("a", "b"), [])])])).count["th"] == 2


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"table 'of rows' of 2 columns was given 1 cells: \[1\]"):
        Table(("a", "b"), [(1,)], "of rows")


def test_a_page_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(Report("Old", "s"), page)
    figure = go.Figure(go.Scatter(x=[1], y=[1]))
    figure.update_layout(meta={"bad": object()})
    with pytest.raises(TypeError):
        write_report(Report("New", "s", [Section("h", plots=[Plot(figure, "c")])]), page)
    assert "<title>Old</title>" in page.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [page]
