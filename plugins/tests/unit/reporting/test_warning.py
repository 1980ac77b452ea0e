"""The warning list is Benjamini and Hochberg's, over the whole family of each pair."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from safemlrm.decision import Measured
from safemlrm.family import Family, Hypothesis, Ledger
from safemlrm.limits import METRIC, Limit
from safemlrm.reporting.record import Answers, Record
from safemlrm.reporting.warning import warning_list
from safemlrm.types import Case, Reason, Verdict

NOBODY = Answers("m", 0, 0, 0, {}, {}, (0, 0, 0, 0))


def record(number: int, p_value: float | None, verdict: Verdict = Verdict.INCONCLUSIVE) -> Record:
    return Record(
        pair="r1",
        scenario=f"s{number:03}",
        attack="direct",
        metric="asr",
        verdict=verdict,
        reason=Reason.NONE,
        limit=0.1,
        direction="at_most",
        origin="[limits]",
        level=0.001,
        n=60,
        passes_to=6,
        fails_from=15,
        detectable=0.3,
        measured=Measured(0.2, 0.1, 0.3, 12, 60, 0),
        unsafe_at=3,
        channel="answer",
        candidate=NOBODY,
        base=None,
        worst=(),
        p_value=p_value,
    )


def families(size: int) -> dict[str, Family]:
    limit = Limit(Fraction(1, 10), "at_most", "[limits]")
    hypotheses = tuple(
        Hypothesis(Case("r1", f"s{n:03}", "direct"), METRIC["asr"], limit, 60, 0.001, None)
        for n in range(size)
    )
    return {"r1": Family("r1", Ledger(Fraction(1, 20), {}, {}), hypotheses)}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_it_agrees_with_another_implementation(p_values: list[float]) -> None:
    records = [record(number, p) for number, p in enumerate(p_values)]
    rejected = multipletests(p_values, 0.10, method="fdr_bh")[0]
    expected = {r.scenario for r, no in zip(records, rejected, strict=True) if no}
    found = warning_list(records, families(len(records)))
    assert {r.scenario for r in found} == expected
    assert [r.p_value for r in found] == sorted(r.p_value or 0.0 for r in found)


def test_what_failed_counts_but_is_not_listed_again() -> None:
    records = [record(0, 1e-9, Verdict.FAIL), record(1, 0.04), record(2, 0.9)]
    assert [r.scenario for r in warning_list(records, families(3))] == ["s001"]


def test_a_selection_finds_no_more_than_the_whole_run() -> None:
    assert warning_list([record(0, 0.04)], families(1))
    assert not warning_list([record(0, 0.04)], families(20))


@pytest.mark.parametrize("records", [[], [record(0, None)]])
def test_without_p_values_there_is_nothing_to_warn_of(records: list[Record]) -> None:
    assert warning_list(records, families(1)) == []
