"""A real browser for the tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["drawn", "errors", "follow", "opened", "press", "show", "titled"]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
DRAWN = """
return [...document.querySelectorAll('.plot')].filter(plot => !plot.closest('[hidden]'))
    .every(plot => plot.querySelector('svg.main-svg'))
"""


@contextmanager
def opened(profile: Path) -> Iterator[webdriver.Chrome]:
    """Chromium without a window, or the test is skipped."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed (Debian packages chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
        yield browser


def show(browser: webdriver.Chrome, page: str, width: int) -> None:
    """Open the page at a width and wait until every plot that is shown has its drawing."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    still = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", still)
    browser.get(page)
    drawn(browser)


def press(browser: webdriver.Chrome, element: WebElement) -> None:
    """Click on something, wherever on the page it is."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def drawn(browser: webdriver.Chrome) -> None:
    """Wait until every plot that is shown has its drawing."""
    WebDriverWait(browser, 30).until(lambda b: b.execute_script(DRAWN))


def follow(browser: webdriver.Chrome, link: str) -> None:
    """Click on a link to another document and wait for that one: the page that it leaves would answer for a while."""
    element = browser.find_element(By.LINK_TEXT, link)
    press(browser, element)
    WebDriverWait(browser, 30).until(staleness_of(element), f"the link {link!r} leads nowhere")
    drawn(browser)


def titled(browser: webdriver.Chrome, title: str) -> None:
    """Wait until the page has this title: one page of several takes it after the click on it has returned."""
    WebDriverWait(browser, 30).until(lambda b: b.title == title, f"the title is not {title!r}")
    drawn(browser)


def errors(browser: webdriver.Chrome) -> list[dict[str, str]]:
    """What the console has said since it was last asked."""
    said: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return said
