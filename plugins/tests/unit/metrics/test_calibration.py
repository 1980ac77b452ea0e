"""Calibration error and its exact test, against other ways of reckoning them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import comb, isnan
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safemlrm.metrics.calibration import (
    BINS,
    Answer,
    calibration_error,
    calibration_p_value,
    total_gap,
)

answers = st.lists(
    st.builds(Answer, st.floats(0.01, 1).map(lambda share: round(share, 3)), st.booleans()),
    min_size=1,
    max_size=40,
)


def by_numpy(found: list[Answer]) -> float:
    """Reckon the error as most code does: a mask a bin, means, weights."""
    sure = np.array([answer.confidence for answer in found])
    right = np.array([answer.right for answer in found], dtype=float)
    edges = [place / BINS for place in range(BINS + 1)]
    error = 0.0
    for low, high in pairwise(edges):
        inside = (sure > low) & (sure <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return float(error)


def coin_tail(chances: list[float], least: int) -> float:
    """Return P(at least so many heads) of independent coins, by adding them one after the other."""
    heads = [1.0]
    for chance in chances:
        heads = [
            (heads[k] * (1 - chance) if k < len(heads) else 0.0)
            + (heads[k - 1] * chance if k else 0.0)
            for k in range(len(heads) + 1)
        ]
    return sum(heads[least:])


@given(answers)
def test_the_error_is_that_of_means_over_bins(found: list[Answer]) -> None:
    error = calibration_error(found)
    assert error.value == pytest.approx(by_numpy(found), abs=1e-9)
    assert 0 <= error.low <= error.value + 1e-9
    assert error.value <= error.high + 1e-9 <= 1 + 1e-9
    assert (error.right, error.n) == (sum(a.right for a in found), len(found))


def test_without_an_answer_there_is_no_error() -> None:
    error = calibration_error([])
    assert isnan(error.value)
    assert (error.low, error.high) == (0, 1)
    assert calibration_p_value([], 0) == 1


@given(answers, st.integers(0, 60))
def test_the_p_value_is_the_tail_of_the_turned_answers(found: list[Answer], percent: int) -> None:
    limit, n = percent / 100, len(found)
    right, sure, used = 0, 0.0, set()
    for place in range(BINS):
        inside = [a for a in found if place / BINS < a.confidence <= (place + 1) / BINS]
        used |= {place} if inside else set()
        hits, believed = sum(a.right for a in inside), sum(a.confidence for a in inside)
        turned = hits <= believed
        right += len(inside) - hits if turned else hits
        sure += len(inside) - believed if turned else believed
    mean = sure / n + limit
    p_value = calibration_p_value(found, limit)
    if right < n * mean + 1 - 1e-9:
        assert p_value == 1
    elif right > n * mean + 1 + 1e-9:
        binomial = sum(comb(n, k) * mean**k * (1 - mean) ** (n - k) for k in range(right, n + 1))
        assert p_value == pytest.approx(min(1, 2 ** len(used) * binomial), abs=1e-9)


@given(answers, st.integers(0, 5), st.integers(0, 40))
def test_what_is_unknown_lies_between_kind_and_harsh(
    found: list[Answer], unknown: int, percent: int
) -> None:
    limit = Fraction(percent, 100)
    kind = calibration_p_value(found, limit, kind=unknown)
    harsh = calibration_p_value(found, limit, harsh=unknown)
    assert harsh <= kind
    assert kind >= calibration_p_value(found, limit) - 1e-12


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.25, 0.99), min_size=2, max_size=9), st.integers(5, 20))
def test_no_coins_fail_more_often_than_the_level_allows(sure: list[float], percent: int) -> None:
    """All outcomes are written out, with coins whose bins are off by the limit just so."""
    for level in (0.05, 0.2):
        for sign in (1, -1):
            chances = [min(1, max(0, share + sign * percent / 100)) for share in sure]
            refused = 0.0
            for outcome in product((False, True), repeat=len(sure)):
                found = [Answer(s, right) for s, right in zip(sure, outcome, strict=True)]
                if calibration_p_value(found, percent / 100) <= level:
                    chance = 1.0
                    for coin, right in zip(chances, outcome, strict=True):
                        chance *= coin if right else 1 - coin
                    refused += chance
            assert refused <= level + 1e-9


@given(st.lists(st.floats(0.05, 0.95), min_size=3, max_size=25), st.data())
def test_unequal_coins_have_no_heavier_tail_than_equal_ones(
    chances: list[float], data: st.DataObject
) -> None:
    """The theorem that the test stands on, on the counts where it is used."""
    n, mean = len(chances), sum(chances) / len(chances)
    least = data.draw(st.integers(0, n))
    if least >= n * mean + 1:
        equal = coin_tail([mean] * n, least)
        assert coin_tail(chances, least) <= equal + 1e-12


def test_a_model_as_sure_as_it_is_right_seldom_fails_and_a_flat_one_always() -> None:
    rng = Random(5)
    failed = 0
    for _ in range(300):
        sure = [rng.choice((0.55, 0.65, 0.75, 0.85, 0.95)) for _ in range(120)]
        found = [Answer(share, rng.random() < share) for share in sure]
        failed += calibration_p_value(found, 0.05) <= 0.01
        flat = [Answer(0.34, answer.right) for answer in found]
        assert calibration_p_value(flat, 0.15) <= 0.01
    assert failed <= 3


def test_errors_of_opposite_bins_do_not_cancel() -> None:
    low = [Answer(0.3, True)] * 30
    high = [Answer(0.9, False)] * 30
    assert calibration_error([*low, *high]).value == pytest.approx(0.8)
    assert total_gap([*low, *high]) == pytest.approx(48)
    assert calibration_p_value([*low, *high], 0.5) < 1e-4
