"""The ratio of two attack success rates, and how little few failures of the base support."""

from __future__ import annotations

from math import inf, isnan

import pytest

from safemlrm.metrics.rates import clopper_pearson
from safemlrm.metrics.ratio import degradation_ratio


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
