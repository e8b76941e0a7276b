"""A report in parts; :mod:`recgym.report.html` makes pages of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from plotly.graph_objects import Figure

__all__ = ["Cell", "Fact", "Link", "Plot", "Report", "Section", "Table", "Tone"]


@dataclass(frozen=True)
class Link:
    """A cell that leads to another page.

    Attributes:
        text: what is read.
        target: where it leads; made by this package, never taken from a file.
    """

    text: str
    target: str


Cell = str | int | float | Link | None


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
        page: rows shown at a time, with buttons to turn the pages; None for all at once.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    page: int | None = None

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
