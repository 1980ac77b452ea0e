"""The reasoning tax and its intervals, against numerical maximum likelihood and published values."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isnan, log, sqrt
from statistics import NormalDist

import pytest
from scipy.optimize import minimize_scalar

from safemlrm.metrics.paired import newcombe_paired, tango_interval, tango_statistic

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
