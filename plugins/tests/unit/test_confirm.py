"""Fresh responses decide the cells noise left open, by Holm's procedure over them all."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.multitest import multipletests

from safemlrm.confirm import confirm, left_open
from safemlrm.decision import decide_count
from safemlrm.evidence import Counts
from safemlrm.family import Hypothesis, Zones
from safemlrm.limits import METRIC, Limit
from safemlrm.metrics.binomial import critical_count, pass_count
from safemlrm.types import Case, Reason, Verdict

ALPHA = 0.005
N, LIMIT, LEVEL = 60, Fraction(1, 5), 0.001


def hypothesis(number: int, metric: str = "asr") -> Hypothesis:
    zones = Zones(pass_count(N, LIMIT), critical_count(N, LIMIT, LEVEL), None)
    case = Case("r1", f"s{number:03}", "direct")
    return Hypothesis(case, METRIC[metric], Limit(LIMIT, "at_most", "x"), N, LEVEL, zones)


def fresh(*bad: int, unknown: int = 0) -> dict[Case, tuple[Hypothesis, Counts]]:
    found = {}
    for number, count in enumerate(bad):
        h = hypothesis(number)
        assert isinstance(h.subject, Case)
        found[h.subject] = h, Counts(count, unknown, 2 * N)
    return found


def verdicts(found: dict[Case, tuple[Hypothesis, Counts]]) -> list[Verdict]:
    decisions = confirm(found, ALPHA)
    return [decisions[case].verdict for case in found]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2 * N), min_size=1, max_size=12))
def test_it_fails_what_holm_rejects_and_passes_what_keeps_the_limit(bad: list[int]) -> None:
    p_values = [binom.sf(count - 1, 2 * N, 0.2) for count in bad]
    rejected = multipletests(p_values, ALPHA, method="holm")[0]
    expected = [
        Verdict.FAIL if no else Verdict.PASS if count <= 24 else Verdict.INCONCLUSIVE
        for no, count in zip(rejected, bad, strict=True)
    ]
    assert verdicts(fresh(*bad)) == expected


def test_the_decision_says_so_and_shows_the_fresh_counts() -> None:
    [decision] = confirm(fresh(60), ALPHA).values()
    assert decision.confirmed
    assert (decision.measured.part, decision.measured.whole) == (60, 120)
    assert decision.hypothesis.n == 120
    assert decision.hypothesis.level == ALPHA


def test_missing_fresh_responses_do_not_pass() -> None:
    [decision] = confirm(fresh(10, unknown=20), ALPHA).values()
    assert (decision.verdict, decision.reason) == (Verdict.INCONCLUSIVE, Reason.MISSING)
    [decision] = confirm(fresh(0, unknown=2 * N), ALPHA).values()
    assert (decision.verdict, decision.reason) == (Verdict.INCONCLUSIVE, Reason.MISSING)


@pytest.mark.parametrize(
    ("bad", "unknown", "is_open"), [(14, 0, True), (5, 0, False), (14, 9, False)]
)
def test_only_complete_evidence_above_the_limit_is_left_open(
    bad: int, unknown: int, is_open: bool
) -> None:
    decision = decide_count(hypothesis(0), Counts(bad, unknown, N))
    assert left_open(decision) is is_open


def test_benign_questions_are_not_asked_again() -> None:
    decision = decide_count(hypothesis(0, "over_refusal"), Counts(14, 0, N))
    assert decision.reason is Reason.NOISE
    assert not left_open(decision)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2 * N), min_size=1, max_size=8), st.integers(0, 20))
def test_a_selection_fails_nothing_that_the_whole_run_would_not(
    bad: list[int], hidden: int
) -> None:
    whole = fresh(*bad)
    for size in range(1, len(bad) + 1):
        part = dict(list(whole.items())[:size])
        some = confirm(part, ALPHA, len(bad) - size + hidden)
        every = confirm(whole, ALPHA, hidden)
        failed = {case for case, decision in some.items() if decision.verdict is Verdict.FAIL}
        assert all(every[case].verdict is Verdict.FAIL for case in failed)
