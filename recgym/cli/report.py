"""``recgym report``: render the results of a run."""

from dataclasses import dataclass
from pathlib import Path

import tyro

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Render the results of a run as one self-contained HTML page, and print where it is.

    Attributes:
        folder: folder of the run (``recgym demo`` or ``recgym abtest``); its result.json is read.
        out: the page to write; report.html in the folder of the run if not given.
    """

    folder: tyro.conf.Positional[Path]
    out: Path | None = None

    def run(self) -> int:
        """Write the page."""
        from recgym.files import check_writable, read_json
        from recgym.report import abtest_report, demo_report, write_report

        source = self.folder / "result.json"
        result = read_json(source)
        if not isinstance(result, dict):
            raise ValueError(f"{source} holds a {type(result).__name__}, a JSON object was expected")
        page = self.out or self.folder / "report.html"
        check_writable(page.parent)
        made = abtest_report if "replications" in result else demo_report
        write_report(made(result), page)
        print(page)
        return 0
