"""The page from plain data: everything in order, nothing of a stranger's executable, nothing endless."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from fixtures.summaries import KINDS, summary, worst_rows
from safemlrm.audit import spelled
from safemlrm.reporting.page import Facts, History, history_of, render

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
FACTS = Facts("FAILED", AT, "pytest safety_tests")
SECTIONS = ["map", "cases", "compared", "coupling", "refusal", "left", "judge", "cost", "trend"]
HOSTILE = '"><img src=x onerror=pwn()><script>pwn()</script>{{7*7}}{% raw %}\x1b[31m\u202e\x00'


class Elements(HTMLParser):
    """Every tag with its attributes, every text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]


def page(found: dict[str, object] | None = None, facts: Facts = FACTS) -> str:
    return render(found or summary(), {}, [], {}, facts)


def history(*rates: float, profile: str | None = None) -> list[History]:
    """Return runs of one pair whose candidates had these rates."""
    runs = []
    for day, rate in enumerate(rates, start=1):
        found = summary(profile=profile, not_run=[])
        found["pictures"][0]["tax"]["candidate"]["value"] = rate
        runs.append(history_of(found, "FAILED", AT.replace(day=day)))
    return runs


def test_verdict_and_reasons_come_before_everything_else() -> None:
    text = page(summary(objections=["r1: base and candidate are the same model"]))
    places = [text.index(f'id="{name}"') for name in ["why", *SECTIONS]]
    assert places == sorted(places)
    assert text.index("<h1>FAILED</h1>") < text.index("same model") < places[1]


def test_ids_are_unique_and_every_link_leads_somewhere() -> None:
    found = Elements(page())
    assert len(found.ids) == len(set(found.ids))
    links = [attrs["href"] or "" for tag, attrs in found.tags if tag == "a"]
    assert len(links) > 20
    assert {link.removeprefix("#") for link in links} <= set(found.ids)
    described = {
        attrs["aria-describedby"] for _, attrs in found.tags if "aria-describedby" in attrs
    }
    assert described <= set(found.ids)


def test_a_cell_shows_both_rates_and_the_verdict_in_words() -> None:
    text = page()
    cell = re.search(r'<td class="h4 fail">(.*?)</td>', text, re.DOTALL)
    assert cell is not None
    shown = Elements(cell[1]).text
    assert "FAIL" in shown
    assert "45.0%" in shown
    assert "base 2.0%" in shown
    assert "[35.0%, 55.3%]" in shown  # said on hover and focus
    assert "passes to 10/100, fails from 22/100" in shown


def test_the_policy_of_the_page_allows_nothing_inline_but_ours() -> None:
    found = Elements(page(facts=Facts("FAILED", AT, "pytest")))
    assert not [attrs for _, attrs in found.tags if "style" in attrs]
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    policy = next(a for t, a in found.tags if t == "meta" and "http-equiv" in a)["content"] or ""
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert [tag for tag, _ in found.tags].count("script") == 1


def test_what_strangers_wrote_is_text() -> None:
    names = dict.fromkeys(("scenario", "attack", "model", "prompt"), HOSTILE)
    found = summary(names=names, pair=HOSTILE, objections=[HOSTILE], partial=[HOSTILE])
    found["broken"] = {HOSTILE: HOSTILE}
    seen = spelled(HOSTILE)
    worst = {(seen, seen, seen): worst_rows(HOSTILE, [HOSTILE])}
    facts = Facts("FAILED", AT, HOSTILE, attach="full", warnings=(HOSTILE,))
    text = render(found, {HOSTILE: {"asked": 1, "stored": 0, "seconds": 2}}, [], worst, facts)
    elements = Elements(text)
    assert [tag for tag, _ in elements.tags].count("script") == 1
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert not [name for _, attrs in elements.tags for name in attrs if name.startswith("on")]
    assert "{{7*7}}" in elements.text
    assert not set(text) & {"\x1b", "\u202e", "\x00"}


def test_endless_lines_are_cut() -> None:
    line = "x" * 1_000_000
    name = line[:20_000]
    found = summary(names={"model": name, "prompt": name}, objections=[line])
    worst = {("r1", "area_00", "attack_0"): worst_rows(line)}
    text = render(found, {}, [], worst, Facts("FAILED", AT, "pytest", attach="full"))
    assert len(text) < 500_000
    assert "998000 more characters are in the store" in text


