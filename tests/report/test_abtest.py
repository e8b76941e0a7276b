"""The report of an A/B test: every part that the result has, in words and in a browser."""

import dataclasses
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from recgym.report import abtest_report, write_report
from recgym.report.abtest_plots import sequence_plot
from tests.report import test_browser
from tests.report.abtest_sample import LOOKS, adaptive_result, result
from tests.report.browser import show
from tests.report.test_browser import HOSTILE

browser = test_browser.browser


def headings(made: dict[str, object]) -> list[str]:
    return [section.heading for section in abtest_report(made).sections]


def test_a_whole_result_becomes_every_section() -> None:
    report = abtest_report(result())
    assert headings(result()) == [
        "The arms", "One experiment", "All experiments", "Verdicts", "Novelty", "Planning", "How this was made"
    ]  # fmt: skip
    assert report.sections[3].tables[0].rows == [("b, fixed", "click 80 %", "click 0 %", "90 %", "70 %")]
    assert "b (runs/ppo) against the control a (random)" in report.summary
    assert "click of b +0.3" in report.summary
    assert any("Peeking is shown to warn" in note for note in report.notes)
    assert any("every user has the same: length" in note for note in report.notes)
    (table,) = report.sections[2].tables
    assert table.rows[2][:3] == ("click: msprt", 0.3, "80 %")


def test_an_a_a_test_speaks_of_levels_and_marks_one_that_is_broken() -> None:
    made = result()
    for row in made["comparisons"]:
        row |= {"truth": 0.0, "rejected": 0.42 if row["method"] == "peeking" else 0.05, "low": 0.04}
    made["comparisons"][1]["low"] = 0.4
    made["metrics"]["click"]["effects"]["b"] = {"mean": 0.0, "low": -0.1, "high": 0.1}
    report = abtest_report(made)
    assert [(fact.label, str(fact.tone)) for fact in report.facts[1:3]] == [
        ("Level, fixed", "plain"), ("Level, peeking", "bad")
    ]  # fmt: skip
    assert "no difference from the control can be told from chance" in report.summary


def test_a_bandit_has_a_section_of_its_own() -> None:
    assert headings(adaptive_result()) == ["The arms", "Allocation by a bandit", "How this was made"]
    facts = {fact.label: fact.value for fact in abtest_report(adaptive_result()).facts}
    assert facts["Regret, even split"] == "2000"
    made = adaptive_result()
    assert not abtest_report(made).notes[1:]
    made["adaptive"]["estimates"][0]["weighted_coverage"] = 0.7
    assert "Arm a had too few users" in " ".join(abtest_report(made).notes)


def test_bounds_that_are_not_there_yet_are_not_drawn() -> None:
    path = result()["comparisons"][2]["path"]
    band = sequence_plot(LOOKS, path, 0.3, "b").figure.data[0]
    assert min(band.x) == LOOKS[1]
    assert len(band.x) == 2 * (len(LOOKS) - 1)


def test_nothing_to_report_is_said() -> None:
    with pytest.raises(ValueError, match=r"there is no A/B test to report: found the keys \['colour'\]"):
        abtest_report({"colour": 1})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = Path(tmp_path_factory.mktemp("report")) / "report.html"
    both = abtest_report(result(HOSTILE))
    bandit = abtest_report(adaptive_result())
    write_report(dataclasses.replace(both, sections=[*both.sections, bandit.sections[1]]), path)
    return path.as_uri()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_draws_every_plot_from_a_file(browser: webdriver.Chrome, page: str, width: int) -> None:
    show(browser, page, width)
    assert page.startswith("file://")
    plots = browser.find_elements(By.CSS_SELECTOR, ".plot")
    assert len(plots) == 1 + 3 + 2 + 1 + 1
    marks = "return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.point, .js-line').length)"
    assert min(browser.execute_script(marks)) > 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.title == "A/B test: a against b"  # the name of the metric was not run
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
