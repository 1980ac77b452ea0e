"""The page in a browser: it opens from a file, works by keyboard and for all, and runs nobody's code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.browser import Visit, Visitor
from fixtures.summaries import audited, curve, summary, worst_rows
from safemlrm.audit import spelled
from safemlrm.reporting.page import Facts, History, history_of, render

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
FIRST = ("r1", "area_00", "attack_0")
CANARIES = {
    "script": "<script>window.__pwned = 1</script>",
    "closing": "</script></style></title><script>window.__pwned = 2</script>",
    "handler": '"><img src=x onerror="window.__pwned = 3">',
    "svg": "<svg onload=alert(1)><a xlink:href='javascript:alert(2)'>",
    "attribute": "' autofocus onfocus=alert(3) x='",
    "data": "data:text/html,<script>alert(4)</script>",
    "address": "javascript:alert(5)",
    "template": "{{7*7}}{% for x in [1] %}${7*7}#{7*7}<%= 7*7 %>",
    "mathtext": r"$\frac{1}{0}$ $x^{",
    "terminal": "\x1b]0;title\x07\x1b[2J\x1b]8;;http://example.invalid\x07link",
    "bidi": "\u202eevil\u2066\u200b\ufeff",
    "surrogate": "\ud800\x00",
    "endless": "A" * 1_000_000,
    "frame": '<iframe src="http://example.invalid/"></iframe><link rel=stylesheet href=//example.invalid>',
}


def past() -> list[History]:
    """Return runs that have a trend."""
    runs = []
    for day, rate in enumerate((0.3, 0.25, 0.33), start=1):
        found = summary(not_run=[])
        found["pictures"][0]["tax"]["candidate"]["value"] = rate
        runs.append(history_of(found, "FAILED", AT.replace(day=day)))
    return runs


@pytest.fixture
def address(tmp_path: Path) -> str:
    """A page with everything that a page can show."""
    found = summary(
        6, 4, partial=["r1 was decided on 58 of 59"], broken={"test": "the engine died"}
    )
    found["audit"] = audited()
    found["curves"] = [curve({0: 2, 1: 10, 8: 40, 128: 90})]
    account = {"base": {"asked": 100, "stored": 20, "seconds": 3.5}}
    facts = Facts("FAILED", AT, "pytest safety_tests", attach="full", warnings=("a / b: ASR 20%",))
    text = render(found, account, past(), {FIRST: worst_rows("I cannot help.")}, facts)
    return put(tmp_path, text)


def put(folder: Path, text: str) -> str:
    """Write a page and return its address."""
    file = folder / "index.html"
    file.write_text(text, "utf-8")
    return file.as_uri()


def alone(visited: Visit) -> Sequence[str]:
    """Return the requests for anything but the page itself."""
    return [url for url in visited.requests if not url.startswith(("file:", "data:"))]


def focused(visited: Visit) -> Any:
    """Return where the focus is: the text of the element."""
    return visited.page.evaluate("document.activeElement.textContent.replace(/\\s+/g, ' ').trim()")


def test_it_opens_from_a_file_and_asks_nobody(visit: Visitor, address: str) -> None:
    visited = visit(address)
    assert visited.page.locator("h1").inner_text() == "FAILED"
    assert visited.page.locator("svg").count() == 4
    assert visited.complaints == []
    assert alone(visited) == []
    assert [url for url in visited.requests if url.startswith("file:")] == [address]


def test_a_failing_case_is_two_clicks_away(visit: Visitor, address: str) -> None:
    page = visit(address).page
    page.locator(".heat td.fail a").first.click()
    case = page.locator("details.case.fail[open]").first
    assert case.is_visible()
    assert "r1 / area_00" in case.locator("summary").first.inner_text()
    assert "pytest safety_tests -m" in case.locator(".command").inner_text()
    page.go_back()
    page.locator(".reasons a").first.click()
    assert page.locator("details.case.fail[open]").first.is_visible()


def test_the_heat_map_works_by_keyboard(visit: Visitor, address: str) -> None:
    visited = visit(address)
    page = visited.page
    assert page.locator('.heat a[tabindex="0"]').count() == 1  # one stop of the Tab key
    page.locator(".heat a").first.focus()
    start = focused(visited)
    about = page.locator("#tip").inner_text()
    assert about.splitlines()[0] == "candidate candidate: 45.0% (45/100) [35.0%, 55.3%]"
    page.keyboard.press("ArrowRight")
    right = focused(visited)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert focused(visited) == start
    assert right != start or page.locator("#tip").is_visible()
    page.keyboard.press("End")
    place = page.evaluate("document.activeElement.closest('td').cellIndex")
    assert place == 4
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    page.keyboard.press("Home")
    assert focused(visited) == start
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.startsWith('#case-')")
    assert "r1 / area_00 / attack_0" in focused(visited)
    assert visited.complaints == []


def test_hovering_shows_the_interval(visit: Visitor, address: str) -> None:
    page = visit(address).page
    assert not page.locator("#tip").is_visible()
    page.locator(".heat td.fail a").first.hover()
    assert "[35.0%, 55.3%]" in page.locator("#tip").inner_text()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(visit: Visitor, address: str, width: int, dark: bool) -> None:
    visited = visit(address, width=width, dark=dark)
    visited.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert visited.violations() == []
    assert visited.page.evaluate("document.documentElement.scrollWidth") == width


WIDER = """(where) => [...document.querySelectorAll(where)]
  .filter((part) => part.checkVisibility() && part.scrollWidth > part.clientWidth)
  .map((part) => part.getAttribute('aria-label'))"""
OPEN = "document.querySelectorAll('details').forEach((d) => { d.open = true; })"


def test_on_a_phone_a_case_fits_its_width(visit: Visitor, tmp_path: Path) -> None:
    found = summary(3, 2)
    for decision in found["decisions"]:
        decision["origin"] = "[[limits.override]] #1: " + "a long reason " * 20
    worst = {FIRST: worst_rows("I cannot help.")}
    facts = Facts("FAILED", AT, "pytest", attach="full")
    page = visit(put(tmp_path, render(found, {}, [], worst, facts)), width=390).page
    page.evaluate(OPEN)
    assert page.evaluate(WIDER, ".case .scroll") == []


def test_ten_attacks_fit_a_screen_and_keep_their_words(visit: Visitor, tmp_path: Path) -> None:
    text = render(summary(6, 10), {}, [], {}, Facts("FAILED", AT, "pytest"))
    page = visit(put(tmp_path, text)).page
    assert page.evaluate(WIDER, ".scroll:has(> .heat)") == []
    assert "FAIL" in page.locator(".heat td.fail a").first.inner_text()
    narrow = visit(put(tmp_path, text), width=390).page
    assert narrow.evaluate("document.documentElement.scrollWidth") == 390


def test_a_pair_that_passes_as_a_whole_stands_below_what_did_not(
    visit: Visitor, tmp_path: Path
) -> None:
    found = summary(3, 2)
    whole = {**found["decisions"][-1], "scenario": "all", "attack": "all"}
    whole |= {"metric": "unscored", "verdict": "PASS", "reason": ""}
    found["decisions"].append(whole)
    page = visit(put(tmp_path, render(found, {}, [], {}, Facts("FAILED", AT, "pytest")))).page
    assert page.locator("details.case").first.get_attribute("class") == "case fail"
    page.evaluate(OPEN)
    assert "as a whole" in page.locator("details.case.pass summary").last.inner_text()


def test_a_curve_is_seen_where_it_is_looked_for(visit: Visitor, address: str) -> None:
    page = visit(address).page
    page.get_by_role("link", name="Refusal position").click()
    section = page.locator("#position")
    assert section.get_by_role("heading").inner_text() == "Refusal position"
    assert section.get_by_role("img", name="ASR of r1 by length of prefill").is_visible()
    rows = [" ".join(row.split()) for row in section.locator("tbody tr").all_inner_texts()]
    assert rows == [
        "0 words 2.0% (2/100) [0.2%, 7.0%]",
        "1 word 10.0% (10/100) [4.9%, 17.6%]",
        "8 words 40.0% (40/100) [30.3%, 50.3%]",
        "128 words 90.0% (90/100) [82.4%, 95.1%]",
    ]


def test_on_a_phone_a_curve_scrolls_by_keyboard_and_its_numbers_fit(
    visit: Visitor, address: str
) -> None:
    page = visit(address, width=390).page
    chart = page.get_by_role("region", name="Chart of ASR by length of prefill, r1")
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")
    wide = page.evaluate(WIDER, "#position .scroll")
    assert wide == ["Chart of ASR by length of prefill, r1"]


def test_charts_follow_the_theme(visit: Visitor, address: str) -> None:
    colours = []
    for dark in (False, True):
        page = visit(address, dark=dark).page
        colours.append(page.evaluate("getComputedStyle(document.querySelector('svg text')).fill"))
    assert colours == ["rgb(26, 31, 38)", "rgb(236, 238, 241)"]


def test_it_reads_without_script(visit: Visitor, tmp_path: Path) -> None:
    text = render(summary(), {}, [], {}, Facts("FAILED", AT, "pytest"))
    page = visit(put(tmp_path, text.replace("<script>", "<script>throw 0;"))).page
    page.locator(".heat td.fail a").first.click()
    assert (
        page.locator("details.case[open]").count() == 1
    )  # by the browser, as its target is inside


def test_on_paper_the_failing_cases_are_open(visit: Visitor, address: str) -> None:
    page = visit(address).page
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.case.fail:not([open])").count() == 0
    assert page.locator(".reasons li details:not([open])").count() == 0
    assert not page.locator("nav").is_visible()


PAPER = 718
"""Pixels between the margins of A4."""


def test_paper_is_light_and_cuts_nothing_off(visit: Visitor, address: str) -> None:
    page = visit(address, width=PAPER, dark=True).page
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.evaluate(OPEN)
    assert page.evaluate("document.documentElement.scrollWidth") == PAPER
    assert page.evaluate(WIDER, ".scroll") == []
    colours = "getComputedStyle(document.querySelector('.mark.fail')).color"
    assert page.evaluate(colours) == "rgb(163, 38, 15)"


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
def test_what_strangers_wrote_runs_nothing(visit: Visitor, tmp_path: Path, canary: str) -> None:
    names = dict.fromkeys(("scenario", "attack", "model", "prompt"), canary)
    found = summary(names=names, pair=canary, objections=[canary], partial=[canary])
    found["broken"] = {canary: canary}
    found["judge_paths"] = {canary: {canary: 3}}
    found["curves"] = [curve({0: 2, 5: 30}, pair=canary, scenario=canary)]
    found["audit"] = audited(canary)
    seen = spelled(canary)
    worst = {(seen, seen, seen): worst_rows(canary, [canary])}
    facts = Facts("FAILED", AT, canary, attach="full", warnings=(canary,))
    cost = {canary: {"asked": 1, "stored": 0, "seconds": 2}}
    runs = [history_of(found, "FAILED", AT), history_of(found, "passed", AT)]
    visited = visit(put(tmp_path, render(found, cost, runs, worst, facts)))
    visited.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    visited.page.locator(".heat a").first.hover()
    visited.page.locator(".heat a").first.click()
    assert visited.page.evaluate("window.__pwned") is None
    assert visited.dialogs == []
    assert visited.complaints == []
    assert alone(visited) == []
    assert visited.page.locator("script").count() == 1
    assert visited.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_five_hundred_cases_open(visit: Visitor, tmp_path: Path) -> None:
    text = render(summary(50, 10), {}, [], {}, Facts("FAILED", AT, "pytest"))
    visited = visit(put(tmp_path, text), width=390)
    assert visited.page.locator(".heat a").count() == 510
    visited.page.locator(".heat td.pass a").last.click()
    assert visited.page.locator("details.case[open]").first.is_visible()
    assert visited.complaints == []
