"""Exact binomial limits and the e-process, against exact fractions and whole enumerations."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import comb, inf

import pytest

from safemlrm.metrics.binomial import (
    critical_count,
    detectable_rate,
    e_value,
    exact_fraction,
    pass_boundary,
    pass_count,
    tail,
)


def exact_tail(c: int, n: int, t: Fraction) -> Fraction:
    terms = (comb(n, j) * t**j * (1 - t) ** (n - j) for j in range(max(c, 0), n + 1))
    return sum(terms, Fraction(0))


def choose(n: int, k: int) -> int:
    return comb(n, k) if 0 <= k <= n else 0


def exact_e_value(n: int, k: int, total: int, kc: int) -> Fraction:
    """The formula as STATISTICS.md writes it, in exact arithmetic."""
    left = total - n
    ratios = (Fraction(choose(left, j - k), comb(total, j)) for j in range(kc))
    return sum(ratios, Fraction(0)) * comb(total, kc) / (kc * choose(left, kc - k))


class TestLimits:
    @pytest.mark.parametrize("text", ["0.29", 0.29, Decimal("0.29"), Fraction(29, 100)])
    def test_a_limit_is_the_fraction_of_its_decimal_text(
        self, text: str | float | Decimal | Fraction
    ) -> None:
        assert exact_fraction(text) == Fraction(29, 100)

    def test_a_float_in_exponent_notation_is_read(self) -> None:
        assert exact_fraction(0.00001) == Fraction(1, 100_000)

    @pytest.mark.parametrize("text", ["nan", "inf", "", "1/0", "10%"])
    def test_what_is_no_number_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            exact_fraction(text)

    def test_floats_would_lose_a_response(self) -> None:
        assert int(0.29 * 100) == 28
        assert pass_count(100, exact_fraction(0.29)) == 29
        assert pass_count(97, exact_fraction("0.10")) == 9


class TestTail:
    @pytest.mark.parametrize("t", [Fraction(0), Fraction(1, 50), Fraction(2, 5), Fraction(1)])
    def test_matches_exact_sums(self, t: Fraction) -> None:
        for n in range(13):
            for c in range(-1, n + 2):
                assert tail(c, n, t) == pytest.approx(float(exact_tail(c, n, t)), rel=1e-12)


class TestCriticalCount:
    @pytest.mark.parametrize(("hypotheses", "kc"), [(1, 17), (20, 21), (60, 22), (180, 23)])
    def test_grows_with_the_family(self, hypotheses: int, kc: int) -> None:
        assert critical_count(97, Fraction(1, 10), 0.02 / hypotheses) == kc

    @pytest.mark.parametrize("limit", ["0.02", "0.1", "0.5", "0.93"])
    @pytest.mark.parametrize("level", [0.05, 0.001])
    def test_is_the_smallest_count_beyond_the_level(self, limit: str, level: float) -> None:
        t = exact_fraction(limit)
        for n in (1, 5, 20, 44):
            kc = critical_count(n, t, level)
            assert exact_tail(kc, n, t) <= level < exact_tail(kc - 1, n, t)

    def test_is_beyond_n_where_nothing_can_fail(self) -> None:
        assert critical_count(3, Fraction(9, 10), 0.05) == 4
        assert critical_count(97, Fraction(1), 0.05) == 98
        assert critical_count(97, Fraction(1, 10), 0.0) == 98

    def test_at_limit_zero_one_response_fails(self) -> None:
        assert critical_count(97, Fraction(0), 1e-6) == 1

    @pytest.mark.parametrize(("limit", "level"), [(-1, 0.05), (2, 0.05), (0, 1.0), (0, -0.1)])
    def test_refuses_what_is_no_limit_or_level(self, limit: int, level: float) -> None:
        with pytest.raises(ValueError, match="Expected a limit"):
            critical_count(10, Fraction(limit), level)


class TestDetectableRate:
    @pytest.mark.parametrize(("n", "kc"), [(97, 22), (44, 1), (20, 20)])
    def test_is_caught_with_the_power_asked(self, n: int, kc: int) -> None:
        for power in (0.5, 0.8, 0.95):
            rate = detectable_rate(n, kc, power)
            assert rate is not None
            assert tail(kc, n, rate) == pytest.approx(power, abs=1e-9)

    def test_the_case_of_the_documentation(self) -> None:
        assert detectable_rate(97, 22) == pytest.approx(0.26, abs=0.005)

    def test_nothing_is_detectable_where_nothing_can_fail(self) -> None:
        assert detectable_rate(10, 11) is None


class TestEValue:
    def test_matches_the_formula_in_exact_arithmetic(self) -> None:
        for total in (1, 2, 5, 9, 13):
            for kc in range(1, total + 1):
                for n in range(total + 1):
                    for k in range(max(0, kc - total + n), min(n, kc - 1) + 1):
                        exact = float(exact_e_value(n, k, total, kc))
                        assert e_value(n, k, total, kc) == pytest.approx(exact, rel=1e-12)

    def test_a_large_design(self) -> None:
        exact = float(exact_e_value(60, 10, 167, 60))
        assert e_value(60, 10, 167, 60) == pytest.approx(exact, rel=1e-12)

    def test_is_zero_once_kc_is_reached_and_infinite_once_it_cannot_be(self) -> None:
        assert e_value(30, 22, 97, 22) == 0.0
        assert e_value(30, 23, 97, 22) == 0.0
        assert e_value(90, 14, 97, 22) == inf

    @pytest.mark.parametrize(("n", "k", "total", "kc"), [(5, 6, 9, 3), (5, 0, 9, 10), (5, 0, 9, 0)])
    def test_refuses_impossible_designs(self, n: int, k: int, total: int, kc: int) -> None:
        with pytest.raises(ValueError, match="No e-value"):
            e_value(n, k, total, kc)

    @pytest.mark.parametrize("total", [1, 2, 4, 7, 10])
    def test_no_stopping_rule_gets_an_expectation_above_one(self, total: int) -> None:
        """The best stopping rule, by backward induction, for every number of unsafe prompts."""
        for kc in range(1, total + 1):
            for unsafe in range(kc, total + 1):
                assert best_stopping(total, kc, unsafe) <= 1 + 1e-12

    @pytest.mark.parametrize("total", [4, 9])
    def test_the_expectation_at_each_size_is_at_most_one(self, total: int) -> None:
        for kc in range(1, total + 1):
            for unsafe in range(kc, total + 1):
                for n in range(total + 1):
                    ways = comb(total, n)
                    mean = sum(
                        comb(unsafe, k)
                        * comb(total - unsafe, n - k)
                        / ways
                        * e_value(n, k, total, kc)
                        for k in range(max(0, n - total + unsafe), min(n, unsafe) + 1)
                    )
                    assert mean <= 1 + 1e-12


def best_stopping(total: int, kc: int, unsafe: int) -> float:
    """Return the largest expected e-value any stopping rule reaches in a random order."""
    worth = {k: e_value(total, k, total, kc) for k in (unsafe,)}
    for n in reversed(range(total)):
        worth = {
            k: max(e_value(n, k, total, kc), continued(worth, n, k, total, unsafe))
            for k in range(max(0, n - total + unsafe), min(n, unsafe) + 1)
        }
    return worth[0]


def continued(worth: dict[int, float], n: int, k: int, total: int, unsafe: int) -> float:
    chance = (unsafe - k) / (total - n)
    hit = chance * worth[k + 1] if chance > 0 else 0.0
    miss = (1 - chance) * worth[k] if chance < 1 else 0.0
    return hit + miss


class TestPassBoundary:
    @pytest.mark.parametrize(("total", "kc"), [(20, 5), (44, 12), (97, 22), (97, 97)])
    def test_holds_the_largest_count_with_enough_evidence(self, total: int, kc: int) -> None:
        boundary = pass_boundary(total, kc)
        assert len(boundary) == total + 1
        for n, largest in enumerate(boundary):
            enough = [k for k in range(n + 1) if e_value(n, k, total, kc) >= 20]
            assert largest == max(enough, default=-1)

    def test_ends_just_below_kc_and_never_falls(self) -> None:
        boundary = pass_boundary(97, 22)
        assert boundary[-1] == 21
        assert all(one <= two for one, two in pairwise(boundary))

    def test_few_cells_can_leave_at_twenty_prompts(self) -> None:
        assert [pass_boundary(97, kc)[20] for kc in (17, 21, 22, 23)] == [0, 0, 0, 0]

    @pytest.mark.parametrize("total", [12, 25, 40])
    @pytest.mark.parametrize("beta", [0.05, 0.2])
    def test_wrong_early_passes_stay_below_beta(self, total: int, beta: float) -> None:
        for kc in (1, 2, total // 4, total // 2, total - 1, total):
            boundary = pass_boundary(total, kc, beta)
            for unsafe in {kc, min(kc + 1, total), min(kc + 3, total)}:
                assert early_pass(total, unsafe, boundary) <= beta

    def test_refuses_an_ungateable_cell(self) -> None:
        with pytest.raises(ValueError, match="No e-value"):
            pass_boundary(10, 11)


def early_pass(total: int, unsafe: int, boundary: tuple[int, ...]) -> float:
    """Return the probability that a random order of `unsafe` in `total` meets the boundary."""
    passed, going = 0.0, {0: 1.0}
    for n in range(total + 1):
        passed += sum(weight for k, weight in going.items() if k <= boundary[n])
        following: dict[int, float] = {}
        for k, weight in going.items():
            if k <= boundary[n] or n == total:
                continue
            chance = (unsafe - k) / (total - n)
            following[k + 1] = following.get(k + 1, 0.0) + weight * chance
            following[k] = following.get(k, 0.0) + weight * (1 - chance)
        going = {k: weight for k, weight in following.items() if weight > 0}
    return passed
