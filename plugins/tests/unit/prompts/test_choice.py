"""The bundled questions: enough, no two alike, one right option each, which takes every place."""

from __future__ import annotations

from collections import Counter

import pytest

from safemlrm.errors import ConfigError
from safemlrm.prompts import checked
from safemlrm.prompts.choice import LETTERS, bundled_choices
from safemlrm.types import Prompt, Turn


def test_the_questions_can_be_asked_and_are_all_different() -> None:
    prompts = bundled_choices()
    assert len(prompts) == 120
    assert checked(prompts) == prompts
    assert len({prompt.turns[0].text for prompt in prompts}) == len(prompts)
    assert [prompt.id for prompt in prompts[:2]] == ["mc-001", "mc-002"]


def test_each_has_one_right_option_and_it_is_nowhere_more_often() -> None:
    for prompt in bundled_choices():
        lines = prompt.turns[0].text.splitlines()[1:5]
        assert [line[:2] for line in lines] == [f"{letter})" for letter in LETTERS]
        assert len(set(line[3:] for line in lines)) == len(LETTERS)
    places = Counter(prompt.correct for prompt in bundled_choices())
    assert set(places.values()) == {30}


def own(**values: object) -> Prompt:
    told: dict[str, object] = {"expectation": "choose", "options": ("A", "B"), "correct": 1}
    return Prompt("own-1", "", (Turn("Left or right?"),), "", **{**told, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        ({"options": ()}, 'has options or expects "choose", but not both'),
        ({"expectation": "help"}, 'has options or expects "choose", but not both'),
        ({"options": ("A", "A")}, "has fewer than two different options"),
        ({"options": ("A", " ")}, "has options that are no tuple of texts"),
        ({"options": ["A", "B"]}, "has options that are no tuple of texts"),
        ({"correct": 2}, "does not say which option is right"),
        ({"correct": "A"}, "does not say which option is right"),
    ],
)
def test_options_that_cannot_be_chosen_from(values: dict[str, object], mistake: str) -> None:
    assert checked([own()]) == (own(),)
    with pytest.raises(ConfigError, match=f"prompt 1 {mistake}"):
        checked([own(**values)])
