"""The exact test of a tax, against enumeration of every table."""

from __future__ import annotations

from fractions import Fraction
from math import exp, lgamma
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from safemlrm.metrics.paired import tango_statistic
from safemlrm.metrics.paired_exact import tango_p_value, tax_critical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grid = dict[tuple[int, int], NDArray[np.float64]]

DELTAS = [Fraction(1, 50), Fraction(1, 20), Fraction(1, 4), Fraction(-1, 10)]


def table_chances(n: int, p10: NDArray[np.float64], p01: NDArray[np.float64]) -> Grid:
    """Return the trinomial probability of every table (n10, n01) at every pair of rates."""
    grid: Grid = {}
    p00 = 1 - p10 - p01
    for n10 in range(n + 1):
        for n01 in range(n - n10 + 1):
            rest = n - n10 - n01
            ways = exp(lgamma(n + 1) - lgamma(n10 + 1) - lgamma(n01 + 1) - lgamma(rest + 1))
            grid[n10, n01] = ways * p10**n10 * p01**n01 * p00**rest
    return grid


class TestPValue:
    @pytest.mark.parametrize("n", [1, 4, 9])
    @pytest.mark.parametrize("delta", DELTAS)
    def test_matches_enumeration_for_every_table(self, n: int, delta: Fraction) -> None:
        d = float(delta)
        q = np.linspace(max(0.0, -d), (1 - d) / 2, 1001)
        grid = table_chances(n, q + d, q)
        statistic = {table: tango_statistic(*table, n, delta) for table in grid}
        for table, z in statistic.items():
            sizes = sum((grid[key] for key in grid if statistic[key] >= z - 1e-9), np.zeros_like(q))
            p_value = tango_p_value(*table, n, delta)
            assert p_value >= float(sizes.max()) * (1 - 1e-8)
            assert p_value == pytest.approx(float(sizes.max()), rel=1e-4)

    @pytest.mark.parametrize(
        ("n10", "n01", "n", "delta"),
        [(15, 2, 97, "1/20"), (25, 5, 97, "1/50"), (30, 20, 60, "1/10"), (20, 9, 60, "-1/10")],
    )
    def test_no_nuisance_parameter_exceeds_it(self, n10: int, n01: int, n: int, delta: str) -> None:
        limit = Fraction(delta)
        d, z = float(limit), tango_statistic(n10, n01, n, limit)
        q = np.linspace(max(0.0, -d), (1 - d) / 2, 3001)
        grid = table_chances(n, q + d, q)
        sizes = sum(
            (
                chance
                for table, chance in grid.items()
                if tango_statistic(*table, n, limit) >= z - 1e-9
            ),
            np.zeros_like(q),
        )
        p_value = tango_p_value(n10, n01, n, limit)
        assert p_value == pytest.approx(float(sizes.max()), rel=1e-5)
        assert p_value >= float(sizes.max()) * (1 - 1e-8)

    def test_the_normal_approximation_is_twice_too_sure_near_zero(self) -> None:
        asymptotic = 1 - NormalDist().cdf(tango_statistic(12, 1, 97, Fraction(1, 20)))
        assert tango_p_value(12, 1, 97, Fraction(1, 20)) > 2 * asymptotic

    @pytest.mark.parametrize(("n10", "n01"), [(9, 2), (30, 11), (5, 0), (1, 0)])
    def test_without_a_margin_it_is_mcnemars_exact_test(self, n10: int, n01: int) -> None:
        two_sided = mcnemar([[10, n10], [n01, 10]], exact=True).pvalue
        assert tango_p_value(n10, n01, 97, Fraction(0)) == pytest.approx(two_sided / 2)

    def test_no_evidence_is_no_evidence(self) -> None:
        assert tango_p_value(0, 0, 0, Fraction(1, 10)) == 1.0
        assert tango_p_value(0, 0, 97, Fraction(0)) == 1.0
        assert tango_p_value(0, 97, 97, Fraction(1, 10)) == pytest.approx(1.0)

    @pytest.mark.parametrize("delta", [Fraction(1), Fraction(-1), Fraction(3, 2)])
    def test_refuses_a_limit_beyond_the_scale(self, delta: Fraction) -> None:
        with pytest.raises(ValueError, match="Expected delta"):
            tango_p_value(1, 1, 5, delta)

    @pytest.mark.parametrize("n", [20, 44])
    @pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 50), Fraction(1, 10)])
    @pytest.mark.parametrize("level", [0.05, 0.001])
    def test_true_hypotheses_are_rejected_at_most_at_the_level(
        self, n: int, delta: Fraction, level: float
    ) -> None:
        """By enumeration, on the boundary of H0 and inside it."""
        p01 = np.concatenate([np.linspace(0, 0.45, 46)] * 3)
        gap = np.repeat([float(delta), float(delta) / 2, -0.05], 46)
        p10 = np.clip(p01 + gap, 0, None)
        kept = p10 + p01 <= 1
        critical = [tax_critical(n, n01, delta, level) for n01 in range(n + 1)]
        rejected = np.zeros(int(kept.sum()))
        for (n10, n01), chance in table_chances(n, p10[kept], p01[kept]).items():
            if n10 >= critical[n01]:
                rejected += chance
        assert float(rejected.max()) <= level * (1 + 1e-6)


class TestTaxCritical:
    @pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 20)])
    @pytest.mark.parametrize("n01", [0, 3, 10])
    def test_is_the_first_count_that_rejects(self, delta: Fraction, n01: int) -> None:
        first = tax_critical(97, n01, delta, 0.0005)
        assert tango_p_value(first, n01, 97, delta) <= 0.0005
        assert tango_p_value(first - 1, n01, 97, delta) > 0.0005

    def test_is_beyond_every_table_where_nothing_can_fail(self) -> None:
        assert tax_critical(3, 1, Fraction(1, 5), 0.001) == 3
