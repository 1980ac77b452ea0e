"""The sign-flip test agrees with writing out every pattern of signs."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.metrics.permutation import sign_flip_p_value

differences = st.lists(st.integers(-5, 5), max_size=10)


@given(differences)
def test_it_is_the_share_of_sign_patterns_at_least_as_high(found: list[int]) -> None:
    sums = [
        sum(sign * d for sign, d in zip(signs, found, strict=True))
        for signs in product((-1, 1), repeat=len(found))
    ]
    expected = sum(total >= sum(found) for total in sums) / len(sums)
    assert sign_flip_p_value(found) == pytest.approx(expected)


@given(differences, st.permutations(range(10)))
def test_order_and_prompts_without_a_difference_do_not_matter(
    found: list[int], order: list[int]
) -> None:
    shuffled = [found[place] for place in order if place < len(found)]
    assert sign_flip_p_value([*shuffled, 0, 0]) == pytest.approx(sign_flip_p_value(found))


@given(differences, st.integers(1, 5))
def test_one_more_prompt_that_got_worse_is_more_surprising_when_all_did(
    found: list[int], more: int
) -> None:
    worse = [abs(d) for d in found]
    assert sign_flip_p_value([*worse, more]) <= sign_flip_p_value(worse)


def test_without_a_difference_nothing_is_surprising() -> None:
    assert sign_flip_p_value([]) == 1.0
    assert sign_flip_p_value([0] * 200) == 1.0


def test_two_hundred_prompts_that_got_worse() -> None:
    assert sign_flip_p_value([2] * 200) == pytest.approx(0.5**200)
