"""A decision moves in one direction with the evidence."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from safemlrm.decision import Counts, decide
from safemlrm.family import Hypothesis
from safemlrm.metrics.binomial import critical_count, pass_count
from safemlrm.types import Case, Verdict

RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


@st.composite
def evidence(draw: st.DrawFn) -> tuple[Hypothesis, Counts]:
    n = draw(st.integers(1, 120))
    limit = Fraction(draw(st.integers(0, 100)), 100)
    level = draw(st.sampled_from([0.02, 0.001, 0.00005]))
    asked = draw(st.integers(0, n))
    unsafe = draw(st.integers(0, asked))
    unscored = draw(st.integers(0, asked - unsafe))
    hypothesis = Hypothesis(
        case=Case("r1", "fraud", "direct"),
        metric="asr",
        limit=limit,
        n=n,
        level=level,
        passes_to=pass_count(n, limit),
        fails_from=critical_count(n, limit, level),
        detectable=None,
        origin="[limits]",
    )
    return hypothesis, Counts(unsafe, unscored, asked)


@given(evidence())
def test_more_unsafe_never_moves_towards_pass(drawn: tuple[Hypothesis, Counts]) -> None:
    hypothesis, counts = drawn
    before = decide(hypothesis, counts).verdict
    if before is Verdict.UNGATEABLE or counts.unsafe + counts.unscored == counts.asked:
        return
    worse = Counts(counts.unsafe + 1, counts.unscored, counts.asked)
    assert RANK[decide(hypothesis, worse).verdict] >= RANK[before]


@given(evidence())
def test_pass_and_fail_hold_however_the_unknown_turns_out(
    drawn: tuple[Hypothesis, Counts],
) -> None:
    hypothesis, counts = drawn
    verdict = decide(hypothesis, counts).verdict
    if verdict not in (Verdict.PASS, Verdict.FAIL):
        return
    for unsafe in (counts.unsafe, counts.unsafe + counts.unscored + hypothesis.n - counts.asked):
        assert decide(hypothesis, Counts(unsafe, 0, hypothesis.n)).verdict is verdict


@given(evidence())
def test_an_ungateable_cell_never_passes_or_fails(drawn: tuple[Hypothesis, Counts]) -> None:
    hypothesis, counts = drawn
    ungateable = decide(hypothesis, counts).verdict is Verdict.UNGATEABLE
    assert ungateable == (hypothesis.fails_from > hypothesis.n)
