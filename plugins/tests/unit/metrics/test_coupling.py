"""Reasoning against answer, against exact arithmetic, enumeration and seeded simulation."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, isnan, sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.inter_rater import cohens_kappa

from safemlrm.metrics.coupling import (
    Joint,
    coupling_p_value,
    escape,
    exact_binomial_p,
    kappa,
    leak,
    mantel_haenszel,
    phi,
    self_correction,
)
from safemlrm.metrics.coupling import _sums as sums
from safemlrm.metrics.rates import clopper_pearson, wilson
from safemlrm.types import Direction

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = [Joint(12, 3, 5, 60), Joint(40, 2, 3, 1), Joint(1, 0, 0, 30), Joint(0, 4, 9, 10)]


def exact_difference(cells: Sequence[Joint]) -> Fraction:
    """The weighted mean of the cells' own differences, in exact arithmetic."""
    total = weight = Fraction(0)
    for cell in cells:
        with_r, without = cell.n11 + cell.n10, cell.n01 + cell.n00
        w = Fraction(with_r * without, with_r + without)
        total += w * (Fraction(cell.n11, with_r) - Fraction(cell.n01, without))
        weight += w
    return total / weight


def independent(random: np.random.Generator, n: int, rate: float) -> Joint:
    """A cell whose reasoning and answers are unsafe at one rate, independently."""
    chances = [rate * rate, rate * (1 - rate), (1 - rate) * rate, (1 - rate) ** 2]
    n11, n10, n01, n00 = (int(count) for count in random.multinomial(n, chances))
    return Joint(n11, n10, n01, n00)


class TestShares:
    def test_each_has_its_own_denominator(self) -> None:
        joint = Joint(n11=20, n10=30, n01=4, n00=46)
        assert self_correction(joint) == wilson(30, 50)
        assert escape(joint) == wilson(4, 50)
        assert leak(joint) == wilson(30, 100)

    def test_few_unsafe_reasonings_get_the_exact_interval(self) -> None:
        assert self_correction(Joint(5, 6, 1, 50)) == clopper_pearson(6, 11)

    def test_without_a_denominator_there_is_no_share(self) -> None:
        assert isnan(self_correction(Joint(0, 0, 3, 40)).value)
        assert isnan(escape(Joint(3, 4, 0, 0)).value)
        assert isnan(leak(Joint(0, 0, 0, 0)).value)

    def test_refuses_negative_counts(self) -> None:
        with pytest.raises(ValueError, match="Expected counts"):
            Joint(1, 2, -1, 0)


class TestMantelHaenszel:
    def test_is_the_weighted_mean_of_the_cells(self) -> None:
        coupling = mantel_haenszel(CELLS)
        assert coupling.value == pytest.approx(float(exact_difference(CELLS)), rel=1e-12)
        assert coupling.n == sum(cell.n for cell in CELLS)

    def test_one_cell_gives_its_own_difference(self) -> None:
        joint = CELLS[0]
        one_minus = 1 - self_correction(joint).value - escape(joint).value
        assert mantel_haenszel([joint]).value == pytest.approx(one_minus)

    def test_a_cell_with_one_kind_of_reasoning_adds_nothing(self) -> None:
        alone = mantel_haenszel(CELLS)
        more = mantel_haenszel([*CELLS, Joint(5, 5, 0, 0), Joint(0, 0, 0, 0)])
        assert (more.value, more.low, more.high) == (alone.value, alone.low, alone.high)

    def test_without_both_kinds_there_is_no_coupling(self) -> None:
        coupling = mantel_haenszel([Joint(5, 5, 0, 0)])
        assert isnan(coupling.value)
        assert (coupling.low, coupling.high, coupling.n) == (-1.0, 1.0, 10)
        assert coupling_p_value([Joint(5, 5, 0, 0)], Fraction(0), "at_most") == 1.0

    @pytest.mark.parametrize(("p0", "delta"), [(0.1, 0.0), (0.2, 0.5), (0.7, -0.4)])
    @pytest.mark.parametrize(("with_r", "without"), [(3, 5), (6, 2)])
    def test_the_variance_is_right_on_average(
        self, p0: float, delta: float, with_r: int, without: int
    ) -> None:
        """Over every table of two binomials that differ by delta (before the floor applies)."""
        mean = square = variance = 0.0
        for a, c in product(range(with_r + 1), range(without + 1)):
            chance = binomial(a, with_r, p0 + delta) * binomial(c, without, p0)
            part = sums([Joint(a, with_r - a, c, without - c)])
            mean += chance * part.excess
            square += chance * part.excess**2
            variance += chance * (delta * part.slope + part.constant)
        assert variance == pytest.approx(square - mean**2)

    def test_the_variance_never_falls_below_what_two_rates_can_have(self) -> None:
        with_r, without, delta = 40, 5, 0.2
        part = sums([Joint(8, 32, 0, 5)])
        smallest = min(
            (40 * 5 / 45) ** 2
            * ((p0 + delta) * (1 - p0 - delta) / with_r + p0 * (1 - p0) / without)
            for p0 in np.linspace(0, 1 - delta, 101)
        )
        assert delta * (1 - delta) * part.least == pytest.approx(float(smallest))

    def test_independent_cells_have_no_coupling_but_pooled_they_do(self) -> None:
        random = np.random.default_rng(20)
        covered, pooled = 0, []
        for _ in range(500):
            cells = [independent(random, 97, 0.05 if half else 0.9) for half in (0, 1)]
            coupling = mantel_haenszel(cells)
            covered += coupling.low <= 0 <= coupling.high
            n11, n10, n01, n00 = (
                sum(getattr(cell, name) for cell in cells) for name in ("n11", "n10", "n01", "n00")
            )
            pooled.append(mantel_haenszel([Joint(n11, n10, n01, n00)]).value)
        assert covered >= 0.93 * 500
        assert float(np.mean(pooled)) == pytest.approx(0.72, abs=0.01)

    def test_the_true_coupling_is_covered(self) -> None:
        random = np.random.default_rng(21)
        covered = 0
        for _ in range(500):
            cells = [
                cell_with(random, 30, 67, p0=0.05, p1=0.35),
                cell_with(random, 60, 20, p0=0.5, p1=0.8),
            ]
            coupling = mantel_haenszel(cells)
            covered += coupling.low <= 0.3 <= coupling.high
        assert covered >= 0.93 * 500


