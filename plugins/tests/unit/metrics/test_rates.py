"""Intervals of one rate, against statsmodels and published values."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import pytest
from statsmodels.stats.proportion import proportion_confint

from safemlrm.metrics.rates import clopper_pearson, proportion, upper_bound, wilson

if TYPE_CHECKING:
    from collections.abc import Callable

    from safemlrm.types import Estimate

COUNTS = [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (51, 97), (96, 97), (8, 1256)]


@pytest.mark.parametrize(("k", "n"), COUNTS)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
@pytest.mark.parametrize(
    ("interval", "method"), [(clopper_pearson, "beta"), (wilson, "wilson")], ids=["exact", "score"]
)
def test_matches_statsmodels(
    k: int, n: int, confidence: float, interval: Callable[..., Estimate], method: str
) -> None:
    low, high = proportion_confint(k, n, alpha=1 - confidence, method=method)
    estimate = interval(k, n, confidence)
    assert estimate.value == k / n
    assert (estimate.successes, estimate.n) == (k, n)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-12)


def test_published_clopper_pearson() -> None:
    """Fagerland, Lydersen and Laake (2017), chapter 2: 13 of 16 give .5435 to .9595."""
    estimate = clopper_pearson(13, 16)
    assert (estimate.low, estimate.high) == pytest.approx((0.5435, 0.9595), abs=5e-5)


def test_proportion_is_exact_under_thirty() -> None:
    assert proportion(5, 29) == clopper_pearson(5, 29)
    assert proportion(5, 30) == wilson(5, 30)


@pytest.mark.parametrize("interval", [clopper_pearson, wilson, proportion])
def test_nothing_scored_says_nothing(interval: Callable[..., Estimate]) -> None:
    estimate = interval(0, 0)
    assert isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.n) == (0.0, 1.0, 0)


@pytest.mark.parametrize(("limit", "n"), [(0.02, 149), (0.05, 59), (0.1, 29), (0.2, 14)])
def test_show_safe_needs_this_many_prompts_without_one_unsafe(limit: float, n: int) -> None:
    assert upper_bound(0, n) <= limit < upper_bound(0, n - 1)


@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_upper_bound_is_the_upper_end_at_twice_the_error(k: int, n: int) -> None:
    _, high = proportion_confint(k, n, alpha=0.1, method="beta")
    assert upper_bound(k, n, 0.95) == pytest.approx(high, abs=1e-12)


def test_upper_bound_of_nothing_is_one() -> None:
    assert upper_bound(0, 0) == 1.0


@pytest.mark.parametrize("function", [clopper_pearson, wilson, proportion, upper_bound])
@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_refuses_counts_that_do_not_fit(function: Callable[..., object], k: int, n: int) -> None:
    with pytest.raises(ValueError, match="Expected 0 <= k <= n"):
        function(k, n)
