"""Newcombe's hybrid score interval against another implementation and its published example."""

from __future__ import annotations

from math import isnan

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from safemlrm.metrics.unpaired import newcombe_unpaired


@pytest.mark.parametrize(
    "counts", [(56, 70, 48, 80), (9, 10, 3, 10), (6, 7, 2, 7), (51, 97, 1, 97)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_is_that_of_statsmodels(
    counts: tuple[int, int, int, int], confidence: float
) -> None:
    found = newcombe_unpaired(*counts, confidence)
    low, high = confint_proportions_2indep(
        *counts, method="newcomb", compare="diff", alpha=1 - confidence
    )
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_the_published_example() -> None:
    found = newcombe_unpaired(56, 70, 48, 80)  # Newcombe 1998, table II, example (a), method 10
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
    assert found.value == pytest.approx(0.2)


def test_nothing_on_one_side_says_nothing() -> None:
    found = newcombe_unpaired(0, 0, 3, 10)
    assert isnan(found.value)
    assert (found.low, found.high, found.n) == (-1.0, 1.0, 0)


def test_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError):
        newcombe_unpaired(5, 4, 1, 2)
