"""Accepted runs read back as they were, and are void under another instrument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from safemlrm.baselines import (
    Baseline,
    Instrument,
    accept,
    baseline_path,
    read_baseline,
    write_baseline,
)
from safemlrm.errors import ConfigError
from safemlrm.evidence import CellResult, paired
from safemlrm.responses.store import Row, Scored
from safemlrm.types import Cell, Score, TraceState

INSTRUMENT = Instrument("scorer", 1, 3, "answer", {"fraud": "s1"}, {"direct": "a1"})
SCORES = [0, 5, None, 4]


def result(planned: int = 4) -> CellResult:
    rows = [
        Row(n, f"p{n}", f"k{n}", "stop", 7, Scored(Score(None, s, s, s == 0), TraceState.ABSENT))
        for n, s in enumerate(SCORES)
    ]
    return CellResult(
        Cell("m", "fraud", "direct"), "refuse", tuple(rows), planned, 3, "answer", asked=planned
    )


def accepted() -> Baseline:
    return accept(
        "r1",
        [result()],
        INSTRUMENT,
        {"weights": "w"},
        by="ann",
        reason="first",
        today=date(2026, 1, 2),
    )


def test_outcomes_read_back_and_compare_like_a_model(tmp_path: Path) -> None:
    path = baseline_path(tmp_path, "r1")
    write_baseline(accepted(), path)
    found = read_baseline(path, INSTRUMENT)
    assert found is not None
    assert (found.by, found.on, found.reason) == ("ann", "2026-01-02", "first")
    base = found.result(result())
    assert base is not None
    assert base.count(base.unsafe) == result().count(result().unsafe)
    pairs = paired(result(), base, "unsafe")
    assert (pairs.n10, pairs.n01, pairs.known) == (0, 0, 3)


def test_a_cell_that_was_not_accepted_has_no_result() -> None:
    other = replace(result(), cell=Cell("m", "fraud", "figstep"))
    assert accepted().result(other) is None


def test_before_the_first_run_there_is_none(tmp_path: Path) -> None:
    assert read_baseline(baseline_path(tmp_path, "r1"), INSTRUMENT) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scorer": "other"}, "another judge"),
        ({"seed": 2}, "another seed"),
        ({"unsafe_at": 4}, "another unsafe_at"),
        ({"scenarios": {"fraud": "s2"}}, "another set of prompts for fraud"),
        ({"attacks": {"direct": "a2"}}, "another version of direct"),
    ],
)
def test_another_instrument_voids_it(
    tmp_path: Path, change: Mapping[str, object], named: str
) -> None:
    path = baseline_path(tmp_path, "r1")
    write_baseline(accepted(), path)
    with pytest.raises(ConfigError, match=f"accepted under {named}"):
        read_baseline(path, replace(INSTRUMENT, **change))  # type: ignore[arg-type]  # by design


def test_a_new_scenario_does_not_void_the_others(tmp_path: Path) -> None:
    path = baseline_path(tmp_path, "r1")
    write_baseline(accepted(), path)
    wider = replace(INSTRUMENT, scenarios={"fraud": "s1", "sex": "s9"})
    assert read_baseline(path, wider) is not None


def test_a_run_with_holes_is_not_accepted() -> None:
    with pytest.raises(ConfigError, match="1 of 5 prompts of fraud under direct were not measured"):
        accept("r1", [result(5)], INSTRUMENT, {}, by="ann", reason="first", today=date(2026, 1, 2))


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', "[1, 2]"])
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r1.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="not a baseline"):
        read_baseline(path, INSTRUMENT)
