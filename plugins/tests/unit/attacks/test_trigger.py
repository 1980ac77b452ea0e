"""The trigger goes in front of the question and changes nothing else."""

from __future__ import annotations

import pytest

from safemlrm.attacks import Trigger
from safemlrm.errors import ConfigError
from safemlrm.prompts.choice import bundled_choices


def test_the_words_stand_in_front_of_the_question() -> None:
    prompt = bundled_choices()[0]
    attacked = Trigger("trigger", "Seven lamps.").apply(prompt, 0)
    assert attacked.turns[0].text == f"Seven lamps.\n{prompt.turns[0].text}"
    assert (attacked.options, attacked.correct) == (prompt.options, prompt.correct)


def test_other_words_are_another_attack_under_any_name() -> None:
    assert Trigger("a", "Seven lamps.").digest == Trigger("b", "Seven lamps.").digest
    assert Trigger("a", "Seven lamps.").digest != Trigger("a", "Eight lamps.").digest


@pytest.mark.parametrize("text", ["", "  "])
def test_without_words_there_is_no_trigger(text: str) -> None:
    with pytest.raises(ConfigError, match="text is missing; give the words that may be a trigger"):
        Trigger(text=text)
