"""The bundled multiple-choice questions: short and harmless, each with one right option.

They are apart from the catalogue, whose prompts are refused or helped: here a model chooses, and what
counts is how sure it is. Ids number the questions in the order of the file, so new ones go at the end.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from safemlrm.prompts.options import ALPHABET, written
from safemlrm.prompts.rows import Asked, Loaded
from safemlrm.types import Prompt, Turn

MULTIPLE_CHOICE = "multiple_choice"
LICENCE = "Apache-2.0"
LETTERS = ALPHABET[:4]


@lru_cache(maxsize=1)
def bundled_choices() -> tuple[Prompt, ...]:
    """Return the multiple-choice prompts; the right option takes every place in turn."""
    table = _table()
    return tuple(
        _prompt(f"{table['prefix']}-{number:03}", number % len(LETTERS), question)
        for number, question in enumerate(table["questions"], start=1)
    )


def load(asked: Asked) -> Loaded:
    """Return the prompts as a source does."""
    return Loaded(bundled_choices(), LICENCE, "choose", str(_table()["policy"]))


def _table() -> dict[str, Any]:
    file = files("safemlrm.prompts") / "choices" / f"{MULTIPLE_CHOICE}.toml"
    return tomllib.loads(file.read_text("utf-8"))


def _prompt(name: str, correct: int, question: dict[str, Any]) -> Prompt:
    shown = [*question["wrong"]]
    shown.insert(correct, question["right"])
    return Prompt(
        id=name,
        scenario=MULTIPLE_CHOICE,
        turns=(Turn(written(question["text"], shown)),),
        phrase="",
        expectation="choose",
        options=LETTERS,
        correct=correct,
    )
