"""Reports: self-contained HTML pages with tables and interactive plots, composed from small parts; a live view."""

from recgym.report.abtest import abtest_report
from recgym.report.demo import demo_report
from recgym.report.document import Cell, Fact, Link, Plot, Report, Section, Table, Tone
from recgym.report.fidelity import fidelity_section
from recgym.report.html import write_report
from recgym.report.pages import report_of, run_in
from recgym.report.plots import (
    channel_plot,
    distribution_plot,
    learning_curve,
    policy_plot,
    rates_plot,
    reliability_plot,
    survival_plot,
)

__all__ = [
    "Report", "Section", "Table", "Plot", "Fact", "Tone", "Cell", "Link", "write_report",
    "policy_plot", "channel_plot", "learning_curve", "reliability_plot", "distribution_plot", "survival_plot",
    "rates_plot",
    "demo_report", "fidelity_section", "abtest_report",
    "report_of", "run_in",
]  # fmt: skip
