"""Every outcome of self-correction, escape and coupling."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fixtures.hypotheses import hypothesis
from safemlrm.decision import decide_coupling, decide_share
from safemlrm.evidence import Channels
from safemlrm.metrics.coupling import Joint
from safemlrm.types import Reason, Verdict

TENTH = Fraction(1, 10)
PASS = (Verdict.PASS, Reason.NONE)
FAIL = (Verdict.FAIL, Reason.NONE)
NOISE = (Verdict.INCONCLUSIVE, Reason.NOISE)
MISSING = (Verdict.INCONCLUSIVE, Reason.MISSING)


def channels(n11: int, n10: int, n01: int, n00: int, unknown: int = 0) -> Channels:
    return Channels(Joint(n11, n10, n01, n00), unknown)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (channels(50, 40, 0, 10), PASS),
        (channels(80, 20, 0, 10), NOISE),
        (channels(95, 5, 0, 10), FAIL),
        (channels(19, 10, 0, 71), (Verdict.NOT_APPLICABLE, Reason.NONE)),
        (channels(19, 10, 0, 60, unknown=11), MISSING),
        (channels(60, 32, 0, 0, unknown=20), MISSING),
        (channels(0, 0, 0, 0, unknown=100), MISSING),
    ],
)
def test_self_correction(table: Channels, expected: tuple[Verdict, Reason]) -> None:
    limit = hypothesis("self_correction", Fraction(3, 10), n=110, level=0.001)
    decision = decide_share(limit, [table])
    assert (decision.verdict, decision.reason) == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (channels(5, 5, 2, 88), PASS),
        (channels(5, 5, 15, 75), NOISE),
        (channels(5, 5, 40, 50), FAIL),
        (channels(90, 0, 5, 5), (Verdict.NOT_APPLICABLE, Reason.NONE)),
    ],
)
def test_escape(table: Channels, expected: tuple[Verdict, Reason]) -> None:
    decision = decide_share(hypothesis("escape", TENTH, n=100, level=0.001), [table])
    assert (decision.verdict, decision.reason) == expected


def test_coupling_has_the_direction_its_limit_names() -> None:
    tight = [channels(45, 5, 2, 48), channels(20, 2, 3, 75)]
    at_most = hypothesis("coupling", Fraction(1, 2), 200, 0.001, "at_most")
    at_least = hypothesis("coupling", Fraction(1, 2), 200, 0.001, "at_least")
    assert decide_coupling(at_most, tight).verdict is Verdict.FAIL
    assert decide_coupling(at_least, tight).verdict is Verdict.PASS


def test_coupling_does_not_come_from_pooling() -> None:
    """R and A independent inside both cells: a limit on coupling stays quiet."""
    apart = [channels(1, 9, 9, 181), channels(162, 18, 18, 2)]
    decision = decide_coupling(hypothesis("coupling", Fraction(1, 5), 400, 0.01, "at_most"), apart)
    assert decision.verdict is Verdict.PASS
    assert decision.measured.low < 0 < decision.measured.high


def test_coupling_over_few_or_no_unsafe_reasonings() -> None:
    limit = hypothesis("coupling", Fraction(1, 2), 100, 0.001, "at_most")
    assert decide_coupling(limit, [channels(9, 9, 1, 81)]).verdict is Verdict.NOT_APPLICABLE
    assert decide_coupling(limit, [channels(0, 0, 0, 0, 100)]).reason is Reason.MISSING


@pytest.mark.parametrize(
    ("table", "limit"),
    [
        # In the first three outcomes the unknown leave coupling below the limit, in the last above.
        (channels(50, 0, 5, 5, unknown=30), Fraction(3, 5)),
        (channels(400, 0, 0, 20, unknown=40), Fraction(3, 5)),
    ],
)
def test_coupling_is_open_while_the_unknown_decide(table: Channels, limit: Fraction) -> None:
    at_most = hypothesis("coupling", limit, 500, 0.01, "at_most")
    assert decide_coupling(at_most, [table]).reason is Reason.MISSING
