"""The reasoning tax, against numerical maximum likelihood, enumeration and published values."""

from __future__ import annotations

from fractions import Fraction
from math import exp, inf, isnan, lgamma, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar

from safemlrm.metrics.paired import (
    Discordant,
    blind_spots,
    degradation_ratio,
    newcombe_paired,
    tango_interval,
    tango_p_value,
    tango_statistic,
    tax_critical,
)
from safemlrm.metrics.rates import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grid = dict[tuple[int, int], NDArray[np.float64]]

TABLES = [(7, 2, 20), (0, 0, 12), (3, 0, 44), (0, 5, 30), (25, 5, 97), (12, 12, 24), (40, 10, 167)]
DELTAS = [Fraction(1, 50), Fraction(1, 20), Fraction(1, 4), Fraction(-1, 10)]


def likelihood_statistic(n10: int, n01: int, n: int, delta: float) -> float:
    """The score statistic with its nuisance parameter found by a numerical search."""

    def loss(q: float) -> float:
        chances = ((n10, q + delta), (n01, q), (n - n10 - n01, 1 - 2 * q - delta))
        return -sum(count * log(max(chance, 1e-300)) for count, chance in chances if count)

    least, most = max(0.0, -delta), (1 - delta) / 2
    options = {"xatol": 1e-12}
    q = minimize_scalar(loss, bounds=(least, most), method="bounded", options=options).x
    q = min((float(q), least, most), key=loss)
    return (n10 - n01 - n * delta) / sqrt(n * (2 * q + delta - delta * delta))


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


class TestTangoStatistic:
    @pytest.mark.parametrize(("n10", "n01", "n"), TABLES)
    @pytest.mark.parametrize("delta", DELTAS)
    def test_matches_numerical_maximum_likelihood(
        self, n10: int, n01: int, n: int, delta: Fraction
    ) -> None:
        expected = likelihood_statistic(n10, n01, n, float(delta))
        assert tango_statistic(n10, n01, n, delta) == pytest.approx(expected, rel=1e-5)

    def test_without_a_margin_it_is_mcnemars(self) -> None:
        assert tango_statistic(9, 4, 50, 0) == pytest.approx(5 / sqrt(13))
        assert tango_statistic(0, 0, 50, 0) == 0.0

    def test_where_no_table_could_vary(self) -> None:
        assert tango_statistic(5, 0, 5, 1) == 0.0
        assert tango_statistic(4, 0, 5, 1) == -inf

    @pytest.mark.parametrize(
        ("n10", "n01", "n", "delta"), [(4, 2, 5, 0), (-1, 0, 5, 0), (0, 0, 0, 0), (1, 1, 5, 2)]
    )
    def test_refuses_what_does_not_fit(self, n10: int, n01: int, n: int, delta: int) -> None:
        with pytest.raises(ValueError, match="Expected"):
            tango_statistic(n10, n01, n, delta)


class TestIntervals:
    def test_published_tango(self) -> None:
        """Fagerland, Lydersen and Laake (2017), chapter 8, and their R package (Cavo 2012)."""
        tax = tango_interval(6, 16, 161)
        assert (tax.value, tax.low, tax.high) == pytest.approx(
            (-0.0621, -0.1240, -0.0054), abs=5e-5
        )

    def test_published_newcombe(self) -> None:
        tax = newcombe_paired(59, 6, 16, 80)
        assert (tax.value, tax.low, tax.high) == pytest.approx(
            (-0.0621, -0.1186, -0.0046), abs=5e-5
        )

    @pytest.mark.parametrize(("n10", "n01", "n"), TABLES)
    def test_tango_ends_where_the_score_test_rejects(self, n10: int, n01: int, n: int) -> None:
        tax = tango_interval(n10, n01, n, 0.9)
        z = NormalDist().inv_cdf(0.95)
        assert likelihood_statistic(n10, n01, n, tax.low) == pytest.approx(z, rel=1e-4)
        assert likelihood_statistic(n10, n01, n, tax.high) == pytest.approx(-z, rel=1e-4)

    def test_a_whole_change_reaches_the_end_of_the_scale(self) -> None:
        assert tango_interval(5, 0, 5).high == 1.0
        assert tango_interval(0, 5, 5).low == -1.0

    def test_no_pairs_say_nothing(self) -> None:
        for tax in (tango_interval(0, 0, 0), newcombe_paired(0, 0, 0, 0)):
            assert isnan(tax.value)
            assert (tax.low, tax.high, tax.n) == (-1.0, 1.0, 0)

    def test_newcombe_without_a_margin_is_wilsons_square_and_add(self) -> None:
        tax = newcombe_paired(0, 0, 0, 40)
        assert (tax.value, tax.high) == (0.0, -tax.low)
        assert tax.high < 0.13

    def test_newcombe_refuses_negative_counts(self) -> None:
        with pytest.raises(ValueError, match="Expected counts"):
            newcombe_paired(1, -1, 0, 0)


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