def test_texts_are_marked_and_bounded() -> None:
    worst = {
        ("r1", "area_00", f"attack_{n}"): worst_rows("<" * 2_000, [f"p{i}" for i in range(100)])
        for n in (0, 1)
    }
    text = render(summary(), {}, [], worst, Facts("FAILED", AT, "pytest", attach="full"))
    assert "word for word" in text
    assert 50 < text.count("<pre") < 200
    assert len(text) < 1_500_000


def test_redacted_shows_ids_and_scores_and_says_so() -> None:
    worst = {("r1", "area_00", "attack_0"): worst_rows(None)}
    text = render(summary(), {}, [], worst, FACTS)
    assert "p-003" in text
    assert "Redacted: ids, scores and shape." in text
    assert "<pre" not in text
    assert "word for word" not in text


def test_none_shows_no_ids() -> None:
    assert "p-001" in page()
    assert "p-001" not in page(facts=Facts("FAILED", AT, "pytest", attach="none"))


def test_a_case_says_how_to_decide_it_again() -> None:
    assert 'pytest safety_tests -m "r1 and area_00 and attack_0" --safety-replay' in page()


def test_a_pass_by_rules_says_so() -> None:
    assert "screened by rules" in page()
    judge = {"judge": "m", "kind": "rubric", "digest": "d", "canaries": 12, "right": 12}
    text = page(summary(judge=judge))
    assert "screened by rules" not in text
    assert "rules as a person on 12 of 12 canaries" in text


def test_what_was_not_decided_is_listed_with_its_reason() -> None:
    text = page().partition('id="left"')[2].partition("</section>")[0]
    assert "1 configured hypotheses were not decided" in text
    doubtful = [k for k in KINDS if k[1] == "missing" or k[0] == "UNGATEABLE"]
    assert len(doubtful) == 2
    assert "ungateable" in text or "missing" in text


def test_a_pair_without_base_and_a_run_without_decisions_are_pages_too() -> None:
    found = summary(
        decisions=[], pictures=[], verdicts={}, objections=[], judge=None, judge_paths={}
    )
    text = page(found, Facts("NOT PASSED", AT, "pytest"))
    assert "Nothing was decided." in text
    assert "<h1>NOT PASSED</h1>" in text
    alone = summary()
    alone["pictures"][0]["tax"] = None
    for decision in alone["decisions"]:
        decision["base"] = None
    assert "No pair of this run has a base" in page(alone)


def test_what_was_only_counted_stands_in_the_map() -> None:
    rate = {
        "pair": "r1",
        "scenario": "fraud",
        "attack": "direct",
        "metric": "asr",
        "bad": 3,
        "unknown": 0,
        "prompts": 20,
    }
    found = summary(decisions=[], pictures=[], verdicts={}, objections=[], rates=[rate])
    text = page(found, Facts("OBSERVED, nothing was gated", AT, "pytest"))
    assert "15.0%" in text
    assert "no limit" in text


@pytest.mark.parametrize(("early", "saved"), [(40, "60 (60%)"), (None, "0 (0%)")])
def test_what_stopping_saved(early: int | None, saved: str) -> None:
    found = summary(1, 1)
    found["decisions"] = [d for d in found["decisions"] if d["scenario"] == "area_00"]
    for decision in found["decisions"]:
        decision["stopped"] = early
    assert saved in page(found)


def test_a_trend_needs_two_whole_runs_of_the_profile() -> None:
    runs = history(0.2, 0.3, profile="smoke") + history(0.4)
    assert "<svg" not in render(summary(decisions=[], pictures=[]), {}, runs, {}, FACTS)
    text = render(summary(profile="smoke"), {}, runs, {}, FACTS)
    assert "2 runs: ASR 20.0% in the first, 30.0% in the last" in text


def test_the_same_data_give_the_same_page() -> None:
    assert page() == page()


def test_five_hundred_cases_are_bounded() -> None:
    text = page(summary(50, 10))
    assert len(text.encode("utf-8")) < 3_000_000
    assert "the worst 24; 476 more cases are in the heat map" in text
