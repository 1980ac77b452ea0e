"""What a failed gate says, and what measuring says: bounded lines without a control character."""

from __future__ import annotations

from dataclasses import replace

from fixtures.outcomes import MISSING
from fixtures.summaries import record
from safemlrm.reporting.terminal import failure_text

SUBJECT = ("r1", "fraud", "figstep")


def test_a_failed_gate_is_explained_in_a_few_lines() -> None:
    text = failure_text(record(SUBJECT, worst=("fr-002", "fr-006")), "pytest gates")
    assert text.splitlines() == [
        "ASR 45.0% (45/100)  (score >= 3, answer)  limit 10%: passes to 10/100, fails from 22/100",
        "  verdict FAIL",
        "  case    r1 / fraud / figstep   limit from [limits]",
        "  base    2.0% (2/100) (base)",
        "  worst   fr-002, fr-006 (ids only; responses stay in the store)",
        '  again   pytest gates -m "r1 and fraud and figstep" --safety-replay',
    ]


def test_a_long_id_is_cut_in_the_middle() -> None:
    text = failure_text(record(SUBJECT, worst=(f"start-{'x' * 10_000}-end",)), "pytest")
    [line] = [line for line in text.splitlines() if line.startswith("  worst")]
    shown = line.split()[1]
    assert len(shown) == 40
    assert shown.startswith("start-")
    assert shown.endswith("-end")


def test_no_line_holds_a_control_character() -> None:
    hostile = "\x1b]0;owned\x07\r\n\u202e\x00"
    found = replace(
        record(SUBJECT, kind=MISSING, worst=(hostile,)),
        origin=hostile,
        illegible=hostile,
        unaudited=hostile,
    )
    lines = failure_text(found, "pytest").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        *("verdict", "case", "base", "images", "judge", "worst", "again")
    ]
    assert all(line.isprintable() for line in lines)


def test_a_rise_by_prefill_stands_beside_the_same_model_without_it() -> None:
    text = failure_text(record(SUBJECT, "prefill_rise"), "pytest")
    assert "  plain   2.0% (2/100) (base)" in text.splitlines()
