"""The live view in a real browser: every page, desktop and phone, no error, nothing too wide, news shown."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from recgym.report.live import LiveView, export_page, serve
from tests.report.browser import drawn, errors, follow, opened, press, show, titled
from tests.report.runs_sample import curve, write_runs

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title='owned'>"
MARKS = "return [...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.point, .js-line, image').length)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with opened(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(tmp_path_factory.mktemp("view")) / "runs"
    write_runs(root, HOSTILE)
    return root


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    server = serve(LiveView([runs]), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize("width", [1280, 375])
def test_every_page_is_reached_by_its_link_and_draws_without_an_error(
    browser: webdriver.Chrome, address: str, width: int
) -> None:
    show(browser, f"{address}/", width)
    names = [link.text for link in browser.find_elements(By.CSS_SELECTOR, "tbody th a")]
    assert sorted(names) == sorted(
        ["demo", "train/a", "train/b", "offline", "evaluated", "check", "ope", "ab", "sweep", "sweep/trials/0000",
         "encoder/a", "encoder/b"]
    )  # fmt: skip
    for name in [None, *names]:
        if name is not None:
            follow(browser, name)
        where = f"{name or 'the overview'} at {width}"
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, where
        marks = browser.execute_script(MARKS)
        assert marks, where
        assert min(marks) > 0, where
        assert "owned" not in browser.title
        assert errors(browser) == [], where
        if name is not None:
            follow(browser, "All runs")


def test_a_story_shows_the_hidden_state_above_the_slates_and_turns_pages(
    browser: webdriver.Chrome, address: str
) -> None:
    show(browser, f"{address}/run/evaluated", 1280)
    titles = [t.text for t in browser.find_elements(By.CSS_SELECTOR, ".plot .annotation-text")][:7]
    assert titles == [
        "ppo", "Satisfaction (hidden)", "Fatigue (user state)", "Interests (3 numbers)",
        "The policy's memory (83 %)", "Reward", "Slates, position by position",
    ]  # fmt: skip
    figure = browser.find_element(By.CSS_SELECTOR, "figure[data-page='20']")
    rows = figure.find_elements(By.CSS_SELECTOR, "tbody tr")

    def shown() -> list[str]:
        return [row.find_element(By.TAG_NAME, "th").text for row in rows if row.is_displayed()]

    assert shown() == [str(i) for i in range(20)]
    later = figure.find_element(By.XPATH, ".//button[text()='Later']")
    press(browser, later)
    press(browser, later)
    assert shown() == [str(i) for i in range(40, 45)]
    assert not later.is_enabled()
    press(browser, figure.find_element(By.XPATH, ".//button[text()='Earlier']"))
    assert shown() == [str(i) for i in range(20, 40)]


def test_a_run_that_goes_on_is_followed_without_a_reload(browser: webdriver.Chrome, address: str, runs: Path) -> None:
    show(browser, f"{address}/run/train/b", 1280)
    browser.execute_script("window.same = true")
    assert "15,000 steps" in browser.find_element(By.CSS_SELECTOR, ".summary").text
    (runs / "train" / "b" / "curve.json").write_text(json.dumps(curve(5)), encoding="utf-8")
    WebDriverWait(browser, 20).until(lambda b: "25,000 steps" in b.find_element(By.CSS_SELECTOR, ".summary").text)
    drawn(browser)
    assert browser.execute_script("return window.same")
    assert errors(browser) == []


@pytest.mark.parametrize("width", [1280, 375])
def test_the_export_shows_one_page_at_a_time_by_the_same_code(
    browser: webdriver.Chrome, runs: Path, tmp_path: Path, width: int
) -> None:
    page = tmp_path / "all.html"
    page.write_text(export_page([runs]), encoding="utf-8")
    show(browser, page.as_uri(), width)
    assert len([each for each in browser.find_elements(By.TAG_NAME, "h1") if each.is_displayed()]) == 1
    press(browser, browser.find_element(By.LINK_TEXT, "evaluated"))
    titled(browser, "Policies on recgym/ShortVideo-v0")
    press(browser, browser.find_element(By.LINK_TEXT, "User 2"))
    assert browser.find_element(By.XPATH, "//h2[text()='User 2']").is_displayed()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    shown = [each for each in browser.find_elements(By.LINK_TEXT, "All runs") if each.is_displayed()]
    press(browser, shown[0])
    titled(browser, "Runs in runs")
    assert errors(browser) == []