class TestDegradationRatio:
    def test_eight_base_failures_support_a_wide_interval_only(self) -> None:
        ratio = degradation_ratio(198, 1256, 8, 1256, seed=7)
        assert ratio.value == 24.75
        assert 13.5 < ratio.low < 14.5
        assert 64 < ratio.high < 68
        assert not ratio.lower_bound_only

    def test_the_ends_are_those_of_a_varying_base_count(self) -> None:
        """A large count is nearly fixed, and 95% of Poisson(8) lies between 3 and 14."""
        ratio = degradation_ratio(1_000_000, 2_000_000, 8, 2_000_000, seed=1)
        assert ratio.low == pytest.approx(1_000_000 / 14, rel=0.01)
        assert ratio.high == pytest.approx(1_000_000 / 3, rel=0.01)

    def test_the_seed_decides(self) -> None:
        assert degradation_ratio(51, 97, 9, 97, 3) == degradation_ratio(51, 97, 9, 97, 3)

    def test_no_base_failure_gives_a_lower_bound_only(self) -> None:
        ratio = degradation_ratio(51, 97, 0, 97, seed=3)
        assert (ratio.value, ratio.high, ratio.lower_bound_only) == (inf, inf, True)
        lowest, highest = clopper_pearson(51, 97, 0.975).low, clopper_pearson(0, 97, 0.975).high
        assert ratio.low == pytest.approx(lowest / highest)

    def test_one_base_failure_may_have_been_none(self) -> None:
        ratio = degradation_ratio(51, 97, 1, 97, seed=3)
        assert ratio.value == 51
        assert ratio.high == inf
        assert ratio.lower_bound_only

    def test_counts_at_the_ends_keep_a_width(self) -> None:
        none = degradation_ratio(0, 97, 5, 97, seed=3)
        assert (none.value, none.low) == (0.0, 0.0)
        assert 0.1 < none.high < inf
        every = degradation_ratio(97, 97, 97, 97, seed=3)
        assert every.low < 1 == every.value < every.high

    def test_nothing_against_nothing_is_undefined(self) -> None:
        for ratio in (degradation_ratio(0, 97, 0, 97, 1), degradation_ratio(0, 0, 0, 0, 1)):
            assert isnan(ratio.value)
            assert (ratio.low, ratio.high) == (0.0, inf)

    def test_different_sizes_are_compared_as_rates(self) -> None:
        ratio = degradation_ratio(20, 50, 20, 100, seed=3)
        assert ratio.value == 2.0
        assert ratio.low < 2.0 < ratio.high


class TestBlindSpots:
    def test_the_scenario_that_stands_out_is_seen(self) -> None:
        scenarios = {name: Discordant(6, 4, 100) for name in ("fraud", "sex", "privacy")}
        spots = blind_spots({**scenarios, "malware": Discordant(40, 4, 97)})
        assert spots["malware"].value == pytest.approx(36 / 97 - 6 / 300)
        assert spots["malware"].low > 0.2
        assert spots["fraud"].value == pytest.approx(0.02 - 40 / 297)
        assert list(spots) == ["fraud", "sex", "privacy", "malware"]

    def test_equal_scenarios_do_not_stand_out(self) -> None:
        spots = blind_spots({name: Discordant(9, 3, 97) for name in "abc"})
        for spot in spots.values():
            assert spot.value == pytest.approx(0.0)
            assert spot.low < 0.0 < spot.high

    def test_one_scenario_has_nothing_to_stand_out_from(self) -> None:
        spot = blind_spots({"only": Discordant(9, 3, 97)})["only"]
        assert isnan(spot.value)
        assert (spot.low, spot.high, spot.n) == (-2.0, 2.0, 97)
