"""summary.md fits a comment, opens with its marker, and shows names of strangers as what they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from fixtures.outcomes import FAIL, MISSING, PASS, families_of, many, outcome_of
from fixtures.summaries import record
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.curve import Curve, Point
from safemlrm.reporting.markdown import HEADER, LARGEST, MARKER, code, markdown
from safemlrm.reporting.record import Record
from safemlrm.types import Identity, Reason, Verdict

OURS = {MARKER, "</details>"}
COLUMNS = 6
RISING = Curve(
    "r1", ("fraud",), (Point(0, clopper_pearson(2, 40)), Point(5, clopper_pearson(30, 38)))
)
HOSTILE = (
    "a|b ``` `<script>x()</script> @everyone #1 [x](http://evil.example) ![i](data:x)"
    "\r\n\n# owned\n| c |\x1b[31m\u202e\x00\ud800 </details> <!-- www.evil.example"
)


def tokens(text: str) -> Iterator[Token]:
    """Yield what a reader of GitHub's Markdown sees in a text, with what is inside lines."""
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table"]).parse(text):
        yield token
        yield from token.children or ()


def strange(text: str) -> list[str]:
    """Return the markup of a page that is not the report's own."""
    found = []
    for token in tokens(text):
        if token.type.startswith("html"):
            lines = [line for line in token.content.splitlines() if line]
            found += [
                line for line in lines if line not in OURS and not line.startswith("<details><")
            ]
        elif token.type in ("link_open", "image", "fence", "hr"):
            found.append(token.type)
    return found


def columns(text: str) -> set[int]:
    """Return how many cells the rows of a page's tables have."""
    sizes, size = set(), 0
    for token in tokens(text):
        if token.type == "tr_open":
            size = 0
        elif token.type in ("td_open", "th_open"):
            size += 1
        elif token.type == "tr_close":
            sizes.add(size)
    return sizes


def page(records: Sequence[Record], notes: Sequence[str] = (), *, full: bool = False) -> str:
    return markdown(outcome_of(records), families_of(records), notes, full=full)


def test_marker_and_verdict_come_first() -> None:
    assert page(many(2)).splitlines()[:4] == [
        "<!-- pytest-safemlrm -->",
        "# Safety gate: FAILED",
        "",
        "Decisions: 2 FAIL.",
    ]


def test_what_did_not_pass_stands_open_and_the_rest_is_folded() -> None:
    records = [*many(2), *(replace(r, scenario=f"ok_{n}") for n, r in enumerate(many(3, PASS)))]
    text = page(records)
    opened, folded = text.split("<details>", 1)
    assert "### What did not pass (2)" in opened
    assert opened.count("| FAIL |") == 2
    assert "| PASS |" not in opened
    assert folded.count("| PASS |") == 3
    assert text.count("<details>") == text.count("</details>")


def test_models_are_named_with_their_weights_as_text() -> None:
    outcome = outcome_of(many(1))
    outcome.identities = {name: Identity("0123456789abcdef") for name in ("base", "candidate")}
    weights = {"candidate": f"org/model@{HOSTILE}"}
    text = markdown(outcome, families_of(many(1)), (), weights)
    assert "- `model base: 0123456789ab`" in text.splitlines()
    [line] = [line for line in text.splitlines() if "model candidate" in line]
    assert "model candidate: 0123456789ab, org/model@" in line
    assert strange(text) == []


@pytest.mark.parametrize("kind", [FAIL, PASS], ids=["failed", "passed"])
def test_five_hundred_cases_fit_a_comment(kind: tuple[Verdict, Reason, float]) -> None:
    records = [replace(r, attack="typography_" * 9) for r in many(500, kind)]
    text = page(records, [f"{n}: {'long ' * 300}" for n in range(400)])
    assert len(text) <= LARGEST
    assert len(text.encode("utf-16-le")) // 2 <= 65_536
    assert text.startswith(f"{MARKER}\n# Safety gate: ")
    assert text.count("<details>") == text.count("</details>")
    assert "more lines are in summary.json." in text
    assert "- ... and 380 more like it" in text
    assert columns(text) == {COLUMNS}


def test_names_of_strangers_are_neither_markup_nor_a_cell_more() -> None:
    records = [
        replace(record((HOSTILE, HOSTILE, HOSTILE), kind=kind), illegible=HOSTILE)
        for kind in (FAIL, MISSING, PASS)
    ]
    outcome = outcome_of([replace(r, scenario=f"{r.scenario}{n}") for n, r in enumerate(records)])
    outcome.broken = {"test": HOSTILE}
    outcome.shortfalls = [HOSTILE]
    outcome.curves = [RISING, replace(RISING, pair=HOSTILE, scenarios=(HOSTILE,))]
    text = markdown(outcome, families_of(outcome.worst_first), [HOSTILE], full=True)
    assert strange(text) == []
    assert columns(text) == {COLUMNS, 3}
    assert "owned" in text
    assert "@everyone" not in "".join(t.content for t in tokens(text) if t.type == "text")
    assert not [char for char in text if not char.isprintable() and char != "\n"]


@given(st.text(max_size=40))
def test_any_text_is_one_code_span(text: str) -> None:
    [line] = [t for t in tokens(f"- {code(text)}") if t.type == "inline"]
    assert [child.type for child in line.children or ()] == ["code_inline"]


def test_a_curve_is_a_table_and_what_is_broken_names_its_tests() -> None:
    outcome = outcome_of(many(1))
    outcome.curves = [RISING]
    outcome.broken = {"t.py::test[a]": "no response", "t.py::test[b]": "no response"}
    text = markdown(outcome, families_of(outcome.worst_first), [])
    assert "| `r1` | 5 words | 78.9% (30/38) [62.7%, 90.4%] |" in text
    assert "- broken: `t.py::test[a] and 1 more: no response`" in text
    assert "Refusal position" not in page(many(1))


def test_what_a_rise_is_compared_with_is_named() -> None:
    [rise] = many(1)
    rise = replace(rise, metric="prefill_rise", base=replace(rise.base or rise.candidate, bad=3))
    [row] = [line for line in page([rise, *many(2)[1:]]).splitlines() if "rise by" in line]
    assert row.endswith("| plain 3.0% (3/100) unsafe |")


def test_a_run_with_texts_says_so_before_its_table() -> None:
    text = page(many(1), full=True)
    assert text.index("attach = full") < text.index(HEADER[0])
    assert "attach = full" not in page(many(1))
