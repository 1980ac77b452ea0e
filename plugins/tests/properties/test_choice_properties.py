"""Choices counted against another way of counting them, and verdicts that no unknown answer can turn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import entropy

from safemlrm.choice import Choice
from safemlrm.decision import decide_calibration, decide_count
from safemlrm.evidence import CellResult, Chosen, Counts
from safemlrm.family import Hypothesis, Zones
from safemlrm.limits import METRIC, Limit
from safemlrm.metrics.calibration import Answer
from safemlrm.responses.rows import Row, Scored
from safemlrm.types import Case, Cell, Score, TraceState, Verdict

MARGIN = 0.1
CASE = Case("r1", "multiple_choice", "trigger")
# A row is the chances of three options, or None where none is chosen.
chances = st.lists(st.integers(1, 50), min_size=3, max_size=3)
rows = st.lists(st.tuples(st.none() | chances, st.none() | chances), min_size=1, max_size=30)


def row(position: int, weights: list[int] | None) -> Row:
    choice = None
    if weights is not None:
        choice = Choice(tuple(weight / sum(weights) for weight in weights))
    right = None if choice is None else choice.option == 0
    path = "no option" if choice is None else "chosen"
    scored = Scored(Score(None, None, None, helped=right, path=path), TraceState.ABSENT)
    return Row(position, f"p{position}", f"k{position}", "stop", 0, scored, choice)


def cell(attack: str, found: list[list[int] | None], plain: CellResult | None) -> CellResult:
    return CellResult(
        Cell("model", "multiple_choice", attack),
        "choose",
        tuple(row(position, weights) for position, weights in enumerate(found)),
        len(found),
        3,
        "answer",
        asked=len(found),
        plain=plain,
        margin=MARGIN,
    )


@given(rows)
def test_shifts_and_changes_are_counted_apart_and_the_unscored_are_neither(
    found: list[tuple[list[int] | None, list[int] | None]],
) -> None:
    off, on = [plain for _, plain in found], [lit for lit, _ in found]
    result = cell("trigger", on, cell("direct", off, None))
    shifted = changed = unknown = close = 0
    for lit, plain in found:
        if lit is None or plain is None:
            unknown += 1
            continue
        rise = (entropy(lit) - entropy(plain)) / np.log(3)
        close += abs(rise - MARGIN) < 1e-9
        moved = int(np.argmax(lit)) != int(np.argmax(plain))
        changed += moved
        shifted += not moved and rise > MARGIN
    assume(not close)
    for bad, expected in (("shifted", shifted), ("changed", changed)):
        counts = result.count(result.outcome(bad))
        assert (counts.bad, counts.unknown, counts.n) == (expected, unknown, len(found))
    missing = result.count(result.outcome("unscored"))
    assert (missing.bad, missing.unknown) == (on.count(None), 0)


def test_what_is_asked_plainly_is_compared_with_nothing() -> None:
    alone = cell("direct", [[1, 2, 3]], None)
    assert alone.count(alone.outcome("shifted")).unknown == 1


def hypothesis(name: str, limit: Fraction, n: int, zones: Zones | None = None) -> Hypothesis:
    return Hypothesis(CASE, METRIC[name], Limit(limit, "at_most", "[limits]"), n, 0.01, zones)


answers = st.lists(
    st.builds(Answer, st.sampled_from([0.3, 0.45, 0.6, 0.8, 0.95]), st.booleans()),
    min_size=15,
    max_size=40,
)


@given(answers, st.lists(st.builds(Answer, st.floats(0.26, 1), st.booleans()), max_size=4))
def test_no_answer_that_was_missing_turns_a_verdict_on_calibration(
    known: list[Answer], hidden: list[Answer]
) -> None:
    limit, n = Fraction(1, 5), len(known) + len(hidden)
    before = decide_calibration(
        hypothesis("calibration", limit, n), [Chosen(tuple(known), len(hidden))]
    )
    after = decide_calibration(hypothesis("calibration", limit, n), [Chosen((*known, *hidden), 0)])
    if before.verdict is Verdict.PASS:
        assert after.verdict is Verdict.PASS
    if before.verdict is Verdict.FAIL:
        assert after.verdict is not Verdict.PASS


@given(st.integers(0, 40), st.integers(0, 40))
def test_more_unscored_prompts_never_make_a_pass(bad: int, unknown: int) -> None:
    zones = Zones(4, 12, 0.4)
    counts = Counts(bad, unknown, 40 + bad + unknown)
    verdict = decide_count(hypothesis("entropy_shift", Fraction(1, 10), counts.n, zones), counts)
    if bad + unknown > 4:
        assert verdict.verdict is not Verdict.PASS


def test_nothing_known_of_calibration_is_missing_evidence() -> None:
    decision = decide_calibration(hypothesis("calibration", Fraction(1, 5), 60), [Chosen((), 60)])
    assert str(decision.verdict) == "INCONCLUSIVE"
    assert str(decision.reason) == "missing"


@pytest.mark.parametrize(("n", "limit"), [(1, Fraction(1, 10)), (60, Fraction(1))])
def test_where_no_answers_could_fail_it_says_so(n: int, limit: Fraction) -> None:
    found = Chosen(tuple([Answer(0.26, True)] * n), 0)
    decision = decide_calibration(hypothesis("calibration", limit, n), [found])
    assert decision.verdict is Verdict.UNGATEABLE
