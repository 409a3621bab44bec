"""The report page in a real browser: the small suite's, as the workflow wrote it."""

import json
import time
from base64 import b64decode
from importlib.resources import files
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser import browser, needs_browser

__all__ = ["browser"]
pytestmark = needs_browser
PHONE, DESK = 360, 1400
SECTIONS = [
    "summary",
    "claims",
    "tables",
    "figures",
    "categories",
    "robustness",
    "ensembles",
    "sensitivity",
    "cost",
    "ambiguities",
    "contradictions",
    "provenance",
]


@pytest.fixture(scope="module")
def address(finished: Path) -> str:
    return (finished / "reports" / "tiny" / "report.html").as_uri()


def visit(browser: webdriver.Chrome, address: str, width: int, scheme: str = "light") -> None:
    """Open the page anew, at a width and in a colour scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get("about:blank")
    browser.get(address)
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")


def every(browser: webdriver.Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def pictures_in_view(browser: webdriver.Chrome) -> None:
    """Scroll past every picture, until each is decoded."""
    for picture in every(browser, "img.later"):
        browser.execute_script("arguments[0].scrollIntoView()", picture)
        decoded = "return arguments[0].complete && arguments[0].naturalWidth"
        until = time.monotonic() + 10
        while not browser.execute_script(decoded, picture):
            assert time.monotonic() < until, picture.get_attribute("alt")
            time.sleep(0.02)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_every_section_renders_without_an_error_or_a_request(
    browser: webdriver.Chrome, address: str, width: int
) -> None:
    browser.get_log("browser")
    browser.get_log("performance")
    visit(browser, address, width)
    assert [s.get_attribute("id") for s in every(browser, "section.part")] == SECTIONS
    for section in every(browser, "section.part"):
        assert section.is_displayed()
        assert len(section.text.splitlines()) > 2
    pictures_in_view(browser)
    assert len(every(browser, "img.later")) > 10
    # Nothing but tables in frames of their own is wider than the screen.
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"].partition("#")[0]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["documentURL"].startswith("file:")
    }
    assert {url for url in asked if not url.startswith("data:")} == {address}


def test_pictures_are_decoded_only_as_they_come_into_view(
    browser: webdriver.Chrome, address: str
) -> None:
    visit(browser, address, DESK)
    last = every(browser, "img.later")[-1]
    assert last.get_attribute("src") is None
    browser.execute_script("arguments[0].scrollIntoView()", last)
    pictures_in_view(browser)
    assert last.get_attribute("src").startswith("data:image/webp")


def column(browser: webdriver.Chrome, table: str, at: int) -> list[str]:
    rows = f"{table} tbody tr:not(.mean)"
    texts = "[...document.querySelectorAll(arguments[0])].map(r => r.cells[arguments[1]].innerText)"
    return browser.execute_script(f"return {texts}", rows, at)


def test_tables_sort_by_any_column_and_back(browser: webdriver.Chrome, address: str) -> None:
    visit(browser, address, DESK)
    table = "#cost > .wide table"
    (name, _, seconds, *_) = every(browser, f"{table} .sort")
    steps = column(browser, table, 0)
    as_they_were = column(browser, table, 2)
    numbers = [float(text) for text in as_they_were]
    assert numbers not in (sorted(numbers), sorted(numbers, reverse=True))
    seconds.click()
    assert [float(text) for text in column(browser, table, 2)] == sorted(numbers)
    assert seconds.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    seconds.click()
    assert [float(text) for text in column(browser, table, 2)] == sorted(numbers, reverse=True)
    seconds.click()
    assert column(browser, table, 2) == as_they_were
    name.send_keys("\n")  # By keyboard.
    assert column(browser, table, 0) == sorted(steps)


def test_a_mean_stays_below_what_it_is_over(browser: webdriver.Chrome, address: str) -> None:
    visit(browser, address, DESK)
    rows = "#table5 tbody tr"
    for button in every(browser, "#table5 .sort"):
        button.click()
        button.click()
        assert every(browser, rows)[-1].text.startswith("Average")


def test_every_measured_figure_leads_to_its_runs(browser: webdriver.Chrome, address: str) -> None:
    visit(browser, address, DESK)
    links = every(browser, "a.measured")
    assert len(links) > 15
    targets = {link.get_attribute("href").partition("#")[2] for link in links}
    there = "return [...document.querySelectorAll('#provenance [id]')].map(e => e.id)"
    assert targets <= set(browser.execute_script(there))
    single = next(link for link in links if "#recipe-" in link.get_attribute("href"))
    browser.execute_script("arguments[0].click()", single)
    target = browser.find_element(By.ID, single.get_attribute("href").partition("#")[2])
    until = time.monotonic() + 5
    while not target.find_element(By.CSS_SELECTOR, "table").is_displayed():
        assert time.monotonic() < until
    assert "seed 0" in target.text
    box = browser.execute_script("return arguments[0].getBoundingClientRect().top", target)
    assert 0 <= box < 900


def test_every_link_within_the_page_has_its_end(browser: webdriver.Chrome, address: str) -> None:
    visit(browser, address, DESK)
    dangling = browser.execute_script(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))"
        ".filter(name => !document.getElementById(name))"
    )
    assert dangling == []
    elsewhere = [link.get_attribute("href") for link in every(browser, "a:not([href^='#'])")]
    assert {link.partition(";")[0] for link in elsewhere} == {"data:text/plain"}


def test_tables_to_paste_are_within_the_page(
    browser: webdriver.Chrome, address: str, finished: Path
) -> None:
    visit(browser, address, DESK)
    links = every(browser, "a[download]")
    assert len(links) == 3 * 6
    for link in links:
        text = b64decode(link.get_attribute("href").partition("base64,")[2]).decode()
        beside = finished / "reports" / "tiny" / "tables" / link.get_attribute("download")
        assert text == beside.read_text()


def test_the_theme_can_be_chosen(browser: webdriver.Chrome, address: str) -> None:
    def background() -> str:
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    visit(browser, address, DESK, "dark")
    dark = background()
    visit(browser, address, DESK, "light")
    light = background()
    assert light != dark
    button = browser.find_element(By.ID, "scheme")
    shown = []
    for _ in range(3):
        button.click()
        shown.append((button.text, background()))
    assert shown == [
        ("Theme: light", light),
        ("Theme: dark", dark),
        ("Theme: as the system", light),
    ]


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: webdriver.Chrome, address: str, width: int, scheme: str
) -> None:
    visit(browser, address, width, scheme)
    pictures_in_view(browser)
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    browser.execute_script((files("axe_core_python") / "axe.min.js").read_text())
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert len(found["passes"]) > 20
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []


def test_on_paper_everything_is_there_and_nothing_to_press(
    browser: webdriver.Chrome, address: str
) -> None:
    visit(browser, address, DESK, "dark")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": dark})
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert not every(browser, ".contents")[0].is_displayed()
    assert all(picture.get_attribute("src") for picture in every(browser, "img.later"))
    colours = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
