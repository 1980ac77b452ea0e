"""What must hold for any counts: order, symmetry, intervals that contain their estimate."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safemlrm.metrics.binomial import (
    critical_count,
    detectable_rate,
    e_value,
    exact_fraction,
    pass_boundary,
    pass_count,
    tail,
)
from safemlrm.metrics.coupling import Joint, coupling_p_value, exact_binomial_p, mantel_haenszel
from safemlrm.metrics.paired import Difference, newcombe_paired, tango_interval, tango_statistic
from safemlrm.metrics.paired_exact import tango_p_value, tax_critical
from safemlrm.metrics.rates import clopper_pearson, proportion, upper_bound, wilson

repeatable = settings(deadline=None, derandomize=True, max_examples=60)

limits = st.integers(0, 100).map(lambda percent: Fraction(percent, 100))
levels = st.floats(1e-7, 0.2)
sizes = st.integers(1, 170)
margins = st.integers(-30, 60).map(lambda percent: Fraction(percent, 100))


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(sizes)
    return draw(st.integers(0, n)), n


@st.composite
def pairs(draw: st.DrawFn, most: int = 170) -> tuple[int, int, int]:
    n = draw(st.integers(1, most))
    n10 = draw(st.integers(0, n))
    return n10, draw(st.integers(0, n - n10)), n


tables = st.lists(st.builds(Joint, *[st.integers(0, 40)] * 4), min_size=1, max_size=5)


@repeatable
@given(sizes, limits, limits, levels)
def test_a_higher_limit_never_fails_earlier(
    n: int, one: Fraction, two: Fraction, level: float
) -> None:
    low, high = sorted((one, two))
    assert critical_count(n, low, level) <= critical_count(n, high, level)
    assert pass_count(n, low) <= pass_count(n, high)


@repeatable
@given(sizes, limits, levels, levels)
def test_a_stricter_level_never_fails_earlier(
    n: int, limit: Fraction, one: float, two: float
) -> None:
    low, high = sorted((one, two))
    assert critical_count(n, limit, high) <= critical_count(n, limit, low) <= n + 1


@repeatable
@given(sizes, limits, levels)
def test_what_passes_does_not_fail(n: int, limit: Fraction, level: float) -> None:
    kc = critical_count(n, limit, level)
    assert pass_count(n, limit) < kc
    rate = detectable_rate(n, kc)
    assert (rate is None) == (kc > n)
    assert rate is None or rate >= limit


@repeatable
@given(st.decimals(0, 1, places=4))
def test_a_limit_survives_its_text(limit: Fraction) -> None:
    assert exact_fraction(str(limit)) == exact_fraction(float(limit)) == Fraction(limit)


@repeatable
@given(counts(), st.floats(0, 1))
def test_tails_fall_with_the_count(count: tuple[int, int], t: float) -> None:
    c, n = count
    assert 1 >= tail(c, n, t) >= tail(c + 1, n, t) >= 0


@repeatable
@given(st.data(), sizes)
def test_evidence_falls_with_every_unsafe_response(data: st.DataObject, total: int) -> None:
    kc = data.draw(st.integers(1, total))
    n = data.draw(st.integers(0, total))
    evidence = [e_value(n, k, total, kc) for k in range(n + 1)]
    assert all(one >= two for one, two in pairwise(evidence))
    boundary = pass_boundary(total, kc)
    assert all(one <= two for one, two in pairwise(boundary))
    assert max(boundary) < kc


@repeatable
@given(counts(), st.floats(0.5, 0.999))
def test_intervals_contain_the_rate_and_mirror(count: tuple[int, int], confidence: float) -> None:
    k, n = count
    for interval in (clopper_pearson, wilson, proportion):
        rate, mirror = interval(k, n, confidence), interval(n - k, n, confidence)
        assert 0 <= rate.low <= rate.value <= rate.high <= 1
        assert (mirror.low, mirror.high) == pytest.approx((1 - rate.high, 1 - rate.low), abs=1e-9)
    assert k / n <= upper_bound(k, n, confidence) <= 1


@repeatable
@given(pairs())
def test_tax_intervals_contain_the_tax_and_mirror(pair: tuple[int, int, int]) -> None:
    n10, n01, n = pair
    rest = n - n10 - n01
    n11 = rest // 2
    both = (
        (tango_interval(n10, n01, n), tango_interval(n01, n10, n)),
        (newcombe_paired(n11, n10, n01, rest - n11), newcombe_paired(n11, n01, n10, rest - n11)),
    )
    for tax, swapped in both:
        assert -1 <= tax.low <= tax.value <= tax.high <= 1
        assert (swapped.low, swapped.high) == pytest.approx((-tax.high, -tax.low), abs=1e-9)


@repeatable
@given(pairs(), margins)
def test_the_score_statistic_is_convex_in_barnards_sense(
    pair: tuple[int, int, int], delta: Fraction
) -> None:
    n10, n01, n = pair
    here = tango_statistic(n10, n01, n, delta)
    if n10 + n01 < n:
        assert tango_statistic(n10 + 1, n01, n, delta) >= here - 1e-9
    if n01 > 0:
        assert tango_statistic(n10, n01 - 1, n, delta) >= here - 1e-9
    assert tango_statistic(n01, n10, n, -delta) == pytest.approx(-here, abs=1e-9)


@repeatable
@given(pairs(60), margins)
def test_more_unsafe_candidates_never_lower_the_evidence(
    pair: tuple[int, int, int], delta: Fraction
) -> None:
    n10, n01, n = pair
    here = tango_p_value(n10, n01, n, delta)
    assert 0 <= here <= 1
    if n10 + n01 < n:
        assert tango_p_value(n10 + 1, n01, n, delta) <= here * (1 + 1e-5)
    if n01 > 0:
        assert tango_p_value(n10, n01 - 1, n, delta) <= here * (1 + 1e-5)


@settings(repeatable, max_examples=25)
@given(st.integers(2, 60), st.sampled_from([Fraction(0), Fraction(1, 20), Fraction(1, 5)]), levels)
def test_more_unsafe_bases_never_fail_a_candidate_earlier(
    n: int, delta: Fraction, level: float
) -> None:
    first, second = tax_critical(n, 0, delta, level), tax_critical(n, 1, delta, level)
    assert first <= second or first == n + 1
    if first <= n:
        assert tango_p_value(first, 0, n, delta) <= level


@repeatable
@given(tables)
def test_coupling_lies_in_its_interval(cells: list[Joint]) -> None:
    coupling = mantel_haenszel(cells)
    if coupling.value == coupling.value:
        assert -1 <= coupling.low <= coupling.value <= coupling.high <= 1


@repeatable
@given(tables)
def test_coupling_turns_round_with_the_answers(cells: list[Joint]) -> None:
    turned = [Joint(cell.n10, cell.n11, cell.n00, cell.n01) for cell in cells]
    here, there = mantel_haenszel(cells), mantel_haenszel(turned)
    expected = Difference(-here.value, -here.high, -here.low, here.n)
    assert (there.value, there.low, there.high) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=1e-6, nan_ok=True
    )


@repeatable
@given(tables, st.integers(-90, 90), st.integers(0, 9))
def test_a_looser_coupling_limit_is_never_easier_to_break(
    cells: list[Joint], percent: int, more: int
) -> None:
    strict, loose = Fraction(percent, 100), Fraction(percent + more, 100)
    if abs(mantel_haenszel(cells).value - float(strict)) < 0.9:
        one = coupling_p_value(cells, strict, "at_most")
        assert coupling_p_value(cells, loose, "at_most") >= one - 1e-9


@repeatable
@given(counts(), limits)
def test_exact_tests_mirror(count: tuple[int, int], limit: Fraction) -> None:
    k, n = count
    at_most = exact_binomial_p(k, n, limit, "at_most")
    assert at_most == pytest.approx(exact_binomial_p(n - k, n, 1 - limit, "at_least"), abs=1e-12)
    assert at_most >= exact_binomial_p(min(k + 1, n), n, limit, "at_most")
