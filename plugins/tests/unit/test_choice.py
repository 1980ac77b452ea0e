"""What is read of a response that is an option: shares, the option, how sure, or nothing."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safemlrm.choice import Choice, read_choice
from safemlrm.engines.options import write_probabilities
from safemlrm.judges import Choosing
from safemlrm.prompts.choice import bundled_choices
from safemlrm.types import Response, Score, TraceState

PROMPT = bundled_choices()[0]


def scored(text: str) -> Score:
    [score] = Choosing().score([(PROMPT, Response(text, None, text, TraceState.ABSENT))])
    return score


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6))
def test_what_an_engine_writes_is_read_back_as_shares(weights: list[float]) -> None:
    total = sum(weights)
    choice = read_choice(write_probabilities([0.9 * weight / total for weight in weights]))
    assert choice is not None
    assert choice.shares == pytest.approx([weight / total for weight in weights], abs=1e-5)
    assert choice.confidence == max(choice.shares) == choice.shares[choice.option]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda found: sum(found) > 0.1))
def test_entropy_lies_between_certain_and_flat(weights: list[float]) -> None:
    shares = tuple(weight / sum(weights) for weight in weights)
    bits = -sum(share * log2(share) for share in shares if share)
    assert Choice(shares).entropy == pytest.approx(bits / log2(len(shares)), abs=1e-9)
    assert -1e-12 <= Choice(shares).entropy <= 1 + 1e-12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B",
        "[]",
        "null",
        '{"options": 3}',
        f'{{"options": [1, {"9" * 400}]}}',
        '{"options": [0.9]}',
        '{"options": [0.5, "x"]}',
        '{"options": [NaN, 1]}',
        '{"options": [-1, 2]}',
        '{"options": [0.2, 0.2]}',
        '{"options": [0.2, 0.29]}',
    ],
)
def test_what_is_no_option_is_not_scored(text: str) -> None:
    assert read_choice(text) is None
    assert scored(text) == Score(None, None, None, path="no option")


def test_another_number_of_options_than_the_prompt_has_is_not_scored() -> None:
    assert scored(write_probabilities([0.5, 0.5])).helped is None


def test_the_right_option_is_the_one_the_prompt_names() -> None:
    assert PROMPT.correct == 1
    assert scored(write_probabilities([0.2, 0.4, 0.2, 0.1])).helped is True
    assert scored(write_probabilities([0.4, 0.2, 0.2, 0.1])).helped is False
    assert scored(write_probabilities([0.4, 0.2, 0.2, 0.1])).path == "chosen"
