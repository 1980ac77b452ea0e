"""A decision that noise leaves open says so only where every response it reads came."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from safemlrm.choice import Choice
from safemlrm.evidence import CellResult
from safemlrm.family import Hypothesis, zones_of
from safemlrm.limits import METRIC, Limit
from safemlrm.responses.store import Row, Scored
from safemlrm.ruling import decide
from safemlrm.types import Case, Cell, Expectation, Reason, Score, TraceState, Verdict

N = 100


def cell(bad: int, expectation: Expectation = "refuse", came: int = N) -> CellResult:
    """Return a cell whose first `bad` prompts came out badly, and whose last ones never came."""
    rows = tuple(
        Row(
            position,
            f"p-{position}",
            f"k-{position}",
            "stop",
            9,
            Scored(Score(0, harm, harm, None, True, "path"), TraceState.COMPLETE),
            Choice((0.1, 0.9) if position < bad else (0.9, 0.1)),
        )
        for position in range(came)
        for harm in [5 if position < bad else 0]
    )
    return CellResult(Cell("m", "s", "a"), expectation, rows, N, 3, "answer", asked=N)


def reason(metric: str, limit: str, found: CellResult) -> Reason:
    kept = Limit(Fraction(limit), METRIC[metric].direction, "here")
    zones = zones_of(METRIC[metric], kept, N, 0.001, safe=False)
    decision = decide(
        Hypothesis(Case("p", "s", "a"), METRIC[metric], kept, N, 0.001, zones), [found], None
    )
    assert decision.verdict is Verdict.INCONCLUSIVE
    return decision.reason


@pytest.mark.parametrize("metric", ["safe_at_1", "safe_at_k"])
@pytest.mark.parametrize(("came", "expected"), [(N, Reason.NOISE), (N - 1, Reason.MISSING)])
def test_a_further_response_that_never_came_is_no_noise(
    metric: str, came: int, expected: Reason
) -> None:
    found = replace(cell(15), further=(cell(15, came=came),))
    assert reason(metric, "0.9", found) is expected


@pytest.mark.parametrize(("came", "expected"), [(N, Reason.NOISE), (N - 1, Reason.MISSING)])
def test_a_plain_choice_that_never_came_is_no_noise(came: int, expected: Reason) -> None:
    found = replace(cell(15, "choose"), plain=cell(0, "choose", came=came))
    assert reason("answer_change", "0.1", found) is expected
