"""How a multiple-choice question is written, and how a row of a user's own table becomes one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase

from safemlrm.errors import ConfigError
from safemlrm.prompts.rows import Row
from safemlrm.types import Prompt

ALPHABET = tuple(ascii_uppercase)
"""What options are named by, for an answer is a word of one token."""
ASK = "Answer with the letter alone."
BOTH = ("options", "correct")
"""The columns that make a question one of multiple choice."""


def written(question: str, shown: Sequence[str]) -> str:
    """Return a question with its options below, each named by a letter."""
    lines = [f"{letter}) {text}" for letter, text in zip(ALPHABET, shown, strict=False)]
    return "\n".join((question, *lines, ASK))


def has_options(columns: Mapping[str, str]) -> bool:
    """Whether the named columns make multiple-choice questions; `ConfigError` for a half of that."""
    named = [key for key in BOTH if key in columns]
    if len(named) == 1:
        raise ConfigError(
            "columns.options (a question's options) and columns.correct (which of them is right) go "
            "together; name both"
        )
    if named and "expectation" in columns:
        raise ConfigError(
            'columns.options makes multiple-choice questions, which expect "choose"; leave '
            "columns.expectation out"
        )
    return bool(named)


def with_options(prompt: Prompt, row: Row, columns: Mapping[str, str]) -> Prompt:
    """Return a prompt with its row's options below the question, each named by a letter."""
    shown = _shown(row, columns["options"])
    first, *rest = prompt.turns
    asked = replace(first, text=written(first.text, shown))
    return replace(
        prompt,
        turns=(asked, *rest),
        options=ALPHABET[: len(shown)],
        correct=_correct(row, columns["correct"], shown),
    )


def _shown(row: Row, column: str) -> list[str]:
    """Return a row's options: a list, or the JSON text of one where a cell holds texts only."""
    value = row.values[column]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list):
        raise row.error(
            f"{column!r} is no list of options",
            'write one, in a CSV file as JSON: ["red", "blue"]',
        )
    shown = [Row(row.where, {column: option}).name(column).strip() for option in value]
    if len(shown) < 2:
        raise row.error(f"{column!r} has fewer than two options", "give at least two")
    if len(set(shown)) < len(shown):
        raise row.error(f"{column!r} has an option twice", "give different ones")
    if len(shown) > len(ALPHABET):
        raise row.error(f"{column!r} has more than {len(ALPHABET)} options", "give fewer")
    return shown


def _correct(row: Row, column: str, shown: list[str]) -> int:
    """Return the place of the right option, which is named by its place, its letter or its text."""
    value = row.name(column).strip()
    meant = [
        place for place, text in enumerate(shown) if value in (str(place), ALPHABET[place], text)
    ]
    if not meant:
        raise row.error(
            f"{column!r} is none of the {len(shown)} options",
            "give the right one's place from 0, its letter from A, or its text",
        )
    if len(meant) > 1:
        raise row.error(
            f"{column!r} fits one option by place or letter and another by text",
            "name the right one in another of these ways",
        )
    return meant[0]
