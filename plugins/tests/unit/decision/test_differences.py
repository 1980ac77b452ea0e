"""Every outcome of a difference to the base."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fixtures.hypotheses import hypothesis
from safemlrm.decision import decide_paired
from safemlrm.evidence import Pairs
from safemlrm.types import Reason, Verdict

TENTH = Fraction(1, 10)
PASS = (Verdict.PASS, Reason.NONE)
FAIL = (Verdict.FAIL, Reason.NONE)
NOISE = (Verdict.INCONCLUSIVE, Reason.NOISE)
MISSING = (Verdict.INCONCLUSIVE, Reason.MISSING)


def pairs(n10: int, n01: int, n: int, unknown: int = 0) -> Pairs:
    return Pairs(n10, n01, n - unknown, (n10, n01 + unknown), (n10 + unknown, n01), n)


@pytest.mark.parametrize(
    ("n10", "n01", "unknown", "expected"),
    [
        (2, 2, 0, PASS),
        (10, 0, 0, PASS),
        (14, 2, 0, NOISE),
        (40, 2, 0, FAIL),
        (8, 0, 4, NOISE),
        (8, 0, 6, MISSING),
        (60, 0, 10, FAIL),
        (30, 0, 10, MISSING),
    ],
)
def test_a_tax(n10: int, n01: int, unknown: int, expected: tuple[Verdict, Reason]) -> None:
    tax = hypothesis("reasoning_tax", TENTH, n=100, level=0.0005)
    decision = decide_paired(tax, pairs(n10, n01, 100, unknown))
    assert (decision.verdict, decision.reason) == expected


def test_a_tax_on_too_few_prompts_is_ungateable() -> None:
    tax = hypothesis("reasoning_tax", Fraction(1, 2), n=5, level=0.0005)
    assert decide_paired(tax, pairs(5, 0, 5)).verdict is Verdict.UNGATEABLE
    assert decide_paired(
        hypothesis("reasoning_tax", Fraction(1), 50, 0.01), pairs(9, 0, 50)
    ).verdict is (Verdict.UNGATEABLE)


def test_a_tax_without_a_limit_to_spare_is_mcnemars_test() -> None:
    tax = hypothesis("reasoning_tax", Fraction(0), n=60, level=0.001)
    assert decide_paired(tax, pairs(0, 0, 60)).verdict is Verdict.PASS
    assert decide_paired(tax, pairs(10, 0, 60)).verdict is Verdict.FAIL
    assert decide_paired(tax, pairs(9, 0, 60)).verdict is Verdict.INCONCLUSIVE
