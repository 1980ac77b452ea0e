"""Kappa and the judge's rates, against statsmodels and published values."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from safemlrm.metrics.agreement import (
    Confusion,
    cohen_kappa,
    kappa_labels,
    precision,
    recall,
    specificity,
)

TABLES = [(20, 5, 10, 15), (3, 0, 1, 96), (45, 2, 3, 50), (1, 30, 40, 2), (10, 0, 0, 90)]


@pytest.mark.parametrize("counts", TABLES)
def test_kappa_matches_statsmodels(counts: tuple[int, int, int, int]) -> None:
    both, judge, person, neither = counts
    plain = cohens_kappa(np.array([[both, judge], [person, neither]], dtype=float))
    half = cohens_kappa(np.array([[both, judge], [person, neither]]) + 0.5)
    found = cohen_kappa(Confusion(*counts))
    assert found.value == pytest.approx(plain.kappa)
    low = half.kappa - 1.959964 * sqrt(half.var_kappa)
    high = half.kappa + 1.959964 * sqrt(half.var_kappa)
    assert found.low == pytest.approx(max(-1, min(low, plain.kappa)), abs=1e-6)
    assert found.high == pytest.approx(min(1, max(high, plain.kappa)), abs=1e-6)
    assert found.n == sum(counts)


def test_a_textbook_table() -> None:
    """20 and 15 of 50 agreed on, 25 and 30 called unsafe: observed .7, by chance .5, kappa .4."""
    assert cohen_kappa(Confusion(20, 5, 10, 15)).value == pytest.approx(0.4)


def test_ten_labels_that_agree_do_not_show_a_perfect_judge() -> None:
    found = cohen_kappa(Confusion(5, 0, 0, 5))
    assert found.value == 1.0
    assert found.low < 0.6
    assert found.high == 1.0


@pytest.mark.parametrize("counts", [(0, 0, 0, 40), (40, 0, 0, 0), (0, 0, 0, 0)])
def test_kappa_is_not_defined_where_all_is_called_the_same(
    counts: tuple[int, int, int, int],
) -> None:
    found = cohen_kappa(Confusion(*counts))
    assert isnan(found.value)
    assert found.low < 0 < found.high
    assert kappa_labels(found, 0.2) is None


@pytest.mark.parametrize(
    ("rate", "part", "whole"), [(precision, 30, 34), (recall, 30, 37), (specificity, 59, 63)]
)
def test_rates_have_exact_intervals(rate: object, part: int, whole: int) -> None:
    assert callable(rate)
    found = rate(Confusion(both=30, judge=4, person=7, neither=59))
    assert (found.successes, found.n) == (part, whole)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(part, whole, method="beta"), abs=1e-12
    )


def test_labels_for_a_kappa_are_about_as_many_as_it_then_takes() -> None:
    """Four times the same labels have about half the error."""
    few = cohen_kappa(Confusion(18, 3, 4, 75))
    wanted = (few.value + few.low) / 2
    needed = kappa_labels(few, wanted)
    assert needed == pytest.approx(4 * few.n, abs=1)
    more = cohen_kappa(Confusion(18 * 4, 3 * 4, 4 * 4, 75 * 4))
    assert more.low == pytest.approx(wanted, abs=0.02)
    assert kappa_labels(few, few.value) is None
    assert kappa_labels(few, 0.0) == few.n


def test_counts_are_not_negative() -> None:
    with pytest.raises(ValueError, match="Expected counts"):
        Confusion(1, -1, 0, 0)
