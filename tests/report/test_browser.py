"""The HTML page in a real browser: no network, switch, sort, trace, accessibility, width, print."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(browser: Browser, reports: Path, language: str, width: int = 1400) -> tuple[Page, list[str]]:
    """The page in a context without a network, and the requests and errors that it caused."""
    context = browser.new_context(viewport={"width": width, "height": 900}, locale=language, offline=True)
    page = context.new_page()
    noted: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            noted.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: noted.append(str(error)))
    page.on("console", lambda message: noted.append(message.text) if message.type in ("error", "warning") else None)
    page.goto((reports / "report.html").as_uri())
    return page, noted


def test_it_opens_without_a_network_in_the_readers_language(browser: Browser, reports: Path, language: str) -> None:
    page, noted = opened(browser, reports, language)
    other = {"en": "ko", "ko": "en"}[language]
    assert page.locator(f"article[lang={language}]").is_visible()
    assert not page.locator(f"article[lang={other}]").is_visible()
    assert page.evaluate("document.documentElement.lang") == language
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert noted == []


def test_the_page_brings_letters_for_a_machine_without_korean_fonts(browser: Browser, reports: Path) -> None:
    page, noted = opened(browser, reports, "ko")
    assert page.evaluate("document.fonts.load('16px \"Study CJK\"', '한국어').then(found => found.length)") == 1
    assert "Study CJK" in page.evaluate("getComputedStyle(document.body).fontFamily")
    assert noted == []


def test_the_switch_changes_the_language(browser: Browser, reports: Path) -> None:
    page, noted = opened(browser, reports, "en")
    page.get_by_role("button", name="한국어").click()
    assert page.locator("article[lang=ko] h1").is_visible() and not page.locator("article[lang=en] h1").is_visible()
    assert page.get_by_role("button", name="한국어").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="English").click()
    assert page.locator("article[lang=en] h1").is_visible()
    assert noted == []


def test_a_table_sorts_by_number_and_back(browser: Browser, reports: Path, language: str) -> None:
    page, _ = opened(browser, reports, language)
    tables = page.locator(f"article[lang={language}] table")
    table = next(t for t in tables.all() if t.locator("tbody tr").count() == 12)
    column = 3
    head = table.locator("th").nth(column)

    def numbers() -> list[float]:
        cells = table.locator(f"tbody tr td:nth-child({column + 1}) a.fact")
        return [float(cell.get_attribute("data-value") or "nan") for cell in cells.all()]

    before = numbers()
    head.get_by_role("button").click()
    assert numbers() == sorted(before) and head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert numbers() == sorted(before, reverse=True) and head.get_attribute("aria-sort") == "descending"


def test_every_number_links_to_its_trace(browser: Browser, reports: Path, language: str) -> None:
    page, _ = opened(browser, reports, language)
    broken = page.evaluate(
        "[...document.querySelectorAll('a.fact')].filter(a =>"
        " !document.getElementById(decodeURIComponent(a.getAttribute('href').slice(1)))).length"
    )
    assert broken == 0
    number = page.locator(f"article[lang={language}] a.fact[data-value]").first
    name = number.get_attribute("data-fact")
    number.click()
    entry = page.locator(".entry:target")
    assert entry.is_visible() and entry.locator("dd").first.inner_text() == name
    scrolled = page.evaluate("scrollY")
    entry.locator("a.close").click()
    assert not entry.is_visible() and page.evaluate("scrollY") == scrolled


def test_the_contents_lead_into_the_page(browser: Browser, reports: Path, language: str) -> None:
    page, _ = opened(browser, reports, language)
    page.locator(f"article[lang={language}] > ul a").last.click()
    target = page.locator(":target")
    assert target.is_visible() and page.evaluate("scrollY") > 500


def test_axe_finds_no_violations(browser: Browser, reports: Path, language: str) -> None:
    page, _ = opened(browser, reports, language)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.locator(f"article[lang={language}] a.fact[data-value]").first.click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_never_scrolls_sideways(browser: Browser, reports: Path, language: str, width: int) -> None:
    page, _ = opened(browser, reports, language, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(f"article[lang={language}] a.fact[data-value]").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_one_language_without_controls(browser: Browser, reports: Path, language: str) -> None:
    page, _ = opened(browser, reports, language, width=700)
    page.emulate_media(media="print")
    assert not page.locator(".switch").is_visible()
    assert page.locator(f"article[lang={language}] h1").is_visible()
    wide = page.evaluate(
        "[...document.querySelectorAll('.table')].filter(t => t.scrollWidth > t.clientWidth + 1).length"
    )
    assert wide == 0
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page[^s]", printed)) > 2


def test_without_scripts_both_languages_and_all_traces_can_be_read(browser: Browser, reports: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((reports / "report.html").as_uri())
    page.locator("article[lang=en] a.fact").nth(3).click()
    assert page.locator(".entry:target").is_visible()
