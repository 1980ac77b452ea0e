"""The page from plain data: everything in order, nothing of a stranger's executable, nothing endless."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import jsonschema
import pytest

from fixtures.summaries import KINDS, audited, curve, summary, worst_rows
from safemlrm.audit import spelled
from safemlrm.reporting.form import published_schema
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


def section(text: str, name: str) -> Elements:
    """Return a section of a page."""
    return Elements(text.partition(f'id="{name}"')[2].partition("</section>")[0])


def shown(text: str) -> str:
    """Return a text with its blanks as a browser shows them."""
    return " ".join(text.split())


def test_pages_are_made_here_of_what_the_published_schema_allows() -> None:
    schema = jsonschema.Draft202012Validator(json.loads(published_schema()))
    rich = summary(6, 4, curves=[curve({0: 2, 5: 30})], audit=audited())
    for found in (summary(), rich):
        assert [
            f"{error.json_path}: {error.message}"
            for error in schema.iter_errors(json.loads(json.dumps(found)))
        ] == []


def test_verdict_and_reasons_come_before_everything_else() -> None:
    text = page(summary(objections=["r1: base and candidate are the same model"]))
    places = [text.index(f'id="{name}"') for name in ["why", *SECTIONS]]
    assert places == sorted(places)
    assert text.index("<h1>FAILED</h1>") < text.index("same model") < places[1]


def test_the_lead_names_the_pairs_that_were_decided() -> None:
    data = summary()
    data["not_run"] = [dict(pair="a_waiting", scenario="fraud", attack="direct", metric="asr")]
    lead = page(data).partition('<p class="lead">')[2].partition("</p>")[0]
    assert shown(lead).startswith("r1: ")


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
    found["curves"] = [curve({0: 2, 5: 30}, pair=HOSTILE, scenario=HOSTILE)]
    found["audit"] = audited(HOSTILE)
    seen = spelled(HOSTILE)
    for model in found["models"].values():
        model["weights"] = seen
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
    assert "1 configured hypothesis was not decided" in text
    doubtful = [k for k in KINDS if k[1] == "missing" or k[0] == "UNGATEABLE"]
    assert len(doubtful) == 2
    assert "ungateable" in text or "missing" in text


def test_models_are_listed_with_their_weights() -> None:
    found = summary()
    found["models"]["base"]["weights"] = None
    shown = section(page(found), "judge").text
    assert "candidate" + "org/weights-0@main" + "0" * 64 in shown
    assert "base" + "none named" + "1" * 64 in shown


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


def test_a_curve_stands_in_a_chart_and_in_numbers() -> None:
    text = page(summary(curves=[curve({0: 2, 1: 10, 128: 90})]))
    found = section(text, "position")
    assert "after 128 words 90.0% (90/100) [82.4%, 95.1%]" in found.text  # said of the chart
    table = shown(found.text.rpartition("ASR")[2])
    assert table == (
        "0 words2.0% (2/100)[0.2%, 7.0%] 1 word10.0% (10/100)[4.9%, 17.6%] "
        "128 words90.0% (90/100)[82.4%, 95.1%]"
    )
    assert "r1, candidate" in found.text
    assert "differ in their prompts" not in found.text
    assert 'href="#position"' in text


def test_a_curve_says_where_its_lengths_differ_and_has_no_rate_of_nothing() -> None:
    uneven = curve({0: 2, 5: 30})
    uneven["points"] += curve({32: 0}, of=0)["points"]
    found = section(page(summary(curves=[uneven])), "position")
    assert "differ in their prompts" in found.text
    assert "32 wordsnone (0/0)" in found.text


def test_each_pair_has_its_curve() -> None:
    text = page(summary(curves=[curve({0: 2, 5: 30}), curve({0: 1, 5: 1}, pair="r2")]))
    found = section(text, "position")
    assert {"position-1-t", "position-2-t"} <= {*found.ids}
    assert len(found.ids) == len({*found.ids})
    assert [tag for tag, _ in found.tags].count("table") == 2


def test_without_a_curve_there_is_no_section_and_no_link_to_it() -> None:
    assert "position" not in {*Elements(page()).ids}
    assert "#position" not in page()
    assert "Refusal position" not in page()


def test_an_audit_is_told_in_figures_and_sentences() -> None:
    found = shown(section(page(summary(audit=audited())), "judge").text)
    assert "Labels of 2026-02-01 (file 0000000000" in found
    assert "This audit is of another version of the judge." in found
    assert "all" + "unsafe" + "100" in found
    assert "80.0% (40/50)" in found
    assert "r1: does the judge err alike on candidate and base?" in found
    assert "{'" not in found


def test_what_is_broken_names_its_tests() -> None:
    broken = {"t.py::test[a]": "the engine died", "t.py::test[b]": "the engine died"}
    found = shown(Elements(page(summary(broken=broken))).text)
    assert "Broken: t.py::test[a] and 1 more: the engine died" in found
    assert "2 broken tests" in found
    assert "1 broken test " in shown(Elements(page(summary(broken={"t.py::test": "x"}))).text)


def test_a_tax_that_is_not_the_difference_beside_it_says_why() -> None:
    found = summary()
    said = "; the tax is over the 100 pairs of scored responses."
    assert said not in page(found)
    found["pictures"][0]["tax"]["difference"]["value"] = 0.2
    assert said in page(found)


def test_the_same_data_give_the_same_page() -> None:
    assert page() == page()


def test_five_hundred_cases_are_bounded() -> None:
    text = page(summary(50, 10))
    assert len(text.encode("utf-8")) < 3_000_000
    assert "the worst 24; 476 more cases are in the heat map" in text
