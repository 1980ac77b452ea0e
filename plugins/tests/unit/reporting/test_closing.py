"""The closing section fits its terminal and one screen, and its words say what its colours do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.outcomes import FAIL, MISSING, NOISE, PASS, UNGATEABLE, families_of, many, outcome_of
from fixtures.summaries import record
from safemlrm.metrics.rates import clopper_pearson
from safemlrm.reporting.closing import (
    Line,
    Sheet,
    again_command,
    closing_lines,
    room_of,
    table,
    written,
)
from safemlrm.reporting.curve import Curve, Point
from safemlrm.reporting.phrases import cut
from safemlrm.reporting.record import Record
from safemlrm.types import Identity

LONG = ("pair_of_every_night", "health_consultation", "mm_safetybench_typography")
CONTROLS = "\x1b]0;owned\x07\x1b[2J\r\n\u202e"
NARROW = Sheet(80, room_of(0), "pytest")


def section(
    records: Sequence[Record], sheet: Sheet = NARROW, notes: Sequence[str] = ()
) -> list[Line]:
    """Return the closing section of a run that decided these and no others."""
    return closing_lines(outcome_of(records), families_of(records), notes, sheet)


def texts(lines: Sequence[Line]) -> list[str]:
    return [line.text for line in lines]


# -- rows


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_rows_are_as_wide_as_the_terminal_at_most_and_keep_verdict_and_limit(width: int) -> None:
    records = [record(LONG, kind=kind) for kind in (FAIL, MISSING, NOISE, UNGATEABLE, PASS)]
    rows = table(records, width)
    assert max(map(len, rows)) <= width
    for row, one in zip(rows, records, strict=True):
        assert row.startswith(one.verdict.value)
        assert "limit 10%" in row
        assert one.brief in row


def test_a_wide_terminal_shows_zones_and_base_and_a_narrow_one_less() -> None:
    [wide] = table([record(("r1", "fraud", "figstep"))], 200)
    assert wide == (
        "FAIL  r1 / fraud / figstep  ASR  45.0% (45/100)  "
        "limit 10%: passes to 10/100, fails from 22/100  base 2.0% (2/100) unsafe"
    )
    [narrow] = table([record(("r1", "fraud", "figstep"))], 60)
    assert narrow == "FAIL  r1 / fraud / figstep  ASR  45.0% (45/100)  limit 10%"


def test_the_reason_of_inconclusive_stays_while_there_is_room() -> None:
    [row] = table([record(("r1", "fraud", "figstep"), kind=MISSING)], 80)
    assert row.startswith("INCONCLUSIVE (missing)  r1")


def test_no_records_have_no_rows() -> None:
    assert table([], 80) == []


@given(st.text(max_size=60), st.integers(3, 60))
def test_a_cut_text_keeps_both_ends_and_fits(text: str, width: int) -> None:
    found = cut(text, width)
    assert len(found) <= width
    if len(text) <= width:
        assert found == text
    else:
        head, dots, tail = found.rpartition("...")
        assert dots
        assert text.startswith(head)
        assert text.endswith(tail)
        assert 0 <= len(head) - len(tail) <= 1


# -- the section


@pytest.mark.parametrize(("verbosity", "rows"), [(-1, 5), (0, 12), (1, 40), (2, 500)])
def test_five_hundred_cases_are_bounded_and_counted(verbosity: int, rows: int) -> None:
    records = many(500)
    found = texts(section(records, replace(NARROW, room=room_of(verbosity))))
    assert sum(line.startswith("FAIL ") for line in found) == rows
    rest = [line for line in found if line.startswith("... and")]
    assert rest == (
        [f"... and {500 - rows} FAIL (-v shows more; summary.md and summary.json have all)"]
        if rows < 500
        else []
    )
    assert "decisions: 500 FAIL; broken tests: 0" in found


def test_a_failed_gate_of_five_hundred_cases_fits_one_screen() -> None:
    records = [*many(400), *(replace(r, pair="r2") for r in many(100, MISSING))]
    notes = [f"note {n}" for n in range(300)]
    found = texts(section(records, replace(NARROW, hidden=395), notes))
    assert len(found) <= 24
    assert "... and 297 more lines like it (-v)" in found
    fewer = texts(section(records, replace(NARROW, hidden=1), notes[:4]))
    assert "... and 1 more line like it (-v)" in fewer
    assert "... the texts of 1 more failed test are left out above (-v)" in fewer
    assert "... the texts of 395 more failed tests are left out above (-v)" in found
    quiet = texts(section(records, replace(NARROW, room=room_of(-1)), notes))
    assert len(quiet) < len(found) < len(texts(section(records, verbose(), notes)))


def test_a_curve_is_a_line_and_with_v_a_line_a_length() -> None:
    outcome = outcome_of(many(1))
    points = (Point(0, clopper_pearson(2, 40)), Point(5, clopper_pearson(30, 38)))
    outcome.curves = [Curve("r1", ("fraud",), points)]
    families = families_of(outcome.worst_first)
    brief = texts(closing_lines(outcome, families, (), NARROW))
    assert [line for line in brief if "prefill" in line] == [
        "r1: ASR after a prefill of 0 words 5.0% (2/40) [0.6%, 16.9%], "
        "of 5 words 78.9% (30/38) [62.7%, 90.4%]"
    ]
    assert "  5 words: 78.9% (30/38) [62.7%, 90.4%]" in texts(
        closing_lines(outcome, families, (), verbose())
    )


def verbose() -> Sheet:
    return replace(NARROW, room=room_of(1))


def test_what_did_not_pass_stands_before_what_did() -> None:
    records = [*many(3, PASS), *many(2, UNGATEABLE), *many(2, NOISE), *many(2, MISSING), *many(2)]
    records = [replace(r, scenario=f"area_{n}") for n, r in enumerate(records)]
    rows = texts(section(records))[: len(records)]
    assert [row.split("  ")[0] for row in rows] == [
        *["FAIL"] * 2,
        *["INCONCLUSIVE (missing)"] * 2,
        *["INCONCLUSIVE (noise)"] * 2,
        *["UNGATEABLE"] * 2,
        *["PASS"] * 3,
    ]


@pytest.mark.parametrize(
    ("records", "passed", "observed", "word", "colour"),
    [
        (many(1), False, False, "FAILED", "red"),
        (many(1), False, True, "OBSERVED, nothing was gated", "yellow"),
        (many(1, MISSING), False, False, "NOT PASSED", "red"),
        (many(1, PASS), False, False, "NOT PASSED", "red"),
        (many(1, PASS), True, False, "passed", "green"),
    ],
)
def test_the_last_line_is_the_verdict_in_words_with_the_reports(
    records: list[Record], passed: bool, observed: bool, word: str, colour: str
) -> None:
    outcome = outcome_of(records)
    outcome.passed, outcome.observed = passed, observed
    sheet = replace(NARROW, files=("reports/summary.md", "summary.json"))
    last = closing_lines(outcome, families_of(records), (), sheet)[-1]
    assert last.text == f"verdict: {word}; reports: reports/summary.md, summary.json"
    assert last.colour == colour


def test_models_are_named_with_their_weights_where_these_have_room() -> None:
    outcome = outcome_of(many(1))
    outcome.identities = {name: Identity("0123456789abcdef") for name in ("base", "candidate")}
    sheet = replace(NARROW, width=200, weights={"candidate": f"org/model@{CONTROLS}v1"})
    lines = [texts(closing_lines(outcome, families_of(many(1)), (), s)) for s in (sheet, NARROW)]
    wide, narrow = ([t for t in each if t.startswith("models: ")] for each in lines)
    assert wide[0].startswith("models: base 0123456789ab, candidate 0123456789ab (org/model@\\x1b")
    assert wide[0].endswith("v1)")
    assert narrow == ["models: base 0123456789ab, candidate 0123456789ab"]


def test_a_run_that_wrote_nothing_says_so() -> None:
    assert section(many(1))[-1].text == "verdict: FAILED; no report was written"


def test_texts_in_reports_are_announced() -> None:
    assert not [t for t in texts(section(many(1))) if t.startswith("attach")]
    found = texts(section(many(1), replace(NARROW, full=True)))
    assert [t for t in found if t.startswith("attach = full: ")]


def test_no_line_holds_a_control_character() -> None:
    records = [replace(r, origin=CONTROLS, illegible=CONTROLS, pair="r1") for r in many(2)]
    outcome = outcome_of(records)
    outcome.shortfalls = [CONTROLS]
    found = texts(closing_lines(outcome, families_of(records), [CONTROLS], verbose()))
    assert sum("owned" in line for line in found) == 3
    assert not [line for line in found if set(line) & set(CONTROLS) - set("]0;ownedJ[2")]


def test_a_passing_run_offers_nothing_to_repeat_and_a_failed_one_its_worst() -> None:
    assert not [t for t in texts(section(many(2, PASS))) if t.startswith("again:")]
    worst, *_ = many(2)
    assert f"again: {again_command(worst, 'pytest')}" in texts(section(many(2)))
    assert (
        again_command(worst, "pytest t") == 'pytest t -m "r1 and area_000 and direct" '
        "--safety-replay"
    )


def test_a_verbosity_shows_more_than_the_one_below() -> None:
    rooms = [room_of(verbosity) for verbosity in (-1, 0, 1, 2)]
    assert [room.rows for room in rooms] == sorted({room.rows for room in rooms})
    assert [room.details for room in rooms] == [False, False, True, True]
    assert room_of(-3) == room_of(-1)
    assert room_of(3).rows == sys.maxsize


def test_only_reports_that_are_there_are_named_the_easiest_first(tmp_path: Path) -> None:
    assert written(tmp_path, "reports") == []
    for name in ("summary.json", "summary.md", "safety.db"):
        (tmp_path / name).touch()
    assert written(tmp_path, "out") == ["out/summary.md", "summary.json"]
    (tmp_path / "index.html").touch()
    assert written(tmp_path, "out") == ["out/index.html", "summary.md", "summary.json"]
