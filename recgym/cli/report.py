"""``recgym report``: render the results of a run."""

from dataclasses import dataclass
from pathlib import Path

import tyro

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Render the results of a run as one self-contained HTML page, and print where it is.

    Attributes:
        folder: folder of the run, which one of recgym's commands wrote.
        out: the page to write; report.html in the folder of the run if not given.
    """

    folder: tyro.conf.Positional[Path]
    out: Path | None = None

    def run(self) -> int:
        """Write the page."""
        from recgym.files import check_writable
        from recgym.report import report_of, run_in, write_report

        report = report_of(run_in(self.folder))
        page = self.out or self.folder / "report.html"
        check_writable(page.parent)
        write_report(report, page)
        print(page)
        return 0