def binomial(k: int, n: int, p: float) -> float:
    return float(comb(n, k) * p**k * (1 - p) ** (n - k))


def cell_with(
    random: np.random.Generator, with_r: int, without: int, p0: float, p1: float
) -> Joint:
    a, c = int(random.binomial(with_r, p1)), int(random.binomial(without, p0))
    return Joint(a, with_r - a, c, without - c)


class TestCouplingPValue:
    def test_agrees_with_the_interval(self) -> None:
        coupling = mantel_haenszel(CELLS, 0.95)
        below, above = Fraction(coupling.low), Fraction(coupling.high)
        assert coupling_p_value(CELLS, below, "at_most") == pytest.approx(0.025, rel=1e-6)
        assert coupling_p_value(CELLS, above, "at_least") == pytest.approx(0.025, rel=1e-6)

    def test_the_directions_share_the_probability(self) -> None:
        both: tuple[Direction, Direction] = ("at_most", "at_least")
        assert sum(coupling_p_value(CELLS, Fraction(1, 3), way) for way in both) == pytest.approx(1)

    def test_a_limit_met_exactly_is_no_evidence(self) -> None:
        silent = [Joint(0, 20, 0, 50)]
        assert coupling_p_value(silent, Fraction(0), "at_most") == 0.5
        assert coupling_p_value(silent, Fraction(1, 5), "at_least") < 0.001
        assert coupling_p_value([Joint(20, 0, 0, 50)], Fraction(1), "at_most") == 0.5

    def test_sparse_cells_need_the_variance_at_the_limit(self) -> None:
        """At a level of .1% the variance at the estimate rejects a true hypothesis 150 times."""
        random = np.random.default_rng(22)
        at_limit = at_estimate = 0
        for _ in range(2000):
            cells = [cell_with(random, 3, 40, p0=0.02, p1=0.02) for _ in range(10)]
            at_limit += coupling_p_value(cells, Fraction(0), "at_least") <= 0.001
            part = sums(cells)
            variance = part.value * part.slope + part.constant
            at_estimate += variance > 0 and part.excess / sqrt(variance) < -3.0902
        assert at_limit <= 0.003 * 2000
        assert 0.13 * 2000 < at_estimate < 0.18 * 2000


class TestExactBinomial:
    @pytest.mark.parametrize(("k", "n"), [(0, 30), (7, 30), (30, 30), (12, 97)])
    @pytest.mark.parametrize("limit", [Fraction(1, 10), Fraction(1, 2)])
    def test_matches_scipys_test(self, k: int, n: int, limit: Fraction) -> None:
        greater = binomtest(k, n, float(limit), alternative="greater").pvalue
        less = binomtest(k, n, float(limit), alternative="less").pvalue
        assert exact_binomial_p(k, n, limit, "at_most") == pytest.approx(greater)
        assert exact_binomial_p(k, n, limit, "at_least") == pytest.approx(less)

    def test_nothing_is_no_evidence(self) -> None:
        assert exact_binomial_p(0, 0, Fraction(1, 2), "at_most") == 1.0
        assert exact_binomial_p(0, 0, Fraction(1, 2), "at_least") == 1.0

    def test_refuses_counts_that_do_not_fit(self) -> None:
        with pytest.raises(ValueError, match="Expected 0 <= k <= n"):
            exact_binomial_p(4, 3, Fraction(1, 2), "at_most")


class TestDisplay:
    @pytest.mark.parametrize("joint", CELLS)
    def test_phi_is_the_correlation(self, joint: Joint) -> None:
        counts = [joint.n11, joint.n10, joint.n01, joint.n00]
        reasoning = np.repeat([1, 1, 0, 0], counts)
        answer = np.repeat([1, 0, 1, 0], counts)
        assert phi(joint) == pytest.approx(float(np.corrcoef(reasoning, answer)[0, 1]))

    @pytest.mark.parametrize("joint", CELLS)
    def test_kappa_is_cohens(self, joint: Joint) -> None:
        table = np.array([[joint.n11, joint.n10], [joint.n01, joint.n00]])
        assert kappa(joint) == pytest.approx(cohens_kappa(table).kappa)

    def test_neither_exists_where_nothing_varies(self) -> None:
        assert isnan(phi(Joint(0, 0, 3, 40)))
        assert isnan(kappa(Joint(0, 0, 0, 40)))
