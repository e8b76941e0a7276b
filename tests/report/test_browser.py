"""The page in a real browser: no errors, every plot drawn, nothing wider than a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from recgym.report import demo_report, write_report
from tests.report.browser import errors, opened, show
from tests.report.sample import result

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with opened(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = Path(tmp_path_factory.mktemp("report")) / "report.html"
    write_report(demo_report(result(HOSTILE)), path)
    return path.as_uri()


@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_draws_every_plot_without_an_error(browser: webdriver.Chrome, page: str, width: int) -> None:
    show(browser, page, width)
    plots = browser.find_elements(By.CSS_SELECTOR, ".plot")
    assert len(plots) == 10
    for plot in plots:
        size = plot.find_element(By.CSS_SELECTOR, "svg.main-svg").size
        assert 200 < size["width"] <= width
        assert size["height"] > 150
    # Points, lines or bars, not just empty axes.
    marks = "return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.point, .js-line').length)"
    assert min(browser.execute_script(marks)) > 0
    assert errors(browser) == []


def test_a_phone_scrolls_tables_but_never_the_page_sideways(browser: webdriver.Chrome, page: str) -> None:
    show(browser, page, 375)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
    wide = "return [...document.querySelectorAll('.scroll')].some(box => box.scrollWidth > box.clientWidth)"
    assert browser.execute_script(wide)


def test_a_hostile_channel_name_is_shown_and_never_run(browser: webdriver.Chrome, page: str) -> None:
    show(browser, page, 1280)
    assert browser.title == "From a log to a policy"
    labels = "return [...document.querySelectorAll('.plot text')].map(t => t.textContent).join('|')"
    assert HOSTILE in browser.execute_script(labels)
